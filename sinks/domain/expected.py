"""Which bars a stretch of time should hold, by the calendar: counted where that is enough, listed where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from schemas.calendar import load_calendar
from schemas.intervals import DAY_US, INTRADAY_US, SLOT_US

DAILY = "1d"
CACHED_STRETCHES = 4_096  # an outage leaves the same gap in thousands of symbols
MAX_LISTED_BARS = 100_000  # a year of minutes; a longer stretch comes from a wrong stamp and is not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """First and last expected bar of a stretch (µs, starts), and how many there are."""

    first: int
    last: int
    count: int


def is_judged(interval: str) -> bool:
    """Whether the calendar says which bars of this interval exist; weeks and months have no such rule."""
    return interval in INTRADAY_US or interval == DAILY


def slot_of(interval: str, start: int) -> int:
    """Return the slot (µs) of a bar that starts at `start`: daily bars are named by their UTC day."""
    return start - start % DAY_US if interval == DAILY else start


@lru_cache(maxsize=CACHED_STRETCHES)
def expected_span(calendar: str, interval: str, start: int, end: int) -> Span | None:
    """Return the expected slots in [start, end) (µs), counted by session; None where there are none."""
    if not is_judged(interval):
        return None
    step, first, last, count = SLOT_US[interval], 0, 0, 0
    for session in load_calendar(calendar).sessions(start, end):
        if interval == DAILY:
            low, bars = slot_of(interval, session.open), int(start <= session.open < end)
        else:
            low = session.open + max(0, -(-(start - session.open) // step)) * step
            bars = max(0, -(-(min(session.close, end) - low) // step))
        if bars:
            first, last, count = (first if count else low), low + (bars - 1) * step, count + bars
    return Span(first=first, last=last, count=count) if count else None


@lru_cache(maxsize=CACHED_STRETCHES)
def expected_slots(calendar: str, interval: str, start: int, end: int) -> tuple[int, ...]:
    """Return the expected slots in [start, end) (µs); empty where there are none, or more than 100,000."""
    span = expected_span(calendar, interval, start, end)
    if span is None or span.count > MAX_LISTED_BARS:
        return ()
    return tuple(
        slot_of(interval, moment) for moment in load_calendar(calendar).expected_starts(interval, start, end)
    )
