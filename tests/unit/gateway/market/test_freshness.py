"""live, delayed, stale, halted, closed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.market.freshness import stale_after_us, state_of
from schemas.intervals import HOUR_US, SECOND_US


def state(**changes: Any) -> str:
    given: dict[str, Any] = {
        "kind": "quote", "age_us": SECOND_US, "delay_s": 0, "market_state": "", "session": "regular", "speed": 1.0,
    }  # fmt: skip
    return state_of(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "live", id="fresh"),
        pytest.param({"age_us": HOUR_US}, "stale", id="old in the session"),
        pytest.param({"age_us": HOUR_US, "session": "closed"}, "closed", id="old after hours"),
        pytest.param({"session": "closed"}, "closed", id="nothing trades"),
        pytest.param({"session": "pre"}, "live", id="fresh before the open"),
        pytest.param({"age_us": HOUR_US, "session": "post"}, "closed", id="the close is not a dead feed"),
        pytest.param({"delay_s": 900, "age_us": 900 * SECOND_US}, "delayed", id="the vendor delays"),
        pytest.param({"delay_s": 900, "age_us": HOUR_US}, "stale", id="delayed and dead"),
        pytest.param({"market_state": "halted", "age_us": HOUR_US}, "halted", id="halted"),
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
