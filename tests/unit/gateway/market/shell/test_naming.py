"""What symbols name at the moment a request asks about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.http.problems import Problem
from gateway.market.shell.naming import Naming
from infra.runtime.clock import WallMarketClock
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.naming import Symbology
from tests.support.producer_fakes import FixedClock

KNOWN = Symbology(
    parse_map_file(text, source="f")
    for text in (
        "20120518,fb\n20220608,fb\n20501231,meta\n",
        "20130102,two\n20501231,two\n",
        "20140102,two\n20501231,two\n",
    )
)


def at(day: str) -> int:
    """Return noon of a day, µs."""
    return int(datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC).timestamp()) * 1_000_000


def test_on_the_wall_clock_names_are_those_of_the_moment_asked_about() -> None:
    """Of two instruments called TWO there was one in 2013."""
    naming = Naming(KNOWN, WallMarketClock())

    assert naming.one("TWO", as_of=at("2013-06-03")).faults == {}
    with pytest.raises(Problem) as refused:
        naming.one("TWO", as_of=at("2015-06-03"))
    assert refused.value.errors[0].code == "ambiguous_symbol"


def test_a_simulated_market_names_by_its_own_day() -> None:
    """It cannot say what day it was there when something was known."""
    naming = Naming(KNOWN, FixedClock(at("2013-06-03")))

    assert naming.one("TWO", as_of=at("2015-06-03")).faults == {}


def test_now_is_the_markets_now() -> None:
    """A name that several bear is ambiguous from the day on which they do."""
    clock = FixedClock(at("2013-06-03"))
    naming = Naming(KNOWN, clock)

    before = naming.ambiguity("TWO")
    clock.now = at("2015-06-03")
    after = naming.ambiguity("TWO")

    assert before is None
    assert after is not None
    assert naming.ambiguity("SPY") is None


def test_a_name_of_now_is_of_the_day_to_its_last_hour() -> None:
    """TWO became ambiguous on 2014-01-02, New York's: at 05:00 UTC, not an hour before."""
    clock = FixedClock(at("2014-01-02") - 8 * 3_600_000_000)
    naming = Naming(KNOWN, clock)

    assert naming.ambiguity("TWO") is None
    clock.now += 3_599_999_999
    assert naming.ambiguity("TWO") is None
    clock.now += 1
    assert naming.ambiguity("TWO") is not None
