"""A replay writes what live processing wrote, and says so in one stream of records."""

from __future__ import annotations

import io

import pytest

from schemas.errors import MalformedPayload
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Progress
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, RAW_BARS
from schemas.wire.codec import decode, decode_value, encode
from schemas.wire.framing import END, StreamedRecord, read_records, write_record
from stream_processors.replay import from_stream, replay
from stream_processors.transaction import RawRecord
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block

PARTITION = partition_of("SPY", 4)
OTHER = next(s for s in map("S{}".format, range(99)) if partition_of(s, 4) == PARTITION)


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
            topic=topic,
            partition=0,
            offset=3,
            append_time=9,
            key=b"k",
            value=b"v",
            moved_from=b"1/2/9" if topic == RAW_BARS else None,
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


def test_of_some_symbols_the_places_are_those_among_all() -> None:
    """Other records and evidence are left out; progress claims what is left."""
    later = a_bar_event(symbol=OTHER, event_time=NINE_THIRTY + 4 * MINUTE_US)
    events = [*(a_bar_event(symbol=symbol, event_time=NINE_THIRTY) for symbol in (OTHER, "SPY")), later]
    value = encode(RAW_BARS, a_block(*events))
    block = RawRecord(
        topic=RAW_BARS, partition=PARTITION, offset=0, append_time=NINE_THIRTY * 2, key=None, value=value
    )
    everything, own = (
        [decode_value(BARS, r.value) for r in replay([block], DEFAULT_PARTITIONS, symbols) if r.topic == BARS]
        for symbols in ((), ("SPY",))
    )

    assert [record["symbol"] for record in everything] == [OTHER, "SPY", OTHER]
    assert own == everything[1:2]
    told = [
        [r.topic for r in replay([block], DEFAULT_PARTITIONS, symbols)].count(EVIDENCE)
        for symbols in ((), ("SPY",))
    ]
    assert told == [3, 1]
    streamed = list(replay([block, raw(1)], DEFAULT_PARTITIONS, ("SPY",)))
    assert [r.offset for r in streamed if r.topic == BARS] == [0]
    assert decode(PROGRESS, streamed[-1].value, Progress).canonical_end_offset == 1


def test_the_end_of_a_record_stream_is_told() -> None:
    """One that just stops has none."""
    for has_end in (True, False):
        pipe = io.BytesIO()
        write_record(
            pipe, StreamedRecord(topic=RAW_BARS, partition=0, offset=3, append_time=9, key=b"k", value=b"v")
        )
        if has_end:
            write_record(pipe, END)
        pipe.seek(0)
        records = from_stream(pipe)
        next(records)
        with pytest.raises(StopIteration) as stop:
            next(records)
        assert stop.value.value is has_end
