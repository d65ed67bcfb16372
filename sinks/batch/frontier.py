"""Rows that may be stored without asking what is stored already: those that open a key nobody has written."""

from __future__ import annotations

import numpy as np

from schemas.clocks import EventTime
from sinks.batch.groups import StreamGroups
from sinks.columns.avro import Flags, Integers

MAX_COMBINED = 1 << 62
NEVER = EventTime(-(1 << 62))  # frontier of a stream without rows


def above_frontier(streams: StreamGroups, event_time: Integers, frontier: Integers, counted: Flags) -> Flags:
    """Return the counted rows strictly above their stream's frontier and above every earlier one of it in this batch.

    `frontier[stream]` is the newest stored event_time (µs), NEVER where nothing is stored. Each marked row opens a
    new key, so it needs no comparison with an earlier version.
    """
    fast = np.zeros(len(event_time), np.bool_)
    rows = streams.order[counted[streams.order]]
    if not len(rows):
        return fast
    stream, moment = streams.index[rows], event_time[rows]
    low = int(moment.min())
    span = int(moment.max()) - low + 1
    if span * len(streams.names) < MAX_COMBINED:
        rank = moment - low
    else:
        distinct, rank = np.unique(moment, return_inverse=True)
        span = len(distinct)
    # Streams lie one after another on one axis, so one running maximum serves all: an earlier stream is always lower.
    place = rank + stream * span
    highest_before = np.append(np.int64(-1), np.maximum.accumulate(place)[:-1])
    marked = (place > highest_before) & (moment > frontier[stream])
    fast[rows] = marked
    return fast
