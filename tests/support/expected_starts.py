"""The bars a traded instrument has in regular sessions, listed: what counting and comparing are checked against."""

from __future__ import annotations

from schemas.calendar.sessions import Calendar
from schemas.intervals import DAY_US, slot_us


def expected_starts(calendar: Calendar, interval: str, start: int, end: int) -> list[int]:
    """Return the starts, in [start, end), of the bars of an interval; daily and longer ones once a session, at its open."""
    step, starts = slot_us(interval), list[int]()
    for session in calendar.sessions(start, end):
        if step >= DAY_US:
            starts.append(session.open)
        else:
            first = session.open + max(0, -(-(start - session.open) // step)) * step
            starts.extend(range(first, min(session.close, end), step))
    return [moment for moment in starts if start <= moment < end]
