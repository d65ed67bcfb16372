"""Topics of dead letters → the database, for ever: each letter once, whoever wrote it, until its topic keeps it no more.

How far a topic was read is in the database, too, so that it is read once; several sinks may read the same, a letter is
stored once. Offsets also number control markers and aborted records: what is counted is letters. A topic is shown once it
was read to its end, and no longer when nobody could count for two minutes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from math import nan

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogEvent, LogReader, append_time_us, event_of
from infra.runtime.postgres import dead_events as stored
from infra.runtime.postgres.errors import Connection, Pool
from infra.runtime.postgres.pool import connection
from schemas.clocks import WallTime
from schemas.dead_events import DeadEvent, LetterPlace, dead_event
from schemas.errors import BrokerUnavailable, StoreUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import catalogue, dead
from sinks.progress.positions import Log
from sinks.reading.shell.logs import TopicLogs

log = logging.getLogger(__name__)

COUNT_EVERY_S = 30.0
READ_FOR_S = 20.0  # at most in one go; what is left is read in the next
POLL_S = 0.5
READ_AT_ONCE = 500
WITHIN_S = 10.0  # for the database
STALE_S = 120.0
# letters hold up to 2 MiB of a vendor's bytes each
TUNING = {"queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8_388_608}

Ends = dict[TopicPartition, tuple[str, int]]


def show_depth(kind: str, depth: int) -> None:
    """Show how deep one kind is: NaN once nobody has counted for two minutes."""
    counted_s = monotonic_s()

    def computed() -> float:
        return depth if monotonic_s() - counted_s < STALE_S else nan

    metrics.compute_at_scrape(metrics.DLQ_DEPTH.labels(kind), computed)


@dataclass(slots=True)
class _Read:
    """Letters of one fetch, how far each partition is read with them, and which end there."""

    events: list[DeadEvent] = field(default_factory=list)
    ends: Ends = field(default_factory=dict)
    ended: set[TopicPartition] = field(default_factory=set)


class DeadLetters:
    """Stores the letters of every declared topic, and shows how many nobody has ended."""

    def __init__(self, bootstrap: str, logs: TopicLogs, pool: Pool, partitions: int, *, prefix: str) -> None:
        """Look at topics through `logs`, of `partitions` each on the cluster; both give their names `prefix` there."""
        self._bootstrap, self._logs, self._pool, self._prefix = bootstrap, logs, pool, prefix
        topics = catalogue().topics
        self._twins = {dead(topic): topic for topic in topics if dead(topic) in topics}
        self._places = [
            TopicPartition(twin, number)
            for twin in self._twins
            for number in range(topics[twin].partitions(partitions))
        ]
        self._whole: set[TopicPartition] = set()  # read to the end of the log at least once
        # topic id and start of the log when letters were last forgotten
        self._kept: Ends = {}
        self._stopping = threading.Event()

    async def watch(self) -> None:
        """Read every 30 s; an outage of the broker or the database is waited out."""
        try:
            while True:
                try:
                    await self.read()
                except (BrokerUnavailable, StoreUnavailable, TimeoutError) as error:
                    log.warning("dead_letters_waiting", extra={"error": str(error)})
                await asyncio.sleep(COUNT_EVERY_S)
        finally:
            self._stopping.set()

    async def read(self) -> None:
        """Store what is new, forget what is gone, and show the depths; raises BrokerUnavailable or StoreUnavailable."""
        logs = await self._logs.look(self._places)
        async with self._borrowed() as borrowed:
            known = await stored.positions(borrowed)
            await self._forget(borrowed, logs)
        behind: Ends = {}
        for place, each in logs.items():
            topic_id, position = known.get(self._died_in(place), ("", 0))
            position = max(position if topic_id == each.topic_id else 0, each.start)
            if position < each.end:
                behind[place] = each.topic_id, position
            else:
                self._whole.add(place)
        if behind:
            await self._store(behind)
        async with self._borrowed() as borrowed:
            depths = await stored.depths(borrowed)
        self._show(depths)

    async def _forget(self, borrowed: Connection, logs: Mapping[TopicPartition, Log]) -> None:
        for place, each in logs.items():
            if self._kept.get(place) != (each.topic_id, each.start):
                await stored.forget(borrowed, self._died_in(place), each.topic_id, each.start)
                self._kept[place] = each.topic_id, each.start

    async def _store(self, behind: Ends) -> None:
        """Read on to the end of each partition, or as long as one go may take."""
        end_s, left = monotonic_s() + READ_FOR_S, set(behind)
        starts = {
            TopicPartition(self._prefix + topic, number): position
            for (topic, number), (_, position) in behind.items()
        }
        with LogReader(self._bootstrap, f"{self._prefix}sinks-dead-letters", tuning=TUNING) as reader:
            reader.assign(starts)
            while left and monotonic_s() < end_s and not self._stopping.is_set():
                taken = await asyncio.to_thread(self._take, reader, behind)
                if taken.ends:
                    async with self._borrowed() as borrowed:
                        await stored.store(borrowed, taken.events, taken.ends)
                self._whole |= taken.ended
                left -= taken.ended

    def _take(self, reader: LogReader, behind: Ends) -> _Read:
        """Return what has arrived; raises BrokerUnavailable where a partition cannot be read."""
        taken = _Read()
        for message in reader.fetch(READ_AT_ONCE, within_s=POLL_S):
            topic, offset = (message.topic() or "").removeprefix(self._prefix), message.offset() or 0
            place = TopicPartition(topic, message.partition() or 0)
            topic_id, died_in = behind[place][0], self._died_in(place)
            error = message.error()
            if error is None:
                taken.events.append(_event(message, died_in, topic_id))
                taken.ends[died_in] = topic_id, offset + 1
            elif event_of(error) is LogEvent.END:
                taken.ends[died_in] = topic_id, offset
                taken.ended.add(place)
            elif event_of(error) is not LogEvent.PASSING:
                raise BrokerUnavailable(f"dead letters of {topic} cannot be read: {error.str()}")
        return taken

    def _show(self, depths: Mapping[str, int]) -> None:
        for twin, topic in self._twins.items():
            if all(place in self._whole for place in self._of(twin)):
                show_depth(topic, depths.get(topic, 0))
            else:
                metrics.DLQ_DEPTH.remove(topic)

    def _of(self, twin: str) -> Iterator[TopicPartition]:
        return (place for place in self._places if place.topic == twin)

    def _died_in(self, place: TopicPartition) -> TopicPartition:
        return TopicPartition(self._twins[place.topic], place.partition)

    def _borrowed(self) -> AbstractAsyncContextManager[Connection]:
        return connection(self._pool, within_s=WITHIN_S, or_else="dead letters cannot be stored")


def _event(message: Message, died_in: TopicPartition, topic_id: str) -> DeadEvent:
    place = LetterPlace(
        topic=died_in.topic, topic_id=topic_id, partition=died_in.partition, offset=message.offset() or 0
    )
    return dead_event(place, message.value(), WallTime(append_time_us(message) or 0))
