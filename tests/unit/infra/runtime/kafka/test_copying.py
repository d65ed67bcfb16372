"""Copies of records under another prefix: each once, wherever it was interrupted, and nobody else's topics touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from infra.runtime.kafka import copying
from infra.runtime.kafka.appending import BY_BROKER, BY_PRODUCER, STAMP, Headers, Point
from infra.runtime.kafka.copying import Copies
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import BARS, RAW_BARS, Topic, catalogue
from schemas.wire.framing import StreamedRecord

PARTITIONS, NAMES = 2, (RAW_BARS, BARS)


class Copied:
    """A record of a log, as a consumer gives it."""

    def __init__(self, place: tuple[str, int, int], value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Lie at (topic, partition, offset)."""
        self.place, self.data, self._headers = place, value, headers

    def partition(self) -> int:
        """Return the partition."""
        return self.place[1]

    def offset(self) -> int:
        """Return the offset."""
        return self.place[2]

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers."""
        return self._headers


class Cluster:
    """Topics in memory: the admin's view, a reader, and what appends."""

    def __init__(self) -> None:
        """Have none."""
        self.logs: dict[str, list[list[Copied | None]]] = {}  # None: the mark of a transaction
        self.config: dict[str, dict[str, str]] = {}

    def partition_counts(self) -> dict[str, int]:
        """Return the partition count of every topic."""
        return {name: len(parts) for name, parts in self.logs.items()}

    def create(self, topics: Mapping[str, Topic], *, partitions: int, changed: Mapping[str, str]) -> None:
        """Make topics."""
        for name, topic in topics.items():
            self.logs[name] = [[] for _ in range(topic.partitions(partitions))]
            self.config[name] = {**topic.config, **changed}

    def settings(self, names: Collection[str], key: str) -> dict[str, str]:
        """Return one setting of each."""
        return {name: self.config[name][key] for name in names}

    def change(self, names: Collection[str], key: str, value: str) -> None:
        """Change one setting of each; the broker's client wants one."""
        assert names
        for name in names:
            self.config[name][key] = value

    def ensure(self, _bootstrap: str, *, prefix: str, partitions: int) -> None:
        """Make the declared topics that are missing."""
        declared = {prefix + name: topic for name, topic in catalogue().topics.items()}
        self.create(
            {n: t for n, t in declared.items() if n not in self.logs}, partitions=partitions, changed={}
        )

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def bounds(self, name: str, partition: int) -> tuple[int, int]:
        """Return where a log starts and ends."""
        return 0, len(self.logs[name][partition])

    def read(self, name: str, partition: int, start: int, end: int) -> Iterator[Copied]:
        """Yield records."""
        yield from filter(None, self.logs[name][partition][start:end])


class Appender:
    """What appends to one topic of the cluster."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        """Append there."""
        self.cluster, self.topic = cluster, topic

    def write(
        self, partition: int, key: bytes | None, value: bytes, point: Point, headers: Headers = ()
    ) -> None:
        """Append a record with where it was."""
        assert key == b"k"
        assert self.cluster.config[self.topic][STAMP] == BY_PRODUCER
        log = self.cluster.logs[self.topic][partition]
        moved = f"{point.partition}/{point.offset}/{point.known_from_us}".encode()
        told = [*headers, ("mds-moved-from", moved)]
        log.append(Copied((self.topic, partition, len(log)), value, told))

    def finish(self) -> None:
        """Have nothing to wait for."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster in place of the broker's."""
    there = Cluster()
    monkeypatch.setattr(copying, "Topics", lambda *_: there)
    monkeypatch.setattr(copying, "LogReader", lambda *_, **__: there)
    monkeypatch.setattr(copying, "ensure_topics", there.ensure)
    monkeypatch.setattr(copying, "appending", lambda _b, _c, topic: Appender(there, topic))
    return there


