"""Memory of a sink about the streams it owns: cursors and frontiers, moved only after the commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from schemas.calendar.expected_bars import is_judged, slot_of
from schemas.clocks import EventTime
from schemas.identity import stream_text
from schemas.streams import StreamId
from sinks.batch.batch import Rows
from sinks.batch.frontier import NEVER, above_frontier
from sinks.columns.avro import Flags, Integers
from sinks.ledger.cursors import Cursor, extents, moved
from sinks.ledger.gaps import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Final bars of one series that a batch holds; `stretch` is from the slot of the earliest to the newest (µs)."""

    series: StreamId
    stretch: Stretch
    rows: Rows
    number: int  # of the series in `rows`

    def starts(self) -> list[EventTime]:
        """Return where they start, in order."""
        streams = self.rows.streams
        first, last = int(streams.firsts[self.number]), int(streams.lasts()[self.number])
        of_series = streams.order[first : last + 1]
        event_time = self.rows.columns.integers("event_time")[of_series]
        starts: list[EventTime] = np.unique(event_time[self.rows.final()[of_series]]).tolist()
        return starts


@dataclass(slots=True)
class Changes:
    """Changes a batch makes: series it has rows of, with their partition, cursors, and bars that may have been missing."""

    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    partitions: dict[StreamId, int] = field(default_factory=dict)
    # by the name of the series, where it can be told which bars are missing
    arrivals: dict[str, Arrivals] = field(default_factory=dict)

    def note(self, partitions: Mapping[StreamId, int]) -> None:
        """Note series that something is kept of besides rows, with their partitions."""
        self.partitions = dict(partitions) | self.partitions


@dataclass(slots=True)
class Book:
    """Series that are stored, and the cursor of each that has rows which count."""

    series: set[StreamId] = field(default_factory=set)
    cursors: dict[StreamId, Cursor] = field(default_factory=dict)

    def load(self, stored: Mapping[StreamId, Cursor | None]) -> None:
        """Start from what is stored."""
        self.series = set(stored)
        self.cursors = {key: cursor for key, cursor in stored.items() if cursor is not None}

    def new_keys(self, rows: Rows) -> Flags:
        """Return which final rows open a key that is not stored yet: trades always do, a stamp of the future never."""
        if not rows.table.has_versions:
            return np.ones(rows.columns.size, np.bool_)
        if rows.table.has_entries:  # however new its moment is, the entry may be one that is stored
            return np.zeros(rows.columns.size, np.bool_)
        cursors = [self.cursors.get(key) for key in rows.streams.names]
        frontier = np.array([NEVER if each is None else each.last_seen for each in cursors], np.int64)
        # What is stamped ahead counts as an earlier row: its key may come again, when its time has.
        marked = above_frontier(rows.streams, rows.columns.integers("event_time"), frontier, rows.final())
        return marked & ~rows.suspect()

    def observe(self, batch: Iterable[Rows]) -> Changes:
        """Return what storing the rows of a batch moves."""
        changes = Changes()
        for rows in batch:
            self._observe(rows, changes)
        return changes

    def _observe(self, rows: Rows, changes: Changes) -> None:
        keys, event_time = rows.streams.names, rows.columns.integers("event_time")
        first_rows = rows.streams.order[rows.streams.firsts]
        changes.partitions.update(zip(keys, rows.partitions[first_rows].tolist(), strict=True))
        for stream, earliest, newest in extents(rows.streams, event_time, rows.final() & ~rows.suspect()):
            changes.cursors[keys[stream]] = moved(self.cursors.get(keys[stream]), earliest, newest)
        # A stamp of the future moves no cursor. It fills its slot all the same, of which evidence may be read before it.
        for stream, earliest, newest in extents(rows.streams, event_time, rows.final()):
            key = keys[stream]
            if rows.table.has_slots and is_judged(key.interval):
                stretch = slot_of(key.interval, earliest), newest
                arrived = Arrivals(series=key, stretch=stretch, rows=rows, number=stream)
                changes.arrivals[stream_text(key)] = arrived

    def apply(self, changes: Changes) -> None:
        """Move on: the transaction is committed."""
        self.series.update(changes.partitions)
        self.cursors.update(changes.cursors)


def newest_rows(rows: Rows, chosen: Flags) -> Integers:
    """Return of each stream the chosen row with the newest event_time, of several the last in the log."""
    chosen_rows = rows.streams.order[chosen[rows.streams.order]]
    event_time, stream = rows.columns.integers("event_time")[chosen_rows], rows.streams.index[chosen_rows]
    order = np.lexsort((event_time, stream))  # stable: what is in log order stays so
    last = np.append(stream[order][1:] != stream[order][:-1], True)[: len(order)]
    newest: Integers = chosen_rows[order[last]]
    return newest
