"""Actions of real symbols: the factor file's, a rename of a map file's, and a spin-off no file knows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from infra.simulator.market.dataset import RealMarket
from infra.simulator.market.real_actions import load_actions
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from tests.support.simulations import seconds

CALENDAR = load_calendar(US_EQUITIES)


@pytest.fixture(scope="module")
def market(market_data: Path) -> RealMarket:
    """The market over all data files."""
    return RealMarket(market_data)


def test_a_split_is_told_from_its_day_on_and_never_before(market: RealMarket) -> None:
    """At midnight in New York; it takes effect at the open."""
    midnight = seconds("2014-06-09", "00:00") * 1_000_000
    (split,) = [a for a in market.actions("AAPL", midnight) if a.kind == "split" and a.ex_date.year == 2014]

    assert (split.ex_date, split.numerator, split.denominator) == (date(2014, 6, 9), 7, 1)
    assert (split.told_from, split.time) == (midnight, seconds("2014-06-09", "09:30") * 1_000_000)
    assert split not in market.actions("AAPL", midnight - 1)


def test_the_actions_are_the_splits_of_the_charts(market: RealMarket) -> None:
    """Both come from the one factor file."""
    charted = [(s.time, s.numerator, s.denominator) for s in market.splits("AAPL", 0, 2**60)]
    told = [(a.time, a.numerator, a.denominator) for a in market.actions("AAPL", 2**60) if a.kind == "split"]

    assert charted == told


def test_time_warners_spin_off_is_found_by_its_step(market: RealMarket) -> None:
    """Of the symbols without a factor file it is the only one; GOOG and IBM did nothing."""
    (spun,) = market.actions("TWX", 2**60)

    assert (spun.kind, spun.ex_date, spun.other) == ("spin_off", date(2014, 6, 9), "TIME")
    assert (spun.numerator, spun.denominator) == (1, 8)
    assert [market.actions(symbol, 2**60) for symbol in ("GOOG", "IBM")] == [[], []]


def test_a_map_file_tells_a_rename(tmp_path: Path) -> None:
    """Beside the factors, or without them."""
    folder = tmp_path / "equity_daily" / "map_files"
    folder.mkdir(parents=True)
    (folder / "fb.csv").write_text("20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n", "ascii")

    (renamed,) = load_actions(tmp_path, "FB", (), CALENDAR)

    assert (renamed.kind, renamed.ex_date, renamed.other) == ("rename", date(2022, 6, 9), "META")
