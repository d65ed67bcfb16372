"""Depth of the topics of dead letters, for ever: letters that are kept, whoever wrote them, as the metric shows them.

Offsets also number control markers and aborted records, so letters are read to be counted: once a process each, from
where counting stopped. A topic is shown once it was counted to its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import catalogue, dead
from sinks.progress.positions import Log
from sinks.reading.shell.logs import TopicLogs

COUNT_EVERY_S = 30.0
CHUNK = 1_024  # offsets in one integer: a bit each
READ_FOR_S = 20.0  # at most in one go; what is left is read in the next
POLL_S = 0.5
READ_AT_ONCE = 500
# letters hold up to 2 MiB of a vendor's bytes each
TUNING = {"queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8_388_608}


class HeldLetters:
    """Letters of one partition of a topic of dead letters; `position` is the offset where counting goes on."""

    def __init__(self, topic_id: str) -> None:
        """Know none, of the topic with this id."""
        self.topic_id = topic_id
        self.position = CanonicalOffset(0)
        self.whole = False  # counted to the end of the log at least once
        self._chunks: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many letters there are."""
        return sum(chunk.bit_count() for chunk in self._chunks.values())

    def add(self, offset: CanonicalOffset) -> None:
        """Count the letter at an offset, once however often it is read."""
        number, bit = divmod(offset, CHUNK)
        self._chunks[number] = self._chunks.get(number, 0) | 1 << bit
        self.position = CanonicalOffset(max(self.position, offset + 1))

    def begin_at(self, start: CanonicalOffset) -> None:
        """Forget what lies before the log's start: retention or an operator has deleted it."""
        first, bit = divmod(start, CHUNK)
        for number in [number for number in self._chunks if number < first]:
            del self._chunks[number]
        if first in self._chunks:
            self._chunks[first] = self._chunks[first] >> bit << bit
        self.position = max(self.position, start)


class DeadLetterDepth:
    """Counts the letters of every declared topic."""

    def __init__(self, bootstrap: str, logs: TopicLogs, partitions: int, *, prefix: str) -> None:
        """Look at topics through `logs`, of `partitions` each on the cluster; both give their names `prefix` there."""
        self._bootstrap, self._logs, self._prefix = bootstrap, logs, prefix
        topics = catalogue().topics
        self._twins = {dead(topic): topic for topic in topics if dead(topic) in topics}
        self._places = [
            TopicPartition(twin, number)
            for twin in self._twins
            for number in range(topics[twin].partitions(partitions))
        ]
        self._held: dict[TopicPartition, HeldLetters] = {}
        self._stopping = threading.Event()

    async def watch(self) -> None:
        """Count every 30 s; while the broker is away the last count stays."""
        try:
            while True:
                try:
                    logs = await self._logs.look(self._places)
                    await asyncio.to_thread(self._count, logs)
                except BrokerUnavailable:
                    pass  # the service says so itself
                self._show()
                await asyncio.sleep(COUNT_EVERY_S)
        finally:
            self._stopping.set()

    def _show(self) -> None:
        counted: dict[str, int] = {}
        unfinished = set(self._twins)
        for twin in self._twins:
            parts = [
                self._held[place] for place in self._places if place.topic == twin and place in self._held
            ]
            if parts and all(held.whole for held in parts):
                unfinished.discard(twin)
                counted[twin] = sum(map(len, parts))
        for twin in unfinished:
            metrics.DLQ_DEPTH.remove(self._twins[twin])
        for twin, letters in counted.items():
            metrics.DLQ_DEPTH.labels(self._twins[twin]).set(letters)

    def _count(self, logs: Mapping[TopicPartition, Log]) -> None:
        behind = {}
        for place, log in logs.items():
            held = self._held.get(place)
            if held is None or held.topic_id != log.topic_id:
                held = self._held[place] = HeldLetters(log.topic_id)
            held.begin_at(log.start)
            if log.end > held.position:
                behind[place] = held
            else:
                held.whole = True
        if behind:
            self._read(behind)

    def _read(self, behind: Mapping[TopicPartition, HeldLetters]) -> None:
        """Read on to the end of each partition, or as long as one go may take; raises BrokerUnavailable."""
        end_s, left = monotonic_s() + READ_FOR_S, set(behind)
        starts = {
            TopicPartition(self._prefix + topic, number): held.position
            for (topic, number), held in behind.items()
        }
        with LogReader(self._bootstrap, f"{self._prefix}sinks-dead-letters", tuning=TUNING) as reader:
            reader.assign(starts)
            while left and monotonic_s() < end_s and not self._stopping.is_set():
                for place in self._take(reader, behind):
                    behind[place].whole = True
                    left.discard(place)

    def _take(
        self, reader: LogReader, behind: Mapping[TopicPartition, HeldLetters]
    ) -> Iterable[TopicPartition]:
        """Count what has arrived and return the partitions that end there; one that moved is looked at again."""
        ended = []
        for message in reader.fetch(READ_AT_ONCE, within_s=POLL_S):
            topic, offset = message.topic() or "", message.offset()
            place = TopicPartition(topic.removeprefix(self._prefix), message.partition() or 0)
            error = message.error()
            if error is None:
                behind[place].add(CanonicalOffset(offset or 0))
            elif event_of(error) is LogEvent.END:
                behind[place].position = CanonicalOffset(max(behind[place].position, offset or 0))
                ended.append(place)
            elif event_of(error) is not LogEvent.PASSING:
                raise BrokerUnavailable(f"dead letters of {topic} cannot be counted: {error.str()}")
        return ended
