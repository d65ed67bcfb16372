"""When values were true, and what they are worth now."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.market.freshness import delay_s, stale_after_us, state_of, trading_day
from schemas.calendar.sessions import load_calendar
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

XNYS = load_calendar("XNYS")
XLON = load_calendar("XLON")


def state(**changes: Any) -> str:
    given: dict[str, Any] = {
        "kind": "quote", "age_us": SECOND_US, "delay_s": 0, "session": "regular", "speed": 1.0,
    }  # fmt: skip
    return state_of(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "live", id="fresh"),
        pytest.param({"age_us": HOUR_US}, "stale", id="old in the session"),
        pytest.param({"age_us": HOUR_US, "session": "closed"}, "closed", id="old after hours"),
        pytest.param({"session": "closed"}, "closed", id="nothing trades"),
        pytest.param({"session": None}, "live", id="fresh, of an unknown home"),
        pytest.param({"age_us": HOUR_US, "session": None}, "unknown", id="old, of an unknown home"),
        pytest.param({"session": "pre"}, "live", id="fresh before the open"),
        pytest.param({"age_us": HOUR_US, "session": "post"}, "closed", id="the close is not a dead feed"),
        pytest.param({"delay_s": 900, "age_us": 900 * SECOND_US}, "delayed", id="the vendor delays"),
        pytest.param({"delay_s": 900, "age_us": HOUR_US}, "stale", id="delayed and dead"),
        pytest.param(
            {"speed": 600.0, "age_us": 1_000 * SECOND_US}, "live", id="fast market, same wall latency"
        ),
        pytest.param({"speed": float("inf"), "age_us": 10**15}, "live", id="unpaced market"),
    ],
)
def test_the_state_follows_age_cadence_and_calendar(changes: dict[str, Any], expected: str) -> None:
    """Silence counts only while the market is open and beyond the cadence."""
    assert state(**changes) == expected


def test_a_bar_may_be_older_than_a_quote() -> None:
    """A value a minute old is normal where values come once a minute."""
    assert stale_after_us("bar", 0, 1.0) > stale_after_us("quote", 0, 1.0)
    assert state(kind="bar", age_us=120 * SECOND_US) == "live"
    assert state(kind="quote", age_us=120 * SECOND_US) == "stale"


def test_what_is_stamped_after_hours_is_of_the_day_before_it() -> None:
    """Monday's: 16:35 in London, where nothing follows the close, and any hour of the night in New York; Friday's on Sunday."""
    london = XLON.session_at(NINE_THIRTY)
    new_york = XNYS.session_at(NINE_THIRTY)
    assert london is not None
    assert new_york is not None
    assert XLON.session_at(london.close + 5 * MINUTE_US) is None
    assert trading_day(london.close + 5 * MINUTE_US, XLON) == london
    assert trading_day(NINE_THIRTY + 12 * HOUR_US, XNYS) == new_york
    friday = trading_day(NINE_THIRTY - DAY_US, XNYS)
    assert friday is not None
    assert friday.day == new_york.day - 3 * DAY_US


def test_a_delayed_feed_without_quotes_is_as_late_as_its_values_come() -> None:
    """As far as its provider declares; by a quote of the same moment where there is one, of another day never."""
    end = NINE_THIRTY + MINUTE_US
    late = a_bar(provider="polygon", received_time=end + 900 * SECOND_US)
    assert delay_s(late, None, XNYS, wall_market=True) == 885
    hours_late = a_bar(provider="polygon", received_time=end + HOUR_US)
    assert delay_s(hours_late, None, XNYS, wall_market=True) == 900
    assert delay_s(hours_late, None, XNYS, wall_market=False) == 0
    assert delay_s(a_trade(provider="acme", received_time=end + HOUR_US), None, XNYS, wall_market=True) == 0
    older = a_quote(delay_s=1_200, event_time=NINE_THIRTY - DAY_US)
    assert delay_s(a_trade(received_time=NINE_THIRTY), older, XNYS, wall_market=True) == 0
    assert delay_s(a_trade(), a_quote(delay_s=1_200), XNYS, wall_market=True) == 1_200
    assert delay_s(a_quote(delay_s=7), None, XNYS, wall_market=True) == 7
