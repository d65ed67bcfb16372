"""Missing bars: final bars that arrived, compared with what the calendar expects.

A stream has a frontier, the start of the newest bar it was judged up to. It moves forward only, so each hole is found
once, in order, and holes never overlap. A bar that arrives behind the frontier fills a hole; closing it is the sink's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from schemas.calendar.expected_bars import Span, expected_after, expected_span, next_slot
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import INTRADAY_US, SLOT_US
from schemas.records import Discontinuity

MISSING_BARS = "missing_bars"


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
    """Return the new frontier and the holes, in order, that a block's final bars and blindnesses reveal.

    `arrivals` are starts (µs) in any order. Nothing is missing before the first bar ever seen. A hole is a maximal run
    of absent expected bars with no arrival inside; what a producer was blind to is one hole of its own cause even
    where the same block already fills it.
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


def frontier_after(interval: str, to_time: EventTime) -> EventTime:
    """Return the frontier a hole that ends at `to_time` leaves behind: the start of its last bar."""
    return EventTime(to_time - SLOT_US[interval])


def _walk(
    calendar: Calendar, interval: str, frontier: EventTime | None, starts: list[EventTime], holes: list[Hole]
) -> EventTime | None:
    step = INTRADAY_US.get(interval, 0)
    for start in starts:
        if frontier is not None and start - frontier != step:
            _note(holes, interval, expected_after(calendar, interval, frontier, start), MISSING_BARS)
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
    start = (
        blind.from_time
        if frontier is None
        else max(next_slot(interval, frontier), blind.from_time or EventTime(0))
    )
    return None if start is None else expected_span(calendar, interval, start, blind.to_time)


def unseen_ranges(
    calendar: Calendar, seen_to: EventTime | None, discontinuity: Discontinuity
) -> list[tuple[EventTime, EventTime]]:
    """Return the ranges [from, to) of a stream nobody watched while trades could happen; none where nothing is left.

    `seen_to` is the stream's last event, or the end of the last such range; the later of it and the producer's word
    begins the range. Where neither is known nothing is claimed.
    """
    known = [moment for moment in (seen_to, discontinuity.from_time) if moment is not None]
    if not known or max(known) >= discontinuity.to_time:
        return []
    return calendar.open_ranges(max(known), discontinuity.to_time)
