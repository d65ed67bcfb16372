"""Starts of the bars a calendar expects, listed one by one: what counting and comparing must equal."""

from __future__ import annotations

from typing import cast

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, slot_us


def expected_starts(calendar: Calendar, interval: str, start: int, end: int) -> list[EventTime]:
    """Return the starts, in [start, end), of the intraday bars a traded instrument has in regular sessions.

    Pre- and post-market minutes are never expected: most have no trade. Daily and longer bars are expected once a
    session, at its open.
    """
    step, starts = slot_us(interval), list[int]()
    for session in calendar.sessions(start, end):
        if step >= DAY_US:
            starts.append(session.open)
        else:
            for opens, closes in session.parts:
                starts.extend(range(opens, closes, step))
    return cast("list[EventTime]", [moment for moment in starts if start <= moment < end])
