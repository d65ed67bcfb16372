"""Burn rates and the windows they are of, on the clocks of several markets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.objectives.burn_rates import (
    LENGTHS_US,
    PAIRS,
    WindowCount,
    burn_rate,
    firing,
    market_windows,
    state_of,
    wall_windows,
    worst,
)
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros

ALLOWED = 0.005
SYMBOLS = ("SPY", "7203.T", "EURUSD=X", "BTC-USD", "SAP.DE", "0700.HK", "BHP.AX")


def at(*moment: int) -> int:
    """Return a UTC time in µs."""
    return micros(datetime(*moment, tzinfo=UTC))  # type: ignore[misc,arg-type]


def outcomes(**bad: int) -> dict[str, WindowCount]:
    """Return windows of 10,000 each with so many bad ones; `w5m` is that of five minutes."""
    return {name: WindowCount(10_000, bad.get(f"w{name}", 0)) for name in LENGTHS_US}


def traded_us(calendar: Calendar, low: int, high: int) -> int:
    """Return how long continuous trading lasted in [low, high)."""
    parts = [part for session in calendar.sessions(low, high) for part in session.parts]
    return sum(max(0, min(end, high) - max(begin, low)) for begin, end in parts)


@settings(max_examples=150, deadline=None)
@given(symbol=st.sampled_from(SYMBOLS), minute=st.integers(0, 3 * 365 * 1440))
def test_hours_are_counted_while_the_market_trades(symbol: str, minute: int) -> None:
    """Any minute of three years: lunch breaks, weekends, half days and changes of clocks count as the calendar has them."""
    calendar, now = calendar_of(symbol), at(2023, 1, 15) + minute * MINUTE_US
    windows = market_windows(calendar, now)

    assert windows is not None
    for name in ("5m", "30m", "1h", "6h"):
        assert traded_us(calendar, windows[name], now) == LENGTHS_US[name]
    days = [each for each in calendar.sessions(windows["3d"], now) if each.open < now]
    assert len(days) == 3
    assert days[0].pre_open == windows["3d"]


@pytest.mark.parametrize(
    ("symbol", "now", "window", "begins"),
    [
        pytest.param("7203.T", at(2024, 6, 4, 3, 45), "30m", at(2024, 6, 4, 2, 15), id="Tokyo's lunch"),
        pytest.param("SPY", at(2024, 3, 11, 13, 40), "30m", at(2024, 3, 8, 20, 40), id="DST over a weekend"),
        pytest.param("SPY", at(2024, 11, 29, 20, 0), "1h", at(2024, 11, 29, 17, 0), id="after a half day"),
        pytest.param("SPY", at(2024, 12, 25, 15, 0), "5m", at(2024, 12, 24, 17, 55), id="on a holiday"),
        pytest.param("BTC-USD", at(2024, 12, 25, 15, 0), "6h", at(2024, 12, 25, 9, 0), id="never closed"),
        pytest.param("EURUSD=X", at(2024, 6, 9, 21, 30), "1h", at(2024, 6, 7, 20, 30), id="currencies on a Sunday"),
    ],
)  # fmt: skip
def test_where_windows_begin(symbol: str, now: int, window: str, begins: int) -> None:
    """Worked out by hand from the venues' hours."""
    windows = market_windows(calendar_of(symbol), now)

    assert windows is not None
    assert windows[window] == begins


def test_no_window_is_there_where_hours_are_not_known() -> None:
    """Nothing is expected of such a market, so nothing burns."""
    assert market_windows(calendar_of("NOWHERE:ODD"), at(2024, 6, 4)) is None
    assert market_windows(calendar_of("SPY"), at(2090, 6, 4)) is None


def test_wall_windows_are_lengths_of_time() -> None:
    """Three days are 72 hours there."""
    assert wall_windows(10 * DAY_US)["3d"] == 7 * DAY_US
    assert wall_windows(10 * DAY_US)["1h"] == 10 * DAY_US - HOUR_US


@pytest.mark.parametrize(("long", "short", "factor"), PAIRS)
def test_a_pair_fires_only_where_both_windows_burn(long: str, short: str, factor: float) -> None:
    """At its factor it does not yet, beyond it does; one window alone never."""
    exactly = round(10_000 * ALLOWED * factor)

    assert firing(outcomes(**{f"w{long}": exactly, f"w{short}": 10_000}), ALLOWED) == []
    assert firing(outcomes(**{f"w{long}": exactly + 1}), ALLOWED) == []
    assert firing(outcomes(**{f"w{short}": 10_000}), ALLOWED) == []
    assert (long, short, factor) in firing(
        outcomes(**{f"w{long}": exactly + 1, f"w{short}": exactly + 1}), ALLOWED
    )


def test_states() -> None:
    """Kept over three days, about not to be, not kept, and nothing known, which is not kept."""
    nothing = {name: WindowCount() for name in LENGTHS_US}

    assert state_of(nothing, ALLOWED) == "no_data"
    assert state_of(outcomes(), ALLOWED) == "met"
    assert state_of(outcomes(w3d=50), ALLOWED) == "met"
    assert state_of(outcomes(w3d=51), ALLOWED) == "violated"
    assert state_of(outcomes(w1h=800, w5m=5_000, w3d=20), ALLOWED) == "burning"
    assert burn_rate(WindowCount(), ALLOWED) is None
    assert burn_rate(WindowCount(1_000, 10), ALLOWED) == pytest.approx(2.0)
    assert WindowCount(3, 1) + WindowCount(4, 2) == WindowCount(7, 3)


def test_the_worst_of_several_states() -> None:
    """One that says nothing does not hide one that is met, nor any that is not."""
    assert worst(["met", "no_data"]) == "met"
    assert worst(["burning", "met"]) == "burning"
    assert worst(["violated", "burning"]) == "violated"
    assert worst([]) == "no_data"
