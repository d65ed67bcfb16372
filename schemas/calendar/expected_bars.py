"""Bars a stretch of time should hold, by the calendar: counted, and compared with those there are; never listed.

The one rule of what is missing: the processor's early signal and the sink's ledger both ask here. Counted by session,
since a hostile stamp can span decades. Weeks and months have no expectation: their starts are the vendor's choice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, INTRADAY_US, SLOT_US

DAILY = "1d"
CACHED_STRETCHES = 4_096  # an outage leaves the same gap in thousands of symbols


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
    step, first, last, count = SLOT_US.get(interval, 0), 0, 0, 0
    for low, bars in _by_session(calendar, interval, start, end):
        first, last, count = (first if count else low), low + (bars - 1) * step, count + bars
    return Span(first=EventTime(first), last=EventTime(last), count=count) if count else None


def first_expected(calendar: Calendar, interval: str, start: EventTime, end: EventTime) -> EventTime | None:
    """Return the slot of the first bar expected to start in [start, end) (µs); None where there is none."""
    found = _first_session(calendar, interval, start, end)
    return None if found is None else found[0]


def _by_session(calendar: Calendar, interval: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield first slot and number of the bars expected to start in [start, end), of every session that has any."""
    if not is_judged(interval):
        return
    step = SLOT_US[interval]
    for session in calendar.sessions(start, end):
        if interval == DAILY:
            if start <= session.open < end:
                yield session.open - session.open % DAY_US, 1
            continue
        for opens, closes in session.parts:
            low = opens + max(0, -(-(start - opens) // step)) * step
            bars = -(-(min(closes, end) - low) // step)
            if bars > 0:
                yield low, bars


def first_unended(calendar: Calendar, interval: str, moment: int) -> EventTime:
    """Return the start (µs) before which every expected bar has ended by `moment` (µs): none from there on has.

    A bar ends after its length, or with the stretch of trading it is cut by; a daily bar with its session's close.
    """
    step = SLOT_US.get(interval, 0)
    for session in calendar.sessions(moment - step, moment):
        if interval == DAILY:
            if session.open < moment < session.close:
                return EventTime(session.open)
            continue
        for opens, closes in session.parts:
            if opens < moment < closes:
                return EventTime(opens + (moment - opens) // step * step)
    return EventTime(moment)


def runs(
    calendar: Calendar, interval: str, start: EventTime, end: EventTime, slots: Sequence[EventTime]
) -> Iterator[tuple[EventTime, EventTime | None]]:
    """Yield the runs of bars expected to start in [start, end) (µs) that are among `slots`, which are in order.

    Of each its first slot, and the slot of the first bar missing after it: None where none is missing up to the end.
    A slot in which no bar is expected belongs to no run and ends none.
    """
    step, ahead = SLOT_US.get(interval, 0), _first_session(calendar, interval, start, end)
    begin: EventTime | None = None
    places = range(0) if ahead is None else range(bisect_left(slots, ahead[0]), bisect_left(slots, end))
    for place in places:
        if ahead is None:
            break
        slot, (awaited, last) = slots[place], ahead
        if slot < awaited or (slot <= last and (slot - awaited) % step):
            continue
        if slot > last:
            found = _first_session(calendar, interval, max(slot, start), end)
            if found is None or found[0] != slot:
                continue
            last = found[1]
        if begin is None:
            begin = slot
        elif slot != awaited:
            yield begin, awaited
            begin = slot
        following = (EventTime(slot + step), last)
        ahead = (
            following if slot < last else _first_session(calendar, interval, next_slot(interval, slot), end)
        )
    if begin is not None:
        yield begin, None if ahead is None else ahead[0]


def _first_session(
    calendar: Calendar, interval: str, start: EventTime, end: EventTime
) -> tuple[EventTime, EventTime] | None:
    """Return the first and the last slot of the first session with bars expected in [start, end)."""
    step = SLOT_US.get(interval, 0)
    found = next(_by_session(calendar, interval, start, end), None)
    return None if found is None else (EventTime(found[0]), EventTime(found[0] + (found[1] - 1) * step))


def ended_before(calendar: Calendar, interval: str, moment: int) -> EventTime:
    """Return the moment (µs) before which every bar that starts has ended by `moment`: one not over yet is not missing.

    A bar that the close cuts short ends with the session, a daily bar with its regular session.
    """
    if not is_judged(interval):
        return EventTime(moment)
    session = calendar.session_at(moment)
    if session is None or session.close <= moment:
        return EventTime(moment)
    if interval == DAILY:
        return EventTime(min(session.open, moment))
    return EventTime(max(session.pre_open, moment - SLOT_US[interval] + 1))


def next_slot(interval: str, last: EventTime) -> EventTime:
    """Return the first moment (µs) at which a bar after the one that starts at `last` may start."""
    return EventTime(slot_of(interval, last) + DAY_US if interval == DAILY else last + 1)


def expected_after(calendar: Calendar, interval: str, last: EventTime, before: EventTime) -> Span | None:
    """Return the slots of the bars expected strictly between the bars that start at `last` and at `before` (µs).

    A daily bar is stamped anywhere in its UTC day: the days of both bars are there, whenever the session opened.
    """
    return expected_span(calendar, interval, next_slot(interval, last), slot_of(interval, before))
