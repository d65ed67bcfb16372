"""Cursors: how far each stream has come, and which expected bars it moved over without storing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.calendar.expected_bars import expected_after
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.identity import gap_id, stream_text
from schemas.intervals import SLOT_US
from schemas.records import Gap
from schemas.streams import StreamId
from sinks.batch.frontier import NEVER
from sinks.batch.groups import StreamGroups
from sinks.columns.avro import Flags, Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Extent of what is stored of a stream: earliest and newest event_time, µs; of bars only final ones count."""

    start: EventTime
    last_seen: EventTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Expected bars a block moved over: [from_time, to_time), µs."""

    from_time: EventTime
    to_time: EventTime
    expected: int


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


def jumping_streams(
    streams: StreamGroups, event_time: Integers, final: Flags, last_seen: Integers, steps: Integers
) -> list[int]:
    """Return the streams whose final bars do not simply follow one another: only these can reveal a hole.

    `last_seen[stream]` is NEVER for a new stream, `steps[stream]` the interval in µs, 0 where holes are not judged.
    """
    rows = streams.order[final[streams.order]]
    if not len(rows):
        return []
    stream, moment = streams.index[rows], event_time[rows]
    first = np.append(True, stream[1:] != stream[:-1])
    before = np.where(first, last_seen[stream], np.append(np.int64(0), moment[:-1]))
    jumps = ((moment - before != steps[stream]) & (moment > last_seen[stream])) & (steps[stream] > 0)
    found: list[int] = np.unique(stream[jumps]).tolist()
    return found


def judge_block(
    last_seen: EventTime | None, bars: Sequence[EventTime], interval: str, calendar: Calendar
) -> tuple[EventTime | None, list[Hole]]:
    """Return the new last_seen and the holes a block of final bars reveals; all times are bar starts in µs.

    A hole is a maximal run of expected bars that are absent, with no bar of the block inside. Nothing is missing
    before the first bar ever seen, and a late bar reveals nothing. The processor judges blocks by the same rule.
    """
    step, holes = SLOT_US[interval], []
    for start in sorted({start for start in bars if last_seen is None or start > last_seen}):
        if last_seen is not None and start - last_seen != step:
            span = expected_after(calendar, interval, last_seen, start)
            if span is not None:
                holes.append(
                    Hole(from_time=span.first, to_time=EventTime(span.last + step), expected=span.count)
                )
        last_seen = start
    return last_seen, holes


def gap_of(
    hole: Hole, series: StreamId, *, known_from: KnowledgeTime, raw_offset: RawOffset, ordinal: int
) -> Gap:
    """Return the gap a hole of `series` is, under the id the processor gives the same hole."""
    stream = stream_text(series)
    return Gap(
        gap_id=gap_id(stream, hole.from_time),
        stream=stream,
        symbol=series.symbol,
        provider=series.provider,
        interval=series.interval,
        from_time=hole.from_time,
        to_time=hole.to_time,
        cause="missing_bars",
        expected=hole.expected,
        detector="sink",
        known_from=known_from,
        raw_offset=raw_offset,
        index=ordinal,
    )


def holes_of_stream(
    last_seen: EventTime | None,
    blocks: Mapping[RawOffset, Sequence[EventTime]],
    interval: str,
    calendar: Calendar,
) -> list[tuple[RawOffset, int, Hole]]:
    """Return (raw_offset, ordinal in its block, hole) for the blocks of one stream, judged in log order."""
    found: list[tuple[RawOffset, int, Hole]] = []
    for raw_offset, bars in blocks.items():
        last_seen, holes = judge_block(last_seen, bars, interval, calendar)
        found.extend((raw_offset, ordinal, hole) for ordinal, hole in enumerate(holes))
    return found
