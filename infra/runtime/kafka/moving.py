"""Raw records moved to topics of another prefix with another partition count; when each became known moves with it.

All old partitions of a topic are read as one sequence, by (known from, partition, offset). Each record is split by the new
partition of its symbols and stamped with its known_from, the running maximum of its old partition: so the running maximum
of a new partition is the known_from of every record in it, and a moment asked about is answered as before. The sequence is
the same whenever it is read, and a moved record says where it was: whoever goes on after a kill knows what is there.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.appending import BY_BROKER, STAMP, WHILE_MOVING, Headers, Point, appending
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, append_time_us, moved_from
from infra.runtime.kafka.topics import Topics, ensure_topics
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import RAW_TOPICS, agreed_partitions, catalogue
from schemas.wire.splitting import split

STILL_FOR_S = 3.0  # a running processor appends a tick each second
TELL_EVERY_S = 5.0
# One reader for each old partition: together they hold little more than a record of each.
READING = {"queued.max.messages.kbytes": 1_024, "fetch.message.max.bytes": 1_100_000}

NOWHERE = Point(-1, -1, -1)


@dataclass(slots=True, kw_only=True)
class Moved:
    """One topic's move: records read, records written, and entries that were refused for lying in the wrong partition."""

    topic: str
    read: int = 0
    written: int = 0
    left_out: int = 0
    there: int = 0  # all moved records in the new topic