def sent(moved: bytes | None = None) -> list[StreamedRecord]:
    """Return records, some appended in one millisecond, with offsets left out."""
    return [
        StreamedRecord(
            topic=topic,
            partition=number,
            offset=3 * n + 1,
            append_time=1_000 * (n // 3),
            key=b"k",
            value=b"%d" % n,
            moved_from=moved,
        )
        for topic in NAMES
        for number in range(PARTITIONS)
        for n in range(7)
    ]


def copied(cluster: Cluster, *, stop_after: int | None = None, **changes: Any) -> bool:
    """Copy all, or stop after some; return whether it was finished before."""
    copies = Copies("b", changes.get("prefix", "p."), NAMES, replay=changes.get("replay", "r"))
    done = copies.done()
    if copies.prepare(PARTITIONS, done):
        return True
    lacking = [r for r in sent() if r.offset >= done.get(TopicPartition(r.topic, r.partition), 0)]
    for record in lacking[:stop_after]:
        copies.add(record)
    if stop_after is None or stop_after >= len(lacking):
        copies.finish()
    return False


def logs(cluster: Cluster) -> dict[str, list[list[tuple[bytes, bytes]]]]:
    """Return (value, where it was) of all copies."""
    return {
        name: [[(r.data, dict(r.headers())["mds-moved-from"]) for r in part if r] for part in parts]
        for name, parts in cluster.logs.items()
        if any(parts)
    }


def test_each_record_is_there_once_wherever_it_was_interrupted(cluster: Cluster) -> None:
    """In order, each later than the one before as a processor reckons it; stamped by the broker in the end, never deleted by age."""
    copied(cluster)
    whole = logs(cluster)

    times = [int(moved.rpartition(b"/")[2]) for _, moved in whole["p.raw.bars.v1"][1]]
    assert times == [0, 1, 2, 1_000, 1_001, 1_002, 2_000]
    assert sum(len(part) for parts in whole.values() for part in parts) == len(sent())
    assert cluster.config["p.raw.bars.v1"][STAMP] == BY_BROKER
    assert cluster.config["p.bars.v1"]["retention.ms"] == "-1"
    assert copied(cluster)
    for first in range(len(sent())):
        cluster.logs.clear()
        copied(cluster, stop_after=first)
        copied(cluster, stop_after=5)
        copied(cluster)
        assert logs(cluster) == whole, first


def test_topics_made_empty_are_taken(cluster: Cluster) -> None:
    """With the settings they need."""
    cluster.ensure("b", prefix="p.", partitions=PARTITIONS)
    copied(cluster)

    assert len(logs(cluster)) == len(NAMES)
    assert cluster.config["p.bars.v1"]["retention.ms"] == "-1"


def test_topics_that_hold_anything_else_are_left_alone(cluster: Cluster) -> None:
    """Of another replay, or of none, in any topic of the prefix; and so are those of another number."""
    copied(cluster, stop_after=3)
    with pytest.raises(
        ConfigurationError, match=r"p\.raw\.bars\.v1/0 holds 3 records that are not of this replay"
    ):
        copied(cluster, replay="another")
    cluster.logs["p.gaps.v1"][0].append(Copied(("p.gaps.v1", 0, 0), b"", []))
    with pytest.raises(ConfigurationError, match=r"p\.gaps\.v1/0 holds 1 records"):
        copied(cluster)
    cluster.ensure("b", prefix="four.", partitions=4)
    with pytest.raises(ConfigurationError, match="have 4 partitions, those that are read 2"):
        copied(cluster, prefix="four.")


def test_what_ends_with_the_mark_of_a_transaction_is_not_empty(cluster: Cluster) -> None:
    """Processors that ran under the prefix leave one behind every record; nothing is copied behind theirs."""
    cluster.ensure("b", prefix="p.", partitions=PARTITIONS)
    cluster.logs["p.bars.v1"][1] += [Copied(("p.bars.v1", 1, 0), b"theirs", []), None]

    with pytest.raises(
        ConfigurationError, match=r"p\.bars\.v1/1 holds 2 records that are not of this replay"
    ):
        copied(cluster)
    assert len(cluster.logs["p.bars.v1"][1]) == 2


def test_two_of_the_same_at_once_are_told(cluster: Cluster) -> None:
    """Each began with nothing there, so every record is there twice, and no third one takes that for whole."""
    first, second = (Copies("b", "p.", NAMES, replay="r") for _ in range(2))
    for each in (first, second):
        assert not each.prepare(PARTITIONS, each.done())
    for record in sent():
        first.add(record)
        second.add(record)

    for each in (first, second):
        with pytest.raises(
            ConfigurationError, match=r"p\.raw\.bars\.v1/0 holds copies that somebody else made"
        ):
            each.finish()
    with pytest.raises(ConfigurationError, match=r"delete the topics of prefix 'p\.'"):
        copied(cluster)
    assert cluster.config["p.raw.bars.v1"][STAMP] == BY_PRODUCER


def test_a_record_that_was_moved_before_keeps_its_time(cluster: Cluster) -> None:
    """As a processor reckons moved ones."""
    copies = Copies("b", "p.", NAMES, replay="r")
    assert not copies.prepare(PARTITIONS, copies.done())
    for record in sent(moved=b"9/9/9"):
        copies.add(record)

    assert copies.done()[TopicPartition(BARS, 0)] == sent()[-1].offset + 1
    times = [int(moved.rpartition(b"/")[2]) for _, moved in logs(cluster)["p.bars.v1"][0]]
    assert times == [0, 0, 0, 1_000, 1_000, 1_000, 2_000]
