"""Records copied to topics of another prefix with as many partitions, each under the stamp of when it was known.

A copy says where its original lies, and which replay it belongs to: whoever goes on after a kill reads from the last one of each
partition how far it has come. Its topics are never deleted by age: what is replayed may be older than any retention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import cast

from infra.runtime.kafka.appending import BY_BROKER, STAMP, WHILE_MOVING, Appending, Point, appending
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, moved_place
from infra.runtime.kafka.topics import Topics, ensure_topics
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import agreed_partitions, catalogue
from schemas.wire.framing import StreamedRecord

REPLAY = "mds-replay"  # header of a copy: which replay it belongs to
KEPT = {"retention.ms": "-1"}
QUICK = {"fetch.wait.max.ms": 20}  # the end of a partition is told after this


class Copies:
    """The topics of a prefix that records are copied to; every method blocks and raises BrokerUnavailable."""

    def __init__(self, bootstrap: str, prefix: str, topics: Iterable[str], *, replay: str) -> None:
        """Copy to `topics` of `prefix` what the replay of this name reads."""
        self._bootstrap, self._prefix, self._replay = bootstrap, prefix, replay.encode()
        self._names = {prefix + topic: catalogue().topics[topic] for topic in topics}
        self._topics = Topics(bootstrap, "mds-replay")
        self._known_us: dict[TopicPartition, int] = {}
        self._writers: dict[str, Appending] = {}
        # Where each partition ended, and what was added to it: others may copy at the same time.
        self._begun, self._added = Counter[TopicPartition](), Counter[TopicPartition]()

    def prepare(self, partitions: int, done: Mapping[TopicPartition, int]) -> bool:
        """Make the topics that are missing and return whether all was copied before; `done` is what `done` told.

        Raises ConfigurationError where they have another number of partitions.
        """
        existing = self._topics.partition_counts()
        found = agreed_partitions(existing, prefix=self._prefix)
        if found not in (None, partitions):
            raise ConfigurationError(
                f"topics of prefix {self._prefix!r} have {found} partitions, those that are read {partitions}",
                remedy="replay to another prefix; `mds topics move` leads to another number",
            )
        missing = {name: topic for name, topic in self._names.items() if name not in existing}
        self._topics.create(missing, partitions=partitions, changed={**WHILE_MOVING, **KEPT})
        ensure_topics(self._bootstrap, prefix=self._prefix, partitions=partitions)
        by_broker = [
            name
            for name, stamp in self._topics.settings(list(self._names), STAMP).items()
            if stamp == BY_BROKER
        ]
        if done and len(by_broker) == len(self._names):
            return True
        for setting, value in {**WHILE_MOVING, **KEPT}.items() if by_broker else ():  # made empty by others
            self._topics.change(by_broker, setting, value)
        return False

    def done(self) -> dict[TopicPartition, int]:
        """Return from which offset on it lacks each partition that was begun; raise ConfigurationError where another's is there."""
        done: dict[TopicPartition, int] = {}
        with LogReader(self._bootstrap, "mds-replay-target", tuning=QUICK) as reader:
            there = self._topics.partition_counts()
            for topic in catalogue().topics.values():
                name = self._prefix + topic.name
                for number in range(there.get(name, 0)):
                    low, high = reader.bounds(name, number)
                    self._begun[TopicPartition(topic.name, number)] = high
                    if low == high:
                        continue
                    # a copy is a record; who writes in transactions leaves the mark of one at the end
                    last = next(reader.read(name, number, high - 1, high), None)
                    done[TopicPartition(topic.name, number)] = self._place(name, number, high, last)
        return done

    def _place(self, name: str, number: int, high: int, last: Message | None) -> int:
        """Return the offset after the original of the last copy in a partition that ends at `high`."""
        headers = [] if last is None else cast("list[tuple[str, bytes]]", last.headers() or [])
        moved = moved_place(headers)
        if moved is None or dict(headers).get(REPLAY) != self._replay:
            raise ConfigurationError(
                f"{name}/{number} holds {high:,} records that are not of this replay",
                remedy="replay to a prefix that nothing was started with, or finish that replay with its own options",
            )
        self._known_us[TopicPartition(self._names[name].name, number)] = moved.known_from_us
        return moved.offset + 1

    def add(self, record: StreamedRecord) -> None:
        """Copy a record to the end of its partition, in the order they come."""
        place = TopicPartition(record.topic, record.partition)
        step = int(record.moved_from is None)  # as processors reckon it
        known_us = max(self._known_us.get(place, -1) + step, record.append_time)
        self._known_us[place] = known_us
        writer = self._writers.get(record.topic)
        if writer is None:
            name = self._prefix + record.topic
            writer = self._writers[record.topic] = appending(self._bootstrap, "mds-replay", name)
        point = Point(known_us, record.partition, record.offset)
        writer.write(record.partition, record.key, record.value, point, [(REPLAY, self._replay)])
        self._added[place] += 1

    def confirm(self) -> None:
        """Return when all that was added is in the topics."""
        for writer in self._writers.values():
            writer.finish()

    def finish(self) -> None:
        """Let the broker stamp what is appended from now on; raise ConfigurationError where somebody else appended as well."""
        self.confirm()
        self._check_alone()
        self._topics.change(list(self._names), STAMP, BY_BROKER)

    def _check_alone(self) -> None:
        """Raise ConfigurationError where others appended meanwhile, or before, to what this went on with."""
        counts = self._topics.partition_counts()
        with LogReader(self._bootstrap, "mds-replay-target", tuning=QUICK) as reader:
            for name, topic in self._names.items():
                for number in range(counts[name]):
                    place = TopicPartition(topic.name, number)
                    low, high = reader.bounds(name, number)
                    is_resumed = self._begun[place] > 0
                    if high != self._begun[place] + self._added[place] or (
                        is_resumed and not self._in_order(reader.read(name, number, low, high))
                    ):
                        raise ConfigurationError(
                            f"{name}/{number} holds copies that somebody else made meanwhile",
                            remedy=f"delete the topics of prefix {self._prefix!r} and replay again, one command at a time",
                        )

    @staticmethod
    def _in_order(copies: Iterable[Message]) -> bool:
        """Whether each copy is of a later record than the one before it."""
        before = -1
        for copy in copies:
            moved = moved_place(cast("list[tuple[str, bytes]]", copy.headers() or []))
            if moved is None or moved.offset <= before:
                return False
            before = moved.offset
        return True
