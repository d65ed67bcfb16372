"""Raw blocks, dead letters and journals → Kafka; returns when the broker has confirmed them, and knows since when it has not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from infra.runtime import tracing
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.metrics import DEAD_LETTERS, RAW_BLOCKS, RAW_EVENTS
from producers.raw.blocks import Placed, encoded
from producers.raw.watched import WatchedStreams
from schemas.clocks import KnowledgeTime, WallTime
from schemas.journals import Journal, key_of
from schemas.partitions import partition_of
from schemas.records import DeadLetter
from schemas.topics import dead
from schemas.wire.codec import encode

STAGE = "producer"
MAX_PAYLOAD_BYTES = 2_097_152  # 2 MiB of a vendor's bytes in a dead letter


class RawTopics:
    """Publishes what the vendors sent; waits as long as the broker is away."""

    def __init__(
        self,
        publisher: Publisher,
        partitions: int,
        *,
        prefix: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish to the declared topics under `prefix`, which have `partitions` each.

        `check` is called before every block, and may end the process.
        """
        self.partitions = partitions
        self._check = check
        self._publisher = publisher
        self._prefix = prefix
        self._pending: dict[int, float] = {}
        self._calls = 0
        self.watched = WatchedStreams()
        self.delivered_blocks = 0

    @property
    def waiting_s(self) -> float:
        """Seconds for which the oldest unconfirmed record has been waiting for the broker."""
        return monotonic_s() - min(self._pending.values()) if self._pending else 0.0

    async def publish(self, topic: str, placed: Sequence[Placed]) -> None:
        """Publish blocks in order; raise InvalidRecord where one does not fit its schema, BrokerUnavailable."""
        if not placed:
            return
        values = [(entry, value) for entry in placed for value in encoded(topic, entry.block)]
        records = [
            Outgoing(topic=self._prefix + topic, partition=entry.partition, value=value)
            for entry, value in values
        ]
        self._check()
        begun_s = monotonic_s()
        with self._timed():
            offsets = await self._publisher.publish(records)
        if tracing.is_recording():
            for (entry, value), offset in zip(values, offsets, strict=True):
                told = _told(entry, value)
                tracing.block_published(topic, entry.partition, offset, began_s=begun_s, attributes=told)
        self.delivered_blocks += len(records)
        for entry in placed:
            RAW_BLOCKS.labels(entry.block.provider, topic).inc()
            RAW_EVENTS.labels(entry.block.provider, topic).inc(len(entry.block.events))

    async def dead_letter(
        self,
        topic: str,
        *,
        reason: str,
        message: str,
        provider: str,
        symbol: str,
        received_time: WallTime,
        payload: bytes,
    ) -> None:
        """Publish what could not become part of `topic`, with the vendor's bytes; it is known from `received_time` on."""
        letter = DeadLetter(
            stage=STAGE,
            reason=reason,
            message=message,
            topic=topic,
            known_from=KnowledgeTime(received_time),
            provider=provider,
            symbol=symbol,
            payload=payload[:MAX_PAYLOAD_BYTES],
        )
        record = Outgoing(
            topic=self._prefix + dead(topic),
            partition=partition_of(symbol, self.partitions),
            value=encode(dead(topic), letter),
            key=symbol.encode() or None,
        )
        with self._timed():
            await self._publisher.publish([record])
        DEAD_LETTERS.labels(STAGE, reason).inc()

    async def confirmed(self, records: Sequence[Outgoing]) -> None:
        """Return when the broker has confirmed records of this process' own work; raise BrokerUnavailable."""
        if not records:
            return
        self._check()
        with self._timed():
            await self._publisher.publish(records)

    async def note(self, journal: Journal, records: Sequence[Any]) -> None:
        """Publish records of a journal in order; raise BrokerUnavailable where the publisher is dead."""
        outgoing = []
        for record in records:
            key = key_of(journal, record)
            outgoing.append(
                Outgoing(
                    topic=self._prefix + journal.topic,
                    partition=partition_of(key, self.partitions),
                    value=encode(journal.topic, record),
                    key=key.encode(),
                )
            )
        with self._timed():
            await self._publisher.publish(outgoing)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._calls += 1
        call = self._calls
        self._pending[call] = monotonic_s()
        try:
            yield
        finally:
            del self._pending[call]


def _told(entry: Placed, value: bytes) -> dict[str, tracing.Attribute]:
    block = entry.block
    return {
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.message.body.size": len(value),
        "mds.provider": block.provider,
        "mds.endpoint": block.endpoint,
        "mds.events": len(block.events),
    }
