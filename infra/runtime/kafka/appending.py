"""Appending records that were elsewhere before, under the stamp they had there, and with a word of where that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from confluent_kafka import KafkaError, Message, Producer

from infra.runtime.kafka.clients import producer_config
from schemas.errors import BrokerUnavailable
from schemas.topics import MOVED_FROM, RAW_TOPICS, catalogue

STAMP, BY_PRODUCER, BY_BROKER = "message.timestamp.type", "CreateTime", "LogAppendTime"
POLL_S, FLUSH_S = 0.1, 120.0
WRITING = {"queue.buffering.max.kbytes": 32_768}
# Stamped by whoever writes, as long as records are moved: what a broker stamped before must stay, however fast its clock
# was. And a record grows where it says where it was.
WHILE_MOVING = {
    STAMP: BY_PRODUCER, "message.timestamp.after.max.ms": str(2**63 - 1),
    "max.message.bytes": str(catalogue().topics[RAW_TOPICS[0]].max_message_bytes + 256),
}  # fmt: skip

Headers: TypeAlias = Sequence[tuple[str, bytes]]


class Point(NamedTuple):
    """The place of a record in the sequence of all old partitions."""

    known_from_us: int
    partition: int
    offset: int


def appending(bootstrap: str, client_id: str, topic: str) -> Appending:
    """Return what appends to a topic, in the order it is given records."""
    producer = Producer({**producer_config(bootstrap, client_id, linger_ms=20), **WRITING})
    return Appending(producer=producer, topic=topic)


@dataclass(slots=True, kw_only=True)
class Appending:
    """The appending to one topic; a record that could not be written ends it."""

    producer: Producer
    topic: str
    failed: KafkaError | None = field(default=None)

    def write(
        self, partition: int, key: bytes | None, value: bytes | None, point: Point, headers: Headers = ()
    ) -> None:
        """Append a record in order, with where it was; waits where the broker is slower."""
        moved = f"{point.partition}/{point.offset}/{point.known_from_us}".encode()
        told: list[tuple[str, str | bytes | None]] = [*headers, (MOVED_FROM, moved)]
        while True:
            self.check()
            try:
                self.producer.produce(
                    self.topic, value, key, partition=partition, headers=told,
                    timestamp=point.known_from_us // 1_000, on_delivery=self._told,
                )  # fmt: skip
            except BufferError:
                self.producer.poll(POLL_S)
            else:
                self.producer.poll(0)
                return

    def finish(self) -> None:
        """Return when everything is confirmed; raise BrokerUnavailable."""
        if self.producer.flush(FLUSH_S):
            raise BrokerUnavailable(f"{self.topic}: not confirmed within {FLUSH_S:.0f} s; run it again")
        self.check()

    def check(self) -> None:
        """Raise BrokerUnavailable where a record could not be written."""
        if self.failed is not None:
            raise BrokerUnavailable(f"{self.topic} not confirmed: {self.failed.str()}; run it again")

    def _told(self, error: KafkaError | None, _: Message) -> None:
        self.failed = self.failed or error
