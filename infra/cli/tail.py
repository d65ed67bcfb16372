"""`mds tail`: the canonical records of one symbol, as JSON lines, as they are committed."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from infra.cli.symbols import asked_symbol
from infra.cli.system import System
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable, MalformedPayload
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import STREAMS, StreamName
from schemas.wire.codec import decode_value

TOPICS = {stream.name: stream.topic for stream in STREAMS}
POLL_S = 0.5
BATCH = 500
CONNECT_TIMEOUT_S = 5.0


def records(
    system: System, symbol: str, *, stream: StreamName, from_start: bool, for_s: float | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the symbol's records for so long, else for ever: the values, plus topic, partition and offset.

    Times are microseconds since the Unix epoch, UTC. Only committed records are read. Raises
    BrokerUnavailable when the broker does not answer, ConfigurationError where it is no symbol.
    """
    declared, key = TOPICS[stream], asked_symbol(symbol).encode()
    topic = system.settings.topic_prefix + declared
    partition = partition_of(symbol, system.partition_count())
    bootstrap = system.settings.bootstrap_servers
    # A topic that is absent is told before waiting for records that cannot come.
    Topics(bootstrap, "mds-tail-admin", within_s=CONNECT_TIMEOUT_S).describe([topic])
    with LogReader(bootstrap, "mds-tail") as reader:
        low, high = reader.bounds(topic, partition)
        reader.assign({TopicPartition(topic, partition): low if from_start else high})
        until_s = inf if for_s is None else monotonic_s() + for_s
        while (left_s := until_s - monotonic_s()) > 0:
            for message in reader.fetch(BATCH, within_s=min(POLL_S, left_s)):
                if (error := message.error()) is not None:
                    if event_of(error) not in (LogEvent.END, LogEvent.PASSING):
                        raise BrokerUnavailable(f"Kafka: {error.str()}")
                elif message.key() == key:
                    place = {"topic": topic, "partition": partition, "offset": message.offset()}
                    try:
                        yield place | decode_value(declared, message.value())
                    except MalformedPayload as malformed:
                        yield place | {"error": str(malformed)}
