"""What a caller of the calendar asks."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.http.moments import EARLIEST_US, LATEST_US, parse_moment
from gateway.http.problems import Problem
from gateway.market.calendar_request import CalendarRequest, calendar_request
from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US

NOW = parse_moment("2026-03-10T01:30:00Z", None)  # the ninth still in New York, the tenth in Tokyo


def asked(symbol: str, **given: Any) -> CalendarRequest:
    """Return what the query of a symbol asks."""
    return calendar_request(symbol, given.items(), calendar_of(symbol), NOW)


def wrong(symbol: str, **given: Any) -> tuple[str, str, str]:
    """Return parameter, code and words of the one complaint."""
    with pytest.raises(Problem) as problem:
        asked(symbol, **given)
    (error,) = problem.value.errors
    return error.param, error.code, error.detail


@pytest.mark.parametrize(
    ("symbol", "begins"),
    [
        ("SPY", "2026-03-09T04:00:00Z"),
        ("7203.T", "2026-03-09T15:00:00Z"),
        ("EURUSD=X", "2026-03-09T21:00:00Z"),
        ("BTC-USD", "2026-03-10T00:00:00Z"),
        ("^NSEI", "2026-03-10T00:00:00Z"),
    ],
)
def test_without_a_range_it_is_the_markets_today_and_a_month(symbol: str, begins: str) -> None:
    """Today is the market's, of currencies from 17:00 New York on."""
    ask = asked(symbol)

    assert (ask.start, ask.end, ask.as_of) == (
        parse_moment(begins, None),
        parse_moment(begins, None) + 30 * DAY_US,
        None,
    )


def test_one_end_of_a_range_gives_the_other() -> None:
    """Thirty days after a start, or before an end; bare dates are of the venue, also at the ends of time."""
    july = parse_moment("2026-07-01", "Asia/Tokyo")

    assert (asked("7203.T", start="2026-07-01").start, asked("7203.T", start="2026-07-01").end) == (
        july,
        july + 30 * DAY_US,
    )
    assert asked("7203.T", end="2026-07-01").start == july - 30 * DAY_US
    assert asked("BTC-USD", start="2199-12-20").end == LATEST_US
    first = asked("BTC-USD", end="1900-01-01")
    assert (first.start, first.end) == (EARLIEST_US, EARLIEST_US + 1)


@pytest.mark.parametrize("symbol", ["SPY", "7203.T", "BTC-USD", "^NSEI"])
def test_a_range_holds_four_hundred_days_at_most(symbol: str) -> None:
    """Of the venue's days: an hour of summer time more or less makes none."""
    ask = asked(symbol, start="2025-01-20", end="2026-02-24")
    assert (ask.start, ask.end) == tuple(
        parse_moment(day, calendar_of(symbol).timezone) for day in ("2025-01-20", "2026-02-24")
    )

    param, code, words = wrong(symbol, start="2025-01-20", end="2026-02-25")
    assert (param, code) == ("end", "out_of_range")
    assert "401 days" in words and "400" in words
    assert wrong(symbol, start="1900-01-01", end="2199-12-31")[:2] == ("end", "out_of_range")


@pytest.mark.parametrize(
    ("symbol", "given", "error"),
    [
        ("spy", {}, ("symbol", "not_a_symbol")),
        ("SPY", {"start": "2026-02-30"}, ("start", "not_a_date")),
        ("SPY", {"start": "2026-03-02", "end": "2026-03-02"}, ("end", "inverted_range")),
        ("SPY", {"end": "2026-03-02T00:00:00"}, ("end", "no_zone")),
        ("SPY", {"as_of": "2026-03-02"}, ("as_of", "not_a_time")),
        ("SPY", {"date": "2026-03-02"}, ("date", "unknown_parameter")),
    ],
)
def test_each_wrong_parameter_is_named(symbol: str, given: dict[str, str], error: tuple[str, str]) -> None:
    """With the words every endpoint has for it."""
    assert wrong(symbol, **given)[:2] == error
