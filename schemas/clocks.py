"""Clocks, days and numbers of our log as types: all are integers, and none may stand for another.

Every moment is in microseconds since the Unix epoch, UTC. A type costs nothing when the code runs; mypy finds a moment of one
clock that is given where another is asked for. Sums and differences are plain integers: say anew whose time they are.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NewType

EventTime = NewType("EventTime", int)
"""The venue's or vendor's stamp of a value, µs; of a bar the START."""
MarketTime = NewType("MarketTime", int)
"""The market clock, µs: wall time, or the simulator's. Windows, lateness, freshness and cadence run on it."""
WallTime = NewType("WallTime", int)
"""Our own clock, µs: when a response was in (`received_time`), when something was done."""
KnowledgeTime = NewType("KnowledgeTime", int)
"""The running maximum of the broker's append time, µs: `known_from`, `as_of` and watermarks."""

RawOffset = NewType("RawOffset", int)
"""The place of a raw block in its partition; with the index in the block it is a record's position."""
CanonicalOffset = NewType("CanonicalOffset", int)
"""The place of a record in a partition of a canonical topic; what sinks and WebSocket clients count by."""

Day = NewType("Day", int)
"""A calendar day, in days since 1970-01-01 of the proleptic Gregorian calendar; whose calendar its field says."""

_FIRST = date(1970, 1, 1)


def iso_day(day: Day) -> str:
    """Return a day as an ISO date, such as 2014-06-09; raise OverflowError outside the years 1 to 9999."""
    return date_of(day).isoformat()


def date_of(day: Day) -> date:
    """Return a day as a date; raise OverflowError outside the years 1 to 9999."""
    return _FIRST + timedelta(days=day)


def day_of(written: date) -> Day:
    """Return the day that a date is."""
    return Day((written - _FIRST).days)
