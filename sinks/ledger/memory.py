"""Memory of a sink about the streams it owns: cursors and frontiers, moved only after the commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from schemas.calendar.expected_bars import is_judged
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, RawOffset
from schemas.identity import stream_text
from schemas.intervals import SLOT_US
from schemas.records import Gap
from schemas.streams import StreamId
from sinks.batch.batch import Rows
from sinks.batch.frontier import NEVER, above_frontier
from sinks.columns.avro import Flags, Integers
from sinks.ledger.cursors import (
    Cursor,
    extents,
    gap_of,
    holes_of_stream,
    jumping_streams,
    moved,
)
from sinks.ledger.gaps import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Final bars of one series that a batch holds; `stretch` is from the earliest to the newest (µs)."""

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
    """Changes a batch makes: series it has rows of, with their partition, cursors, and what it reveals."""

    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    partitions: dict[StreamId, int] = field(default_factory=dict)
    holes: list[tuple[int, Gap]] = field(default_factory=list)
    # by series, where it can be told which bars are missing
    arrivals: dict[str, Arrivals] = field(default_factory=dict)


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
        """Return which final rows open a key that is not stored yet: trades always do."""
        if not rows.table.has_versions:
            return np.ones(rows.columns.size, np.bool_)
        cursors = [self.cursors.get(key) for key in rows.streams.names]
        frontier = np.array([NEVER if each is None else each.last_seen for each in cursors], np.int64)
        return above_frontier(rows.streams, rows.columns.integers("event_time"), frontier, rows.final())

    def observe(self, batch: Iterable[Rows]) -> Changes:
        """Return what storing the rows of a batch moves and reveals."""
        changes = Changes()
        for rows in batch:
            self._observe(rows, changes)
        return changes

    def _observe(self, rows: Rows, changes: Changes) -> None:
        keys, event_time = rows.streams.names, rows.columns.integers("event_time")
        final = rows.final()
        first_rows = rows.streams.order[rows.streams.firsts]
        changes.partitions.update(zip(keys, rows.partitions[first_rows].tolist(), strict=True))
        for stream, earliest, newest in extents(rows.streams, event_time, final):
            key = keys[stream]
            changes.cursors[key] = moved(self.cursors.get(key), earliest, newest)
            if rows.table.has_slots and is_judged(key.interval):
                arrived = Arrivals(stretch=(earliest, newest), rows=rows, number=stream)
                changes.arrivals[stream_text(key)] = arrived
        if rows.table.has_slots:
            self._reveal(rows, final, changes)

    def apply(self, changes: Changes) -> None:
        """Move on: the transaction is committed."""
        self.series.update(changes.partitions)
        self.cursors.update(changes.cursors)

    def _reveal(self, rows: Rows, final: Flags, changes: Changes) -> None:
        names, event_time = rows.streams.names, rows.columns.integers("event_time")
        raw_offset, known_from = rows.columns.integers("raw_offset"), rows.columns.integers("known_from")
        cursors = [self.cursors.get(key) for key in names]
        last_seen = np.array([NEVER if cursor is None else cursor.last_seen for cursor in cursors], np.int64)
        intervals = [name.interval for name in names]
        steps = np.array([SLOT_US[each] if is_judged(each) else 0 for each in intervals], np.int64)
        ends = rows.streams.lasts() + 1
        for stream in jumping_streams(rows.streams, event_time, final, last_seen, steps):
            of_stream = rows.streams.order[rows.streams.firsts[stream] : ends[stream]]
            of_stream = of_stream[final[of_stream]]
            blocks: dict[RawOffset, list[EventTime]] = {}
            for offset, start in zip(
                raw_offset[of_stream].tolist(), event_time[of_stream].tolist(), strict=True
            ):
                blocks.setdefault(offset, []).append(start)
            known = dict(zip(raw_offset[of_stream].tolist(), known_from[of_stream].tolist(), strict=True))
            cursor, interval = cursors[stream], intervals[stream]
            calendar = calendar_of(names[stream].symbol)
            holes = holes_of_stream(None if cursor is None else cursor.last_seen, blocks, interval, calendar)
            for offset, ordinal, hole in holes:
                gap = gap_of(
                    hole, names[stream], known_from=known[offset], raw_offset=offset, ordinal=ordinal
                )
                changes.holes.append((int(rows.partitions[of_stream[0]]), gap))


def newest_rows(rows: Rows, chosen: Flags) -> Integers:
    """Return of each stream the chosen row with the newest event_time, of several the last in the log."""
    chosen_rows = rows.streams.order[chosen[rows.streams.order]]
    event_time, stream = rows.columns.integers("event_time")[chosen_rows], rows.streams.index[chosen_rows]
    order = np.lexsort((event_time, stream))  # stable: what is in log order stays so
    last = np.append(stream[order][1:] != stream[order][:-1], True)[: len(order)]
    newest: Integers = chosen_rows[order[last]]
    return newest
