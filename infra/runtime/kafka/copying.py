"""Records copied to topics of another prefix with as many partitions, each under the stamp of when it was known.

A copy says where its original lies, and which replay it belongs to: whoever goes on after a kill reads from the last one of each
partition how far it has come. Its topics are never deleted by age: what is replayed may be older than any retention.
"""

from __future__ import annotations

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


class Copies:
    """The topics of a prefix that records are copied to; every method blocks and raises BrokerUnavailable."""

    def __init__(self, bootstrap: str, prefix: str, topics: Iterable[str], *, replay: str) -> None:
        """Copy to `topics` of `prefix` what the replay of this name reads."""
        self._bootstrap, self._prefix, self._replay = bootstrap, prefix, replay.encode()
        self._names = {prefix + topic: catalogue().topics[topic] for topic in topics}
        self._topics = Topics(bootstrap, "mds-replay")
        self._known_us: dict[TopicPartition, int] = {}
        self._writers: dict[str, Appending] = {}

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
        with LogReader(self._bootstrap, "mds-replay-target", tuning={"fetch.wait.max.ms": 20}) as reader:
            there = self._topics.partition_counts()
            for topic in catalogue().topics.values():
                name = self._prefix + topic.name
                for number in range(there.get(name, 0)):
                    low, high = reader.bounds(name, number)
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

    def confirm(self) -> None:
        """Return when all that was added is in the topics."""
        for writer in self._writers.values():
            writer.finish()

    def finish(self) -> None:
        """Let the broker stamp what is appended from now on."""
        self.confirm()
        self._topics.change(list(self._names), STAMP, BY_BROKER)
