"""The fenced writer of one partition against a real broker: takeover, fencing, exact end offsets, rebuilding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.clients import producer_config
from schemas.errors import ConfigurationError, Fenced
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.topics import BARS, GAPS, PROGRESS, RAW_BARS, dead, partition_count, progress_key
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell import rebuild
from stream_processors.shell.writer import PartitionWriter
from stream_processors.transaction import RawRecord, Transaction, transact
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block
from tests.support.eventually import eventually
from tests.support.processor_workers import Log, Raw

SPY = partition_of("SPY", partition_count())


@pytest.fixture
def log(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Log]:
    """Give a reader of what was written."""
    reader = Log(kafka_bootstrap, topic_prefix)
    yield reader
    reader.close()


@pytest.fixture
def raw(kafka_bootstrap: str, topic_prefix: str) -> Raw:
    """Give a way to append raw records."""
    return Raw(kafka_bootstrap, topic_prefix)


def writer_of(bootstrap: str, prefix: str) -> PartitionWriter:
    """Return the writer of SPY's bars."""
    return PartitionWriter(bootstrap, RAW_BARS, SPY, partition_count(), prefix=prefix)


def block_of(*minutes: int) -> RawBlock:
    """Return a block with the bars of some minutes."""
    return a_block(*(a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US) for number in minutes))


def fill(raw: Raw, records: int) -> None:
    """Append as many raw records as are going to be processed: progress may not lie beyond the log."""
    for _ in range(records):
        raw.send(RAW_BARS, SPY, encode(RAW_BARS, a_block(provider="", endpoint="tick")))


def transaction(state: PartitionState, block: RawBlock | None) -> Transaction:
    """Return the next block of the partition as a transaction; None is a tick."""
    value = encode(RAW_BARS, block or a_block(provider="", endpoint="tick"))
    return transact(
        state,
        RawRecord(
            topic=RAW_BARS,
            partition=SPY,
            offset=state.next_offset,
            append_time=NINE_THIRTY * 2 + state.next_offset,
            key=None,
            value=value,
        ),
    )


