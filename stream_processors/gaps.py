"""Missing bars: final bars that arrived, compared with what the calendar expects.

A stream has a frontier, the start of the newest bar it was judged up to. It moves forward only, so each hole is found
once, in order, and holes never overlap. A bar that arrives behind the frontier fills a hole; closing it is the sink's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from schemas.calendar.expected_bars import (
    Span,
    expected_after,
    expected_span,
    first_unended,
    next_slot,
    slot_of,
)
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, INTRADAY_US, SLOT_US
from schemas.records import LONG_SILENCE, MISSING_BARS, Discontinuity

# What is watched and still trades does so within a month. After a longer silence, of which no producer says anything, a
# bar proves nothing of it: the ticker may be another company's now.
SILENCE_US = 30 * DAY_US
# No market was closed for longer: New York's four months of 1914 are not collected.
LONGEST_CLOSURE_US = 60 * DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Missing bars [from_time, to_time) in µs: how many the calendar expects there, and why they are missing."""

    from_time: EventTime
    to_time: EventTime
    expected: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blindness:
    """A producer's word that it saw nothing of a stream in [from_time, to_time); from_time None: since its last bar."""

    from_time: EventTime | None
    to_time: EventTime
    cause: str


def judge(
    calendar: Calendar,
    interval: str,
    frontier: EventTime | None,
    arrivals: Collection[EventTime],
    blindnesses: Iterable[Blindness] = (),
) -> tuple[EventTime | None, list[Hole]]:
    """Return the new frontier and the holes, in order, that the final bars and blindnesses of a block reveal.

    `arrivals` are starts (µs) in any order. Nothing is missing before the first bar ever seen. A hole is a maximal run
    of absent expected bars with no arrival inside; what a producer was blind to is one hole of its own cause even
    where the same block already fills it. That bars are absent is said up to where a producer says that it watched, and of
    no longer silence than SILENCE_US.
    """
    newer = sorted(start for start in set(arrivals) if frontier is None or start > frontier)
    holes: list[Hole] = []
    for blind in blindnesses:
        span = _blind_span(calendar, interval, frontier, blind)
        if span is None:
            continue
        frontier = _walk(calendar, interval, frontier, [s for s in newer if s < span.first], holes)
        if frontier is not None:
            _note(holes, interval, expected_after(calendar, interval, frontier, span.first), MISSING_BARS)
        _note(holes, interval, span, blind.cause)
        frontier = span.last
        newer = [start for start in newer if start > frontier]
    return _walk(calendar, interval, frontier, newer, holes), holes


def _walk(
    calendar: Calendar, interval: str, frontier: EventTime | None, starts: list[EventTime], holes: list[Hole]
) -> EventTime | None:
    step = INTRADAY_US.get(interval, 0)
    for start in starts:
        if frontier is not None and start - frontier != step:
            silence = slot_of(interval, start) - slot_of(interval, frontier)
            cause = MISSING_BARS if silence <= SILENCE_US else LONG_SILENCE
            _note(holes, interval, expected_after(calendar, interval, frontier, start), cause)
        frontier = start
    return frontier


def _note(holes: list[Hole], interval: str, span: Span | None, cause: str) -> None:
    if span is None:
        return
    start, end = span.first, EventTime(span.last + SLOT_US[interval])
    holes.append(Hole(from_time=start, to_time=end, expected=span.count, cause=cause))


def _blind_span(
    calendar: Calendar, interval: str, frontier: EventTime | None, blind: Blindness
) -> Span | None:
    # What was not over when watching ended was not watched: to call it absent would say that it never was.
    known = [] if blind.from_time is None else [first_unended(calendar, interval, blind.from_time)]
    known += [] if frontier is None else [next_slot(interval, frontier)]
    if not known:
        return None
    start = max(known)
    return expected_span(calendar, interval, start, first_unended(calendar, interval, blind.to_time))


def ended_by(told: Discontinuity, newest: EventTime) -> Discontinuity:
    """Return a stretch that ends by `newest` (µs): told by a clock that is ahead, it is as long and that much earlier.

    Cut instead, all of it could lie in time that has not come, and no hole would be known.
    """
    ahead = max(told.to_time - newest, 0)
    begin = None if told.from_time is None else EventTime(max(told.from_time - ahead, 1))
    return replace(told, from_time=begin, to_time=EventTime(told.to_time - ahead))


def unseen_range(
    calendar: Calendar, seen_to: EventTime | None, discontinuity: Discontinuity
) -> tuple[EventTime, EventTime] | None:
    """Return the range [from, to) of a stream nobody watched, from the first to the last moment trades could happen.

    `seen_to` is the stream's last event, or the end of the last such range; the later of it and the producer's word
    begins the range. None where neither is known, and where the market was closed all the time. Markets that close in
    between are not cut out: a year not watched is one range, and whoever derives gaps knows the calendar.
    """
    known = [moment for moment in (seen_to, discontinuity.from_time) if moment is not None]
    if not known or max(known) >= discontinuity.to_time:
        return None
    start, end = max(known), discontinuity.to_time
    head = calendar.open_ranges(start, min(end, start + LONGEST_CLOSURE_US))
    tail = calendar.open_ranges(max(start, end - LONGEST_CLOSURE_US), end)
    return (head[0][0], tail[-1][1]) if head and tail else None
