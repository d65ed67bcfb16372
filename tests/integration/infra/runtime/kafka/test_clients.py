"""Publishing and reading on the real broker."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import Consumer, Producer

from infra.runtime.kafka.clients import (
    Outgoing,
    Publisher,
    consumer_config,
    offsets,
    producer_config,
    read_range,
)
from schemas.errors import BrokerUnavailable
from schemas.partitions import partition_of
from schemas.topics import BARS, RAW_BARS, partition_count


async def test_offsets_come_back_in_order_and_only_after_confirmation(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """What publish returns is in the log, at those offsets."""
    publisher = Publisher(kafka_bootstrap, "test")
    records = [Outgoing(topic=topic_prefix + BARS, partition=1, value=str(n).encode()) for n in range(500)]
    try:
        placed = await publisher.publish(records)
    finally:
        publisher.close()
    consumer = Consumer(consumer_config(kafka_bootstrap, "test"))
    read = [(m.offset(), m.value()) for m in read_range(consumer, topic_prefix + BARS, 1, 0)]
    consumer.close()

    assert read == list(zip(placed, (record.value for record in records), strict=True))


async def test_a_topic_that_does_not_exist_is_an_error_not_a_new_topic(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Auto-creation is off: a typo in a name loses nothing silently."""
    publisher = Publisher(kafka_bootstrap, "test")
    try:
        with pytest.raises(BrokerUnavailable, match="nosuch"):
            await publisher.publish([Outgoing(topic=topic_prefix + "nosuch", partition=0, value=b"x")])
    finally:
        publisher.close()


def test_reading_a_partition_ends_at_its_end_not_at_the_high_watermark(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Aborted records and control records lie below the high watermark and are never delivered."""
    topic = topic_prefix + BARS
    config = producer_config(kafka_bootstrap, "test") | {
        "transactional.id": topic_prefix + "writer",
        "transaction.timeout.ms": 30_000,
        "delivery.timeout.ms": 30_000,
    }
    producer = Producer(config)
    producer.init_transactions(30)
    for value, commit in ((b"kept", True), (b"aborted", False)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=2)
        producer.flush()
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    consumer = Consumer(consumer_config(kafka_bootstrap, "test"))

    assert [m.value() for m in read_range(consumer, topic, 2, 0)] == [b"kept"]
    assert offsets(consumer, topic, 2)[1] > 1
    consumer.close()


def test_reading_up_to_an_offset_ends_while_others_write_on(kafka_bootstrap: str, topic_prefix: str) -> None:
    """On a partition that is written without a pause the end may never be seen; nothing before the offset is left out."""
    topic, over, written = topic_prefix + RAW_BARS, threading.Event(), threading.Event()
    producer = Producer(producer_config(kafka_bootstrap, "test", linger_ms=0))

    def write() -> None:
        count = 0
        while not over.is_set():
            producer.produce(topic, str(count).encode(), partition=1)
            count += 1
            if count % 20 == 0:
                producer.flush()
            if count == 2_000:
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    consumer = Consumer(consumer_config(kafka_bootstrap, "test"))
    try:
        assert written.wait(30)
        _, end = offsets(consumer, topic, 1)
        read = [message.offset() for message in read_range(consumer, topic, 1, 5, end)]
        beyond = list(read_range(consumer, topic, 1, end, end))
    finally:
        over.set()
        writer.join()
        producer.flush()
        consumer.close()

    assert read == list(range(5, end))
    assert beyond == []


async def test_our_partition_is_the_one_kafkas_own_partitioner_chooses(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Librdkafka with murmur2_random and our murmur2 agree for every symbol."""
    placed: dict[str, int] = {}
    producer = Producer(producer_config(kafka_bootstrap, "test"))
    for symbol in ("SPY", "BRK.B", "^GSPC", "BTC-USD", "EURUSD=X", "SIM001", "Ünïcode"):
        producer.produce(
            topic_prefix + BARS, b"", symbol.encode(),
            on_delivery=lambda _, message, s=symbol: placed.__setitem__(s, message.partition()),
        )  # fmt: skip
    producer.flush()

    assert placed == {symbol: partition_of(symbol, partition_count()) for symbol in placed}
