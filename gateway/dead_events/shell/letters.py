"""Kafka as replays of dead events use it: letters whole, raw records published, and what a raw topic holds of them since."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from gateway.dead_events.judging import names_letter
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.clocks import WallTime
from schemas.dead_events import DeadEvent, letter_of
from schemas.topics import dead

CLIENT = "gateway-dead-events"
READ_WITHIN_S = 5.0
DELIVERED_WITHIN_MS = 10_000
TUNING = {"fetch.wait.max.ms": 20}


class Letters:
    """Reads and publishes for one gateway; every method raises BrokerUnavailable."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect when something is asked for; topics are named without `prefix`."""
        self._bootstrap, self._prefix = bootstrap, prefix

    async def payloads(self, events: Iterable[DeadEvent]) -> dict[int, bytes | None]:
        """Return the bytes of each event by its id; None where its topic keeps them no more."""
        found: dict[int, bytes | None] = {}
        elsewhere = []
        for event in events:
            if event.is_whole:
                found[event.dead_id] = event.letter.payload
            else:
                elsewhere.append(event)
        if elsewhere:
            found |= await asyncio.to_thread(self._payloads, elsewhere)
        return found

    async def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the end of partitions of a raw topic."""
        return await asyncio.to_thread(self._ends, topic, sorted(set(partitions)))

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Publish in order, confirmed within 10 s or not at all as far as we can say; return the offsets."""
        named = [
            Outgoing(topic=self._prefix + each.topic, partition=each.partition, value=each.value)
            for each in records
        ]
        publisher = Publisher(self._bootstrap, self._prefix + CLIENT, delivery_timeout_ms=DELIVERED_WITHIN_MS)
        try:
            return await publisher.publish(named)
        finally:
            await asyncio.to_thread(publisher.close)

    async def brought(
        self, topic: str, partition: int, start_offset: int, before: WallTime
    ) -> Mapping[str, int] | None:
        """Return letter → offset of the raw records from `start_offset` on that came from one, of those appended `before` a moment.

        None where the log begins after that: who would tell is deleted.
        """
        return await asyncio.to_thread(self._brought, topic, partition, start_offset, before)

    def _payloads(self, events: Sequence[DeadEvent]) -> dict[int, bytes | None]:
        found: dict[int, bytes | None] = {}
        with self._reading() as reader:
            for event in events:
                place, topic = event.place, self._prefix + dead(event.place.topic)
                low, high = reader.bounds(topic, place.partition)
                found[event.dead_id] = None
                if low <= place.offset < high:
                    for message in reader.read(topic, place.partition, place.offset, place.offset + 1):
                        letter = letter_of(place.topic, message.value(), event.dead_time)
                        found[event.dead_id] = letter.payload if _is(letter.payload, event) else None
        return found

    def _ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        with self._reading() as reader:
            return {number: reader.bounds(self._prefix + topic, number)[1] for number in partitions}

    def _brought(
        self, topic: str, partition: int, start_offset: int, before: WallTime
    ) -> Mapping[str, int] | None:
        name, found = self._prefix + topic, defaultdict[str, int](int)
        with self._reading() as reader:
            low, high = reader.bounds(name, partition)
            if low > start_offset or high < start_offset:
                return None
            end = reader.offset_at(name, partition, before)
            for message in reader.read(
                name, partition, start_offset, high if end is None else min(end, high)
            ):
                letter = names_letter(topic, message.value())
                if letter:
                    found[letter] = message.offset() or 0
        return found

    @contextmanager
    def _reading(self) -> Iterator[LogReader]:
        with LogReader(
            self._bootstrap, self._prefix + CLIENT, within_s=READ_WITHIN_S, tuning=TUNING
        ) as reader:
            yield reader


def _is(payload: bytes, event: DeadEvent) -> bool:
    """Whether these are the bytes of an event, not of another letter at the same place of a topic that was made again."""
    return len(payload) == event.payload_bytes and payload.startswith(event.letter.payload)