def test_a_predecessor_that_wakes_up_can_write_nothing(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Whatever it had decided meanwhile is refused."""
    fill(raw, 3)
    frozen, successor = writer_of(kafka_bootstrap, topic_prefix), writer_of(kafka_bootstrap, topic_prefix)
    state = frozen.take_over()
    frozen.commit([transaction(state, block_of(0))])

    taken = successor.take_over()
    successor.commit([transaction(taken, block_of(1))])

    with pytest.raises(Fenced):
        frozen.commit([transaction(state, block_of(5))])
    assert [value["raw_offset"] for value in log.values(BARS, SPY)] == [0, 1]


def test_what_a_predecessor_left_open_is_aborted(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """A takeover does not wait for the transaction's time-out, and its commit comes too late."""
    fill(raw, 3)
    successor = writer_of(kafka_bootstrap, topic_prefix)
    frozen = Producer(
        {**producer_config(kafka_bootstrap, "frozen"), "transactional.id": successor.transactional_id}
    )
    frozen.init_transactions(10)
    frozen.begin_transaction()
    frozen.produce(topic_prefix + BARS, b"never", b"SPY", partition=SPY)
    frozen.flush(5)

    successor.commit([transaction(successor.take_over(), block_of(1))])

    with pytest.raises(KafkaException):
        frozen.commit_transaction(5)
    assert [value["raw_offset"] for value in log.values(BARS, SPY)] == [0]


def test_progress_claims_exactly_where_the_canonical_partition_ended(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Whoever read up to the claimed offset holds all of the transactions before; through ticks, runs and a takeover."""
    fill(raw, 12)
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(state, block_of(0, 1))])
    writer.commit([transaction(state, None)])
    writer.commit([transaction(state, block) for block in (block_of(2), None, block_of(3, 4), block_of(5))])
    writer.commit([transaction(state, block_of(6)), transaction(state, block_of(7))])
    second = writer_of(kafka_bootstrap, topic_prefix)
    state = second.take_over()
    second.commit([transaction(state, block_of(8)), transaction(state, block_of(9))])
    second.commit([transaction(state, None)])

    records = log.messages(BARS, SPY)
    values = log.values(BARS, SPY)
    assert len(values) == 10
    done = -1
    for progress in log.progress(RAW_BARS, SPY):
        earlier = [
            (m.offset() or 0) + 1 for m, v in zip(records, values, strict=True) if v["raw_offset"] <= done
        ]
        assert progress.canonical_end_offset == max(earlier, default=0), progress
        assert progress.complete_before == NINE_THIRTY * 2 + done + 1, progress
        done = progress.raw_offset
    assert done == 10


def test_a_foreign_record_makes_no_claim_false(kafka_bootstrap: str, topic_prefix: str, log: Log) -> None:
    """What is claimed was confirmed before; where a transaction's own records will lie nobody needs to know."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(state, block_of(0))])
    intruder = Producer(producer_config(kafka_bootstrap, "test-intruder"))
    intruder.produce(topic_prefix + BARS, b"foreign", b"SPY", partition=SPY)
    intruder.flush(5)

    writer.commit([transaction(state, block_of(1)), transaction(state, block_of(2))])
    writer.commit([transaction(state, None)])

    ends = [(m.offset() or 0) + 1 for m in log.messages(BARS, SPY) if m.value() != b"foreign"]
    claimed = [progress.canonical_end_offset for progress in log.progress(RAW_BARS, SPY)]
    assert claimed == [0, ends[0], ends[2]]


def test_standing_is_found_however_deep_and_foreign_records_are_skipped(
    kafka_bootstrap: str, topic_prefix: str, log: Log, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    """Progress buried under others', and garbage in every topic that is read back."""
    monkeypatch.setattr(rebuild, "FIRST_WINDOW", 2)
    for number in range(3):
        raw.block(RAW_BARS, block_of(number))
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    for number in range(3):
        writer.commit([transaction(state, block_of(number, number + 2))])
    for topic in (PROGRESS, BARS, GAPS):
        for _ in range(9):
            raw.send(topic, SPY, b"garbage", b"other")
    raw.send(PROGRESS, SPY, b"garbage", progress_key(RAW_BARS, SPY))

    rebuilt = writer_of(kafka_bootstrap, topic_prefix).take_over()

    assert (rebuilt.next_offset, rebuilt.known_from) == (3, state.known_from)
    assert {key: stream.frontier for key, stream in rebuilt.streams.items()} == {
        key: stream.frontier for key, stream in state.streams.items()
    }
    assert transaction(rebuilt, block_of(2, 3, 4)).canonical == []


def test_raw_records_deleted_unprocessed_are_told_as_gaps(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Retention was faster than the processor: it goes on at the log's start, and what lay before is a visible hole."""
    for minute in (0, 1, 2, 3, 6):
        raw.block(RAW_BARS, block_of(minute))
    writer = writer_of(kafka_bootstrap, topic_prefix)
    writer.commit([transaction(writer.take_over(), block_of(0))])
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for future in admin.delete_records([TopicPartition(topic_prefix + RAW_BARS, SPY, 4)]).values():
        future.result(30)

    successor = writer_of(kafka_bootstrap, topic_prefix)
    state = successor.take_over()
    assert (state.next_offset, state.torn) == (4, set(state.streams))
    assert state.torn
    successor.commit([transaction(state, block_of(6))])

    told = [(gap["from_time"], gap["to_time"], gap["cause"]) for gap in log.values(GAPS, SPY)]
    assert told == [(NINE_THIRTY + MINUTE_US, NINE_THIRTY + 6 * MINUTE_US, "log_truncated")]
    assert not writer_of(kafka_bootstrap, topic_prefix).take_over().torn


def test_a_recreated_raw_topic_is_refused(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Going on at its end would skip everything in it, silently."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(state, block_of(0))])  # offset 0 of a raw topic that holds nothing

    with pytest.raises(ConfigurationError, match="recreated"):
        writer_of(kafka_bootstrap, topic_prefix).take_over()


async def test_records_between_offsets_are_told_from_holes(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """A control record leaves an offset without a record."""
    raw.block(RAW_BARS, block_of(0))
    producer = Producer(
        {
            **producer_config(kafka_bootstrap, "test-tx"),
            "transactional.id": f"{topic_prefix}tx",
            "delivery.timeout.ms": 9_000,
        }
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic_prefix + RAW_BARS, encode(RAW_BARS, block_of(1)), partition=SPY)
    producer.commit_transaction(10)
    # the broker writes the marker later
    await eventually(lambda: log.ends()[RAW_BARS, SPY] == 2, within_s=10)
    raw.block(RAW_BARS, block_of(2))
    writer = writer_of(kafka_bootstrap, topic_prefix)

    assert writer.skipped_records(1, 3)
    assert not writer.skipped_records(2, 3)


def test_everything_of_a_block_is_in_one_transaction(
    kafka_bootstrap: str, topic_prefix: str, log: Log
) -> None:
    """Records, gaps, dead letters and progress, a block larger than the local queue included."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    events = [
        a_bar_event(event_time=NINE_THIRTY + n * MINUTE_US, close=float("nan") if n == 3 else 167.3)
        for n in (0, 2, 3)
    ]
    writer.commit([transaction(state, a_block(*events))])

    assert len(log.values(BARS, SPY)) == 2
    assert len(log.values(GAPS, SPY)) == 1
    assert len(log.messages(dead(RAW_BARS), SPY)) == 1
    assert len(log.progress(RAW_BARS, SPY)) == 1


async def test_a_neighbours_open_transaction_does_not_hide_our_progress(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Lanes share partitions of progress: a successor waits until what lies there is decided, then starts after ours."""
    fill(raw, 3)
    state = (first := writer_of(kafka_bootstrap, topic_prefix)).take_over()
    config = producer_config(kafka_bootstrap, "neighbour") | {
        "transactional.id": f"{topic_prefix}processor-raw.trades.v1-{SPY}",
        "transaction.timeout.ms": 30_000, "delivery.timeout.ms": 30_000,
    }  # fmt: skip
    neighbour = Producer(config)
    neighbour.init_transactions(30)
    neighbour.begin_transaction()
    neighbour.produce(
        topic_prefix + PROGRESS, b"undecided", progress_key("raw.trades.v1", SPY), partition=SPY
    )
    neighbour.flush()
    first.commit([transaction(state, block_of(0))])
    first.commit([transaction(state, block_of(1))])

    taking_over = asyncio.create_task(asyncio.to_thread(writer_of(kafka_bootstrap, topic_prefix).take_over))
    done, _ = await asyncio.wait({taking_over}, timeout=3)
    neighbour.abort_transaction()

    assert not done, "it read past what nobody had decided yet"
    assert (await taking_over).next_offset == 2
