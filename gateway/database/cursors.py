"""Cursors of series: where each is collected, as a set of ranges, and the first thing missing in the newest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.calendar.expected_bars import DAILY, first_expected, is_judged
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US
from schemas.ledger.coverage import Coverage
from schemas.streams import StreamId

Range = tuple[EventTime, EventTime]
"""Values are collected from the first moment to the second (µs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCursor:
    """The first and the newest value of a series (µs), where it is collected, and the first hole in the newest range."""

    start_time: EventTime
    last_seen: EventTime
    collected: Sequence[Range]
    hole: EventTime | None

    @property
    def last_contiguous(self) -> EventTime:
        """Return how far the newest range is whole (µs): to the first thing missing in it, else to the newest value."""
        return self.last_seen if self.hole is None else min(self.hole, self.last_seen)


def collected_ranges(
    series: StreamId, told: Sequence[tuple[EventTime, EventTime | None]], last_seen: EventTime
) -> list[Range]:
    """Return the ranges in order, those as one between which no bar is expected; the open one ends at `last_seen`."""
    calendar, judged = calendar_of(series.symbol), is_judged(series.interval)
    found: list[Range] = []
    for low, until in sorted(told, key=lambda each: each[0]):
        high = max(low, last_seen) if until is None else until
        if found:
            edge = found[-1][1]
            if low <= edge or (judged and first_expected(calendar, series.interval, edge, low) is None):
                found[-1] = (found[-1][0], max(edge, high))
                continue
        found.append((low, high))
    return found


def longest_session_us(interval: str) -> int:
    """Return how long (µs) what one row of coverage is about may be: of daily bars a year."""
    return 367 * DAY_US if interval == DAILY else 2 * DAY_US


def first_absence(series: StreamId, session: Coverage, since: EventTime) -> EventTime | None:
    """Return the start (µs) of the first bar from `since` on that did not come, as the session's bits say."""
    slots = session_slots(calendar_of(series.symbol), series.interval, session.start)
    if slots is None:
        return None
    absent = session.absent >> (before := slots.count_before(since)) << before
    number = (absent & -absent).bit_length() - 1
    return slots.slot_at(number) if 0 <= number < slots.count else None
