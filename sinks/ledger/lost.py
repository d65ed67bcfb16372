"""Evidence of what a canonical log that was cut off before it was stored may have cost each of its series."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.calendar.expected_bars import expected_span, first_unended, is_judged, next_slot
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime, WallTime
from schemas.identity import stream_text
from schemas.intervals import DAY_US, HOUR_US, SLOT_US
from schemas.partitions import TopicPartition
from schemas.records import Evidence
from schemas.streams import StreamId

LOG_TRUNCATED = "log_truncated"
SINK = "sink"
LATE_US = HOUR_US  # what a vendor's delay may make a value older than its record
LONGEST_CLOSURE_US = 60 * DAY_US


def lost_evidence(
    partition: TopicPartition,
    since: KnowledgeTime,
    now: WallTime,
    series: Iterable[tuple[StreamId, EventTime]],
) -> list[Evidence]:
    """Return that records of a partition, known from `since` until `now` (µs), were deleted before they were stored.

    Of the partition as a whole, since what was in it nobody knows, and of each of its series with its newest stored event
    (µs): it may have lost what came later, but nothing much older than the records were. Of moments before `since`, up to
    where all was answered, nothing new is known, whatever our clock says.
    """
    now = max(now, WallTime(since))
    told = [_told(partition, now, 0, from_time=EventTime(since), to_time=EventTime(max(now, since + 1)))]
    for key, last_seen in series:
        stretch = _unseen(key, last_seen, since, now)
        if stretch is not None:
            told.append(_told(partition, now, len(told), from_time=stretch[0], to_time=stretch[1], key=key))
    return told


def _unseen(
    key: StreamId, last_seen: EventTime, since: KnowledgeTime, now: WallTime
) -> tuple[EventTime, EventTime] | None:
    calendar, oldest = calendar_of(key.symbol), EventTime(since - LATE_US - SLOT_US.get(key.interval, 0))
    if is_judged(key.interval):
        start = max(next_slot(key.interval, last_seen), oldest)
        span = expected_span(calendar, key.interval, start, first_unended(calendar, key.interval, now))
        return None if span is None else (span.first, EventTime(span.last + SLOT_US[key.interval]))
    start, end = max(last_seen, oldest), EventTime(now)
    head = calendar.open_ranges(start, min(end, start + LONGEST_CLOSURE_US))
    tail = calendar.open_ranges(max(start, end - LONGEST_CLOSURE_US), end)
    return (head[0][0], tail[-1][1]) if head and tail else None


def _told(
    partition: TopicPartition,
    now: WallTime,
    index: int,
    *,
    from_time: EventTime,
    to_time: EventTime,
    key: StreamId | None = None,
) -> Evidence:
    return Evidence(
        kind="blind",
        stream=f"{partition.topic}/{partition.partition}" if key is None else stream_text(key),
        symbol="" if key is None else key.symbol,
        provider="" if key is None else key.provider,
        interval="" if key is None else key.interval,
        from_time=from_time,
        to_time=to_time,
        cause=LOG_TRUNCATED,
        detector=SINK,
        known_from=KnowledgeTime(now),
        index=index,
    )
