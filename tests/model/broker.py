"""A Kafka of one partition a topic: transactions, fencing, control records that take offsets, compaction, deletion."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from schemas.errors import Fenced
from schemas.wire.codec import decode_value
from tests.model.market import Raw

Pair = tuple[bytes | None, bytes | None]  # key, value


@dataclass(slots=True, eq=False)
class Entry:
    """A record of the log, as a consumer gets it; `writer` is the transactional id, or nothing."""

    place: int
    name: bytes | None
    data: bytes | None
    writer: str = ""
    appended_ms: int = 0

    def value(self) -> bytes | None:
        """Return the value."""
        return self.data

    def key(self) -> bytes | None:
        """Return the key."""
        return self.name

    def offset(self) -> int:
        """Return the offset."""
        return self.place

    def timestamp(self) -> tuple[int, int]:
        """Return that the broker stamped it, and when."""
        return TIMESTAMP_LOG_APPEND_TIME, self.appended_ms

    def leader_epoch(self) -> int | None:
        """Return that the broker does not say."""
        return None


@dataclass(slots=True, eq=False)
class OpenTransaction:
    """Where a transaction's records lie, by topic."""

    entries: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


class Broker:
    """One partition of every topic: a transaction's records are visible once it is committed, and behind none open."""

    def __init__(self) -> None:
        # None: aborted, compacted or a control record
        self.logs: dict[str, list[Entry | None]] = defaultdict(list)
        self._epochs: Counter[str] = Counter()
        self._open: dict[str, OpenTransaction] = {}

    def init_transactions(self, writer: str) -> int:
        """Abort what a predecessor left open, fence it, and return the new epoch."""
        self._end(writer, commit=False)
        self._epochs[writer] += 1
        return self._epochs[writer]

    def send(self, writer: str, epoch: int, topic: str, records: Sequence[Pair]) -> int:
        """Append records to the open transaction, opening one if need be; return the offset after them."""
        self.check(writer, epoch)
        log, opened = self.logs[topic], self._open.setdefault(writer, OpenTransaction())
        for name, data in records:
            opened.entries[topic].append(len(log))
            log.append(Entry(len(log), name, data, writer))
        return len(log)

    def finish(self, writer: str, epoch: int, *, commit: bool) -> None:
        """Commit or abort the open transaction."""
        self.check(writer, epoch)
        self._end(writer, commit=commit)

    def check(self, writer: str, epoch: int) -> None:
        """Raise Fenced where a successor has the id."""
        if self._epochs[writer] != epoch:
            raise Fenced(f"{writer} has a successor")

    def publish(self, topic: str, records: Iterable[Pair], *, writer: str = "") -> None:
        """Append records without a transaction."""
        log = self.logs[topic]
        for name, data in records:
            log.append(Entry(len(log), name, data, writer))

    def stable_end(self, topic: str) -> int:
        """Return the offset readers of committed records cannot pass: that of the first open transaction."""
        firsts = [opened.entries[topic][0] for opened in self._open.values() if opened.entries[topic]]
        return min(firsts, default=len(self.logs[topic]))

    def read(self, topic: str, start: int) -> list[Entry]:
        """Return the committed records from `start` to the end of what can be read."""
        return [entry for entry in self.logs[topic][start : self.stable_end(topic)] if entry is not None]

    def compact(self, topic: str) -> None:
        """Forget every committed record but the newest of its key."""
        newest = {entry.name: entry.place for entry in self.read(topic, 0)}
        for entry in self.read(topic, 0):
            if newest[entry.name] != entry.place:
                self.logs[topic][entry.place] = None

    def _end(self, writer: str, *, commit: bool) -> None:
        opened = self._open.pop(writer, None)
        for topic, places in ({} if opened is None else opened.entries).items():
            for place in () if commit else places:
                self.logs[topic][place] = None
            if places:
                self.logs[topic].append(None)  # the control record takes an offset


@dataclass(slots=True, kw_only=True)
class RawPartition:
    """Records of a raw topic: `records[:appended]` were appended so far, those below the offset `low` deleted.

    `tears`: by the offset of the last one processed before it, since when and up to which offset records were deleted
    unprocessed, and never will be processed; the moment is None where nothing had been processed.
    """

    topic: str
    records: Sequence[Raw]
    appended: int = 0
    low: int = 0
    tears: dict[int, tuple[int | None, int]] = field(default_factory=dict)

    def after(self, offset: int) -> list[Raw]:
        """Return what is there from `offset` on."""
        return [raw for raw in self.records[: self.appended] if raw.record.offset >= max(offset, self.low)]

    def processed(self) -> list[Raw]:
        """Return all records that are not lost."""
        lost = [(before, low) for before, (_, low) in self.tears.items()]
        return [
            raw for raw in self.records if not any(before < raw.record.offset < low for before, low in lost)
        ]


class Reader:
    """Reads a raw partition and the logs as `infra.runtime.kafka.logs.LogReader` does."""

    def __init__(self, broker: Broker, raw: RawPartition) -> None:
        """Read committed records."""
        self._broker, self._raw = broker, raw

    def bounds(self, topic: str, _partition: int) -> tuple[int, int]:
        """Return the first and the next offset."""
        if topic != self._raw.topic:
            return 0, self._broker.stable_end(topic)
        there = self._raw.records[: self._raw.appended]
        return self._raw.low, max(self._raw.low, there[-1].record.offset + 1 if there else 0)

    def read(self, topic: str, _partition: int, start: int, end: int | None = None) -> Iterator[Entry]:
        """Yield the records from `start` to before `end`."""
        if topic == self._raw.topic:
            for raw in self._raw.after(start):
                record = raw.record
                if end is None or record.offset < end:
                    yield Entry(record.offset, record.key, record.value, "", record.append_time // 1_000)
            return
        for entry in self._broker.read(topic, start):
            if end is None or entry.place < end:
                yield entry


@lru_cache(maxsize=512)
def fields_of(topic: str, value: bytes | None) -> dict[str, Any]:
    """Return the fields of a record; not to be changed."""
    return decode_value(topic, value)