class Move:
    """A move of all raw topics from one prefix to another; every method blocks."""

    def __init__(
        self,
        bootstrap: str,
        *,
        source: str,
        target: str,
        partitions: int,
        tell: Callable[[str], None],
        still_for_s: float = STILL_FOR_S,
    ) -> None:
        """Prepare to move from prefix `source` to prefix `target` with `partitions`; `tell` is told of progress."""
        self._bootstrap, self._source, self._target = bootstrap, source, target
        self._partitions, self._tell, self._still_for_s = partitions, tell, still_for_s
        self._topics = Topics(bootstrap, "mds-move")
        self._old: Mapping[str, int] = {}

    def run(self) -> list[Moved]:
        """Move what is not there yet, check the whole, and return what was done topic by topic.

        Raises ConfigurationError where the old system still writes or the target is not a move's, BrokerUnavailable;
        after either it may be run again and goes on.
        """
        self._old = self._counts_of_source()
        ends = self._still()
        finished = self._prepare()
        moved = [Moved(topic=topic) for topic in RAW_TOPICS]
        for topic in moved:
            if not finished:
                self._copy(topic)
            self._check(topic)
        if self._ends() != ends:
            raise ConfigurationError(
                "records arrived while others were moved",
                remedy=f"stop every process of prefix {self._source!r} and run it again",
            )
        self._topics.change([self._target + topic for topic in RAW_TOPICS], STAMP, BY_BROKER)
        return moved

    def _counts_of_source(self) -> Mapping[str, int]:
        if self._source == self._target:
            raise ConfigurationError(
                f"the records are in topics of prefix {self._source!r} already",
                remedy="name another with --to-prefix: a count never changes in place",
            )
        existing = self._topics.partition_counts()
        missing = [self._source + topic for topic in RAW_TOPICS if self._source + topic not in existing]
        if missing:
            raise ConfigurationError(
                f"there is no topic {missing[0]}", remedy="set MDS_TOPIC_PREFIX to the one to move from"
            )
        return {topic: existing[self._source + topic] for topic in RAW_TOPICS}

    def _still(self) -> Mapping[TopicPartition, int]:
        """Return where the old logs end; raise ConfigurationError where something is still appended."""
        before = self._ends()
        time.sleep(self._still_for_s)
        after = self._ends()
        growing = sorted({place.topic for place in after if after[place] != before[place]})
        if growing:
            raise ConfigurationError(
                f"records still arrive in {' '.join(growing)}",
                remedy="stop producers and stream_processors of the old prefix first: what they write later would be missing",
            )
        return after

    def _ends(self) -> dict[TopicPartition, int]:
        places = [
            TopicPartition(self._source + topic, number)
            for topic, count in self._old.items()
            for number in range(count)
        ]
        return {place: log.end for place, log in self._topics.bounds(places).items()}

    def _prepare(self) -> bool:
        """Make the new topics, or see that they are a move's; return whether all was copied before."""
        existing = self._topics.partition_counts()
        found = agreed_partitions(existing, prefix=self._target)
        if found not in (None, self._partitions):
            raise ConfigurationError(
                f"topics of prefix {self._target!r} have {found} partitions, not {self._partitions}",
                remedy="go on with that count, or move to another prefix",
            )
        raw = {self._target + topic: catalogue().topics[topic] for topic in RAW_TOPICS}
        missing = {name: topic for name, topic in raw.items() if name not in existing}
        self._topics.create(missing, partitions=self._partitions, changed=WHILE_MOVING)
        ensure_topics(self._bootstrap, prefix=self._target, partitions=self._partitions)
        others = [name for name, topic in catalogue().topics.items() if topic.kind != "raw"]
        if used := self._holds([self._target + name for name in others]):
            raise ConfigurationError(
                f"{used[0]} holds records already", remedy="move to a prefix that nothing was started with"
            )
        stamps = self._topics.settings(list(raw), STAMP)
        finished = BY_BROKER in stamps.values()
        if finished and not self._holds(list(raw)):
            raise ConfigurationError(
                f"topics of prefix {self._target!r} were not made by a move",
                remedy="delete them, or move to another prefix: a move makes its topics itself",
            )
        return finished

    def _holds(self, names: Sequence[str]) -> list[str]:
        counts = self._topics.partition_counts()
        # A reader asks again where topics were just made.
        with LogReader(self._bootstrap, "mds-move-target") as reader:
            bounds = {name: [reader.bounds(name, number) for number in range(counts[name])] for name in names}
        return [name for name, parts in bounds.items() if any(end > low for low, end in parts)]

    def _copy(self, moved: Moved) -> None:
        done = self._done(moved.topic)
        least, old = min(done), self._old[moved.topic]
        writing = appending(self._bootstrap, "mds-move", self._target + moved.topic)
        told_s = monotonic_s()
        for point, message in self._sequence(moved.topic):
            moved.read += 1
            if monotonic_s() - told_s >= TELL_EVERY_S:
                told_s = monotonic_s()
                self._tell(f"{moved.topic}: {moved.read:,} read, {moved.written:,} written")
            if point <= least:
                continue
            parts = split(
                moved.topic, message.value(), partition=point.partition, partitions=old, into=self._partitions
            )
            moved.left_out += parts.left_out
            for partition, value in parts.values.items():
                if point > done[partition]:
                    headers = (message.headers() or []) if moved_from(message) is None else []
                    writing.write(partition, message.key(), value, point, cast("Headers", headers))
                    moved.written += 1
        writing.finish()
        self._tell(f"{moved.topic}: all {moved.read:,} read, {moved.written:,} written")

    def _sequence(self, topic: str) -> Iterator[tuple[Point, Message]]:
        """Yield the records of all old partitions in order; of each partition no more is held than its reader's queue."""
        with ExitStack() as open_readers:
            parts = []
            for number in range(self._old[topic]):
                reader = LogReader(self._bootstrap, f"mds-move-{number}", tuning=READING)
                parts.append(self._records(open_readers.enter_context(reader), topic, number))
            yield from heapq.merge(*parts, key=lambda each: each[0])

    def _records(self, reader: LogReader, topic: str, partition: int) -> Iterator[tuple[Point, Message]]:
        known_from_us = 0
        low, high = reader.bounds(self._source + topic, partition)
        for message in reader.read(self._source + topic, partition, low, high):
            appended_us = append_time_us(message)
            if appended_us is None:
                raise ConfigurationError(
                    f"{self._source + topic}/{partition} holds records stamped by a producer, not by the broker",
                    remedy=f"nothing says when they became known; set {STAMP}={BY_BROKER} before anything is collected",
                )
            step = int(moved_from(message) is None)  # as processors reckon it
            known_from_us = max(known_from_us + step, appended_us)
            yield Point(known_from_us, partition, message.offset() or 0), message

    def _done(self, topic: str) -> list[Point]:
        """Return how far each new partition has come: the place of its last record."""
        done = []
        with LogReader(self._bootstrap, "mds-move-done") as reader:
            for number in range(self._partitions):
                low, high = reader.bounds(self._target + topic, number)
                last = None
                for message in reader.read(self._target + topic, number, max(low, high - 1), high):
                    last = self._point(topic, message)
                done.append(NOWHERE if last is None else last)
        return done

    def _check(self, moved: Moved) -> None:
        """Raise ConfigurationError unless every new partition holds moved records alone, in order, each once."""
        with LogReader(self._bootstrap, "mds-move-check", tuning=READING) as reader:
            for number in range(self._partitions):
                low, high = reader.bounds(self._target + moved.topic, number)
                before = NOWHERE
                for message in reader.read(self._target + moved.topic, number, low, high):
                    point = self._point(moved.topic, message)
                    if point <= before:
                        raise ConfigurationError(
                            f"{self._target + moved.topic}/{number} holds {point} after {before}",
                            remedy="two moves ran at once: delete the topics of the new prefix and move again",
                        )
                    before = point
                    moved.there += 1

    def _point(self, topic: str, message: Message) -> Point:
        place = moved_from(message)
        if place is None:
            raise ConfigurationError(
                f"{self._target + topic} holds a record that was not moved there",
                remedy="move to a prefix that nothing was started with",
            )
        return Point(place.known_from_us, place.partition, place.offset)
