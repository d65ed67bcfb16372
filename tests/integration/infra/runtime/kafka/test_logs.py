"""Reading partitions of the real broker."""

from __future__ import annotations

import threading

from confluent_kafka import Producer

from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from schemas.topics import BARS, RAW_BARS


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
    reader = LogReader(kafka_bootstrap, "test")

    assert [m.value() for m in reader.read(topic, 2, 0)] == [b"kept"]
    assert reader.bounds(topic, 2)[1] > 1
    # to a broker -1 ms is the end of a log, and every other negative time is refused
    assert [reader.offset_at(topic, 2, before_1970_us) for before_1970_us in (-1_000, -1, -(10**15))] == [
        0,
        0,
        0,
    ]
    reader.close()


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
    reader = LogReader(kafka_bootstrap, "test")
    try:
        assert written.wait(30)
        _, end = reader.bounds(topic, 1)
        read = [message.offset() for message in reader.read(topic, 1, 5, end)]
        beyond = list(reader.read(topic, 1, end, end))
    finally:
        over.set()
        writer.join()
        producer.flush()
        reader.close()

    assert read == list(range(5, end))
    assert beyond == []
