"""Venues a schedule may play at, and their bars one by one: which exist, and when each is over.

The naive calendar of the oracle: lists of bars, walked; nothing is counted or searched. It shares with the code under
test only the hours of the sessions themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, EPOCH, MINUTE_US, SLOT_US, micros

DAILY = "1d"
FIRST_BAR = 13  # room for bars older than the first one seen


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar that may come: where it starts, the slot that names it, and when it is over, all µs."""

    start: int
    slot: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Symbols of partition 0 that keep the same hours, and the days (UTC) in which a schedule plays, by its intervals."""

    symbols: tuple[str, ...]
    days: dict[tuple[str, ...], tuple[str, str]]


def _edges(minutes: tuple[str, str], hours: tuple[str, str]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return these for minutes, and with hours; two weeks around a holiday for hours, and the turn of a year for days."""
    year = ("2024-12-06T00:00", "2025-03-08T00:00")
    return {
        ("1m",): minutes,
        ("1m", "1h"): hours,
        ("1h",): ("2024-11-27T00:00", "2024-12-11T00:00"),
        ("1h", DAILY): year,
        (DAILY,): year,
    }


WEEK, TWO_DAYS = ("2024-11-25T00:00", "2024-11-30T00:00"), ("2024-11-29T00:00", "2024-11-30T18:00")
VENUES = {
    "never closed": Venue(
        symbols=("SIM002", "SIM014"), days=_edges(("2024-11-29T21:00", "2024-11-30T03:00"), TWO_DAYS)
    ),
    # A half day: New York closes at 18:00 UTC, and opens on Monday.
    "New York": Venue(symbols=("META", "UNH"), days=_edges(("2024-11-29T17:30", "2024-12-02T17:00"), WEEK)),
    # Lunch from 02:30 to 03:30 UTC; the last bar is cut by the closing auction.
    "Tokyo": Venue(symbols=("9432.T", "7974.T"), days=_edges(("2024-11-29T02:00", "2024-11-29T05:00"), WEEK)),
    # Nothing is expected of what nobody told the home of.
    "unknown": Venue(
        symbols=("^BVSP", "^TWII"), days=_edges(("2024-11-29T21:00", "2024-11-30T03:00"), TWO_DAYS)
    ),
}


def bounds(venue: Venue, intervals: tuple[str, ...]) -> tuple[int, int]:
    """Return the first and last moment (µs) of a schedule of these intervals."""
    low, high = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in venue.days[intervals])
    return micros(low), micros(high)


@lru_cache(maxsize=256)
def expected(symbol: str, interval: str, low: int, high: int) -> tuple[Bar, ...]:
    """Return the bars that are expected to start in [low, high), in order; of an unknown home there are none."""
    calendar, step, found = calendar_of(symbol), SLOT_US[interval], list[Bar]()
    for session in calendar.sessions(low, high) if calendar.is_known else ():
        if interval == DAILY:
            found.append(Bar(session.open, session.open // DAY_US * DAY_US, session.close))
            continue
        for opens, closes in session.parts:
            over = session.close if closes == session.parts[-1][1] else closes
            found += [Bar(start, start, min(start + step, over)) for start in range(opens, closes, step)]
    return tuple(bar for bar in found if low <= bar.start < high)


@lru_cache(maxsize=256)
def session_bars(symbol: str, interval: str, start: int) -> tuple[Bar, ...]:
    """Return the bars of the session that begins at `start` (µs); of daily bars those of the year that does."""
    if interval == DAILY:
        year = (EPOCH + timedelta(microseconds=start)).year
        low, high = (micros(datetime(each, 1, 1, tzinfo=UTC)) for each in (year, year + 1))
        return expected(symbol, interval, low, high)
    session = calendar_of(symbol).session_at(start)
    assert session is not None and session.pre_open == start
    return expected(symbol, interval, session.pre_open, session.post_close)


@lru_cache(maxsize=256)
def tape(symbol: str, interval: str, low: int, high: int) -> tuple[Bar, ...]:
    """Return the bars that come: those that are expected, or where nobody knows those of a market that never closes."""
    step = SLOT_US[interval]
    bars = expected(symbol, interval, low, high)
    return bars or tuple(Bar(start, start, start + step) for start in range(low, high, step))


@lru_cache(maxsize=64)
def open_minutes(symbol: str, low: int, high: int) -> Sequence[int]:
    """Return the starts of the minutes in [low, high) in which trades are to be expected, in order."""
    calendar = calendar_of(symbol)
    if not calendar.is_known:
        return ()
    minutes = range(low // MINUTE_US * MINUTE_US, high, MINUTE_US)
    return [minute for minute in minutes if calendar.session_of(minute) != "closed"]


@dataclass(slots=True)
class Line:
    """The bars of one series: what may come, the newest that did, and those that were left out."""

    bars: tuple[Bar, ...]
    starts: list[int]
    newest: int = FIRST_BAR
    skipped: list[int] = field(default_factory=list)

    def bar(self, number: int) -> Bar:
        """Return a bar; beyond the last there is none."""
        return self.bars[max(0, min(number, len(self.bars) - 1))]
