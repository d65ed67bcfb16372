"""Bars a stretch of time should hold, by the calendar: counted where that is enough, listed where it is not.

The one rule of what is missing: the processor's early signal and the sink's ledger both ask here. Counted by session,
since a hostile stamp can span decades. Weeks and months have no expectation: their starts are the vendor's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, INTRADAY_US, SLOT_US

DAILY = "1d"
CACHED_STRETCHES = 4_096  # an outage leaves the same gap in thousands of symbols
MAX_LISTED_BARS = 100_000  # a year of minutes; a longer stretch comes from a wrong stamp and is not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """First and last expected bar of a stretch (µs, starts), and how many there are."""

    first: EventTime
    last: EventTime
    count: int


def is_judged(interval: str) -> bool:
    """Whether the calendar says which bars of this interval exist; weeks and months have no such rule."""
    return interval in INTRADAY_US or interval == DAILY


def slot_of(interval: str, start: EventTime) -> EventTime:
    """Return the slot (µs) of a bar that starts at `start`: daily bars are named by their UTC day."""
    return EventTime(start - start % DAY_US) if interval == DAILY else start


@lru_cache(maxsize=CACHED_STRETCHES)
def expected_span(calendar: Calendar, interval: str, start: EventTime, end: EventTime) -> Span | None:
    """Return the slots of the bars expected to start in [start, end) (µs); None where there are none."""
    if not is_judged(interval):
        return None
    step, first, last, count = SLOT_US[interval], 0, 0, 0
    for session in calendar.sessions(start, end):
        if interval == DAILY:
            low, bars = session.open - session.open % DAY_US, int(start <= session.open < end)
        else:
            low = session.open + max(0, -(-(start - session.open) // step)) * step
            bars = max(0, -(-(min(session.close, end) - low) // step))
        if bars:
            first, last, count = (first if count else low), low + (bars - 1) * step, count + bars
    return Span(first=EventTime(first), last=EventTime(last), count=count) if count else None


def next_slot(interval: str, last: EventTime) -> EventTime:
    """Return the first moment (µs) at which a bar after the one that starts at `last` may start."""
    return EventTime(slot_of(interval, last) + DAY_US if interval == DAILY else last + 1)


def expected_after(calendar: Calendar, interval: str, last: EventTime, before: EventTime) -> Span | None:
    """Return the slots of the bars expected strictly between the bars that start at `last` and at `before` (µs).

    A daily bar is stamped anywhere in its UTC day: the days of both bars are there, whenever the session opened.
    """
    return expected_span(calendar, interval, next_slot(interval, last), slot_of(interval, before))


@lru_cache(maxsize=CACHED_STRETCHES)
def expected_slots(
    calendar: Calendar, interval: str, start: EventTime, end: EventTime
) -> tuple[EventTime, ...]:
    """Return the expected slots in [start, end) (µs); empty where there are none, or more than 100,000."""
    span = expected_span(calendar, interval, start, end)
    if span is None or span.count > MAX_LISTED_BARS:
        return ()
    return tuple(
        slot_of(interval, EventTime(moment)) for moment in calendar.expected_starts(interval, start, end)
    )
