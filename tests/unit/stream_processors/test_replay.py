"""A replay writes what live processing wrote, and says so in one stream of records."""

from __future__ import annotations

import io

import pytest

from schemas.errors import MalformedPayload
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Progress
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, RAW_BARS
from schemas.wire.codec import decode, encode
from schemas.wire.framing import StreamedRecord, read_records, write_record
from stream_processors.replay import from_stream, replay
from stream_processors.transaction import RawRecord
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block

PARTITION = partition_of("SPY", 4)


def raw(offset: int, *minutes: int) -> RawRecord:
    """Return a raw record with the bars of some minutes."""
    events = [a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US) for number in minutes]
    value = encode(RAW_BARS, a_block(*events)) if minutes else b"poison"
    return RawRecord(
        topic=RAW_BARS, partition=PARTITION, offset=offset, append_time=NINE_THIRTY * 2, key=None, value=value
    )


def test_each_block_is_its_records_then_its_evidence_then_progress() -> None:
    """The order of the live transaction; a dead letter is not written again, its progress is."""
    streamed = list(replay([raw(5, 0, 1), raw(6), raw(7, 1, 4)], DEFAULT_PARTITIONS))

    assert [(record.topic, record.offset) for record in streamed] == [
        (BARS, 0),
        (BARS, 1),
        (EVIDENCE, 0),
        (PROGRESS, 0),
        (PROGRESS, 1),
        (BARS, 2),
        (EVIDENCE, 1),
        (PROGRESS, 2),
    ]
    ends = [
        (progress.canonical_end_offset, progress.evidence_end_offset)
        for record in streamed
        if record.topic == PROGRESS
        for progress in [decode(PROGRESS, record.value, Progress)]
    ]
    assert ends == [(0, 0), (2, 1), (2, 1)]
    assert {record.append_time - NINE_THIRTY * 2 for record in streamed} == {0, 1, 2}


def test_a_replay_is_repeatable_byte_for_byte() -> None:
    """Nothing but the raw records decides."""
    records = [raw(0, 0, 1), raw(1, 1, 4), raw(2, 3)]

    assert list(replay(records, DEFAULT_PARTITIONS)) == list(replay(records, DEFAULT_PARTITIONS))


def test_raw_records_come_from_a_stream_of_their_own_topics_only() -> None:
    """A pipe in the wrong order is an error, not an empty replay."""
    pipe = io.BytesIO()
    for topic in (RAW_BARS, BARS):
        record = StreamedRecord(
            topic=topic, partition=0, offset=3, append_time=9, key=b"k", value=b"v", moved=topic == RAW_BARS
        )
        write_record(pipe, record)
    pipe.seek(0)
    records = from_stream(pipe)

    assert next(records) == RawRecord(
        topic=RAW_BARS, partition=0, offset=3, append_time=9, key=b"k", value=b"v", moved=True
    )
    with pytest.raises(MalformedPayload, match="not a raw topic"):
        next(records)
    assert list(read_records(io.BytesIO())) == []
