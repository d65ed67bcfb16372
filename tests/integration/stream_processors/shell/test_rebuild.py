"""What a takeover finds in the logs of a real broker."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.clients import producer_config
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US
from schemas.topics import BARS, GAPS, PROGRESS, RAW_BARS, progress_key
from schemas.wire.codec import encode
from stream_processors.shell import rebuild
from tests.support.builders import NINE_THIRTY
from tests.support.eventually import eventually
from tests.support.partition_writers import SPY, block_of, fill, transaction, writer_of
from tests.support.processor_workers import Log, Raw


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
    assert {key: stream.frontier for key, stream in rebuilt.held.items()} == {
        key: stream.frontier for key, stream in state.held.items()
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
    assert (state.next_offset, state.torn) == (4, set(state.held))
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
