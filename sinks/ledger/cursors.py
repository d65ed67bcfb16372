"""Cursors: how far each stream has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.clocks import EventTime
from sinks.batch.frontier import NEVER
from sinks.batch.groups import StreamGroups
from sinks.columns.avro import Flags, Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Extent of what is stored of a stream: earliest and newest event_time, µs; of bars only final ones count."""

    start: EventTime
    last_seen: EventTime


def extents(
    streams: StreamGroups, event_time: Integers, counted: Flags
) -> Iterator[tuple[int, EventTime, EventTime]]:
    """Yield (stream, earliest, newest event_time in µs) of every stream with a counted row."""
    if not len(event_time):
        return
    moment, counts = event_time[streams.order], counted[streams.order]
    lows = np.minimum.reduceat(np.where(counts, moment, -NEVER), streams.firsts)
    highs = np.maximum.reduceat(np.where(counts, moment, NEVER), streams.firsts)
    for stream in np.flatnonzero(highs != NEVER).tolist():
        yield stream, EventTime(int(lows[stream])), EventTime(int(highs[stream]))


def moved(cursor: Cursor | None, earliest: EventTime, newest: EventTime) -> Cursor:
    """Return the cursor after rows from `earliest` to `newest` (µs) were stored."""
    if cursor is None:
        return Cursor(start=earliest, last_seen=newest)
    return Cursor(start=min(cursor.start, earliest), last_seen=max(cursor.last_seen, newest))
