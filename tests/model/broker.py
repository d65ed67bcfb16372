"""A Kafka of one partition a topic: transactions, fencing, control records that take offsets, compaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from schemas.errors import Fenced
from schemas.wire.codec import decode_value

Pair = tuple[bytes | None, bytes | None]  # key, value


@dataclass(slots=True, eq=False)
class Entry:
    """A record of the log, as a consumer gets it; `writer` is the transactional id, or nothing."""

    place: int
    name: bytes | None
    data: bytes | None
    writer: str = ""

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
        """Return a kind and an append time nobody asks for."""
        return 2, 0


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


@lru_cache(maxsize=512)
def fields_of(topic: str, value: bytes | None) -> dict[str, Any]:
    """Return the fields of a record; not to be changed."""
    return decode_value(topic, value)
