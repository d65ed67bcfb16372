"""Settings of our clients on the real broker."""

from __future__ import annotations

from confluent_kafka import Producer

from infra.runtime.kafka.clients import producer_config
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS


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

    assert placed == {symbol: partition_of(symbol, DEFAULT_PARTITIONS) for symbol in placed}
