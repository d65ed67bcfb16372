"""Which bars are missing: final bars that arrived, compared with what the calendar expects.

A stream has a frontier, the start of the newest bar it was judged up to. It moves forward only, so each hole is found
once, in order, and holes never overlap. A bar that arrives behind the frontier fills a hole; closing it is the sink's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from schemas.calendar import Calendar
from schemas.intervals import DAY_US, INTRADAY_US, SLOT_US

MISSING_BARS = "missing_bars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Missing bars [from_time, to_time) in µs: how many the calendar expects there, and why they are missing."""

    from_time: int
    to_time: int
    expected: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blindness:
    """A producer's word that it saw nothing of a stream in [from_time, to_time); from_time None: since its last bar."""

    from_time: int | None
    to_time: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    first: int
    last: int
    count: int


def judge(
    calendar: Calendar,
    interval: str,
    frontier: int | None,
    arrivals: Collection[int],
    blindnesses: Iterable[Blindness] = (),
) -> tuple[int | None, list[Hole]]:
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
            _note(
                holes,
                interval,
                _expected(calendar, interval, frontier, frontier + 1, span.first),
                MISSING_BARS,
            )
        _note(holes, interval, span, blind.cause)
        frontier = span.last
        newer = [start for start in newer if start > frontier]
    return _walk(calendar, interval, frontier, newer, holes), holes


def frontier_after(interval: str, to_time: int) -> int:
    """Return the frontier a hole that ends at `to_time` leaves behind: the start of its last bar."""
    return to_time - SLOT_US[interval]


def _walk(
    calendar: Calendar, interval: str, frontier: int | None, starts: list[int], holes: list[Hole]
) -> int | None:
    step = INTRADAY_US.get(interval, 0)
    for start in starts:
        if frontier is not None and start - frontier != step:
            _note(holes, interval, _expected(calendar, interval, frontier, frontier + 1, start), MISSING_BARS)
        frontier = start
    return frontier


def _note(holes: list[Hole], interval: str, span: _Span | None, cause: str) -> None:
    if span is None:
        return
    start, end = span.first, span.last + SLOT_US[interval]
    holes.append(Hole(from_time=start, to_time=end, expected=span.count, cause=cause))


def _blind_span(calendar: Calendar, interval: str, frontier: int | None, blind: Blindness) -> _Span | None:
    start = blind.from_time if frontier is None else max(frontier + 1, blind.from_time or 0)
    return None if start is None else _expected(calendar, interval, frontier, start, blind.to_time)


def _expected(calendar: Calendar, interval: str, after: int | None, start: int, end: int) -> _Span | None:
    """Return the expected bars with starts in [start, end) and later than the bar `after`; None where there are none.

    Counted by session, never listed: a hostile stamp can span decades. Daily bars are named by their UTC day, since
    vendors stamp them anywhere in it; weeks and months have no expectation of their own.
    """
    if interval in INTRADAY_US:
        return _expected_intraday(calendar, INTRADAY_US[interval], start, end)
    if interval != "1d":
        return None
    after_day = -1 if after is None else after // DAY_US
    days = [s.open // DAY_US for s in calendar.sessions(start, end) if start <= s.open < end]
    days = [day for day in days if day > after_day]
    return _Span(first=days[0] * DAY_US, last=days[-1] * DAY_US, count=len(days)) if days else None


def _expected_intraday(calendar: Calendar, step: int, start: int, end: int) -> _Span | None:
    first, last, count = 0, 0, 0
    for session in calendar.sessions(start, end):
        low = session.open + max(0, -(-(start - session.open) // step)) * step
        high = min(session.close, end)
        if low >= high:
            continue
        bars = -(-(high - low) // step)
        first = first if count else low
        last = low + (bars - 1) * step
        count += bars
    return _Span(first=first, last=last, count=count) if count else None
