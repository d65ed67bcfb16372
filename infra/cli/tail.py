"""`mds tail`: the canonical records of one symbol, as JSON lines, as they are committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from infra.cli.system import System
from infra.runtime.kafka.clients import consumer_config
from schemas.errors import BrokerUnavailable, ConfigurationError, MalformedPayload
from schemas.partitions import partition_of
from schemas.streams import STREAMS, StreamName
from schemas.topics import partition_count
from schemas.wire.codec import decode_value

TOPICS = {stream.name: stream.topic for stream in STREAMS}
POLL_S = 0.5
CONNECT_TIMEOUT_S = 5.0


def records(system: System, symbol: str, *, stream: StreamName, from_start: bool) -> Iterator[dict[str, Any]]:
    """Yield the symbol's records for ever: the values, plus topic, partition and offset.

    Times are microseconds since the Unix epoch, UTC. Only committed records are read. Raises
    BrokerUnavailable when the broker does not answer.
    """
    declared = TOPICS[stream]
    topic = system.settings.topic_prefix + declared
    partition = partition_of(symbol, partition_count())
    system.reach_kafka()
    consumer = Consumer(consumer_config(system.settings.bootstrap_servers, "mds-tail"))
    try:
        _check_topic(consumer, topic)
        start = OFFSET_BEGINNING if from_start else OFFSET_END
        consumer.assign([TopicPartition(topic, partition, start)])
        while True:
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                _raise_unless_end(error)
                continue
            if message.key() != symbol.encode():
                continue
            place = {"topic": topic, "partition": partition, "offset": message.offset()}
            try:
                yield place | decode_value(declared, message.value())
            except MalformedPayload as malformed:
                yield place | {"error": str(malformed)}
    finally:
        consumer.close()


def _check_topic(consumer: Consumer, topic: str) -> None:
    """Tell that a topic is absent before waiting for records that cannot come."""
    try:
        found = consumer.list_topics(topic, timeout=CONNECT_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise BrokerUnavailable(f"Kafka does not list its topics: {error.args[0].str()}") from error
    if found.error is not None:
        raise ConfigurationError(f"topic {topic} does not exist", remedy="create it with `mds topics apply`")


def _raise_unless_end(error: KafkaError) -> None:
    """Pass over the end of a partition, which is news and no failure, and over a broker that will be back."""
    if error.name() not in ("_PARTITION_EOF", "_ALL_BROKERS_DOWN", "_TRANSPORT"):
        raise BrokerUnavailable(f"Kafka: {error.str()}")
