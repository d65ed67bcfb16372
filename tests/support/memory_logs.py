"""Logs in memory, read as from a broker, and the owner of a raw partition that writes to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from schemas.intervals import DAY_US, SECOND_US
from schemas.records import RawBlock
from schemas.topics import EVIDENCE, PROGRESS, STATE, canonical_of
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell.rebuild import PartitionLog, Standing
from stream_processors.transaction import RawRecord, Transaction, progress_of, transact
from tests.support.builders import NINE_THIRTY, a_block


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as a consumer gives it."""

    place: int
    name: bytes | None
    data: bytes | None
    appended_ms: int
    epoch: int

    def __len__(self) -> int:
        return len(self.data or b"")

    def offset(self) -> int:
        """Return the offset."""
        return self.place

    def key(self) -> bytes | None:
        """Return the key."""
        return self.name

    def value(self) -> bytes | None:
        """Return the value."""
        return self.data

    def timestamp(self) -> tuple[int, int]:
        """Return the broker's stamp."""
        return TIMESTAMP_LOG_APPEND_TIME, self.appended_ms

    def leader_epoch(self) -> int:
        """Return the epoch of the leader it was written by."""
        return self.epoch


@dataclass
class MemoryLogs:
    """One partition of each topic; `start` is where a log begins, all before it was deleted."""

    raw_topic: str
    partition: int
    records: dict[str, list[Stored]] = field(default_factory=lambda: defaultdict(list))
    start: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    now_ms: int = (NINE_THIRTY + DAY_US) // 1_000
    epoch: int = 3

    def bounds(self, topic: str, _partition: int) -> tuple[int, int]:
        """Return where the log begins and ends."""
        return self.start[topic], len(self.records[topic])

    def read(self, topic: str, _partition: int, start: int, end: int | None = None) -> Iterator[Stored]:
        """Yield the records that are kept."""
        yield from self.records[topic][max(start, self.start[topic]) : end]

    def append(self, topic: str, key: bytes | None, value: bytes | None) -> Stored:
        """Append a record a second after the last."""
        self.now_ms += SECOND_US // 1_000
        log = self.records[topic]
        log.append(Stored(len(log), key, value, self.now_ms, self.epoch))
        return log[-1]

    def raw(self, block: RawBlock | None) -> RawRecord:
        """Append a raw block, or a tick, and return it as it is processed."""
        value = encode(self.raw_topic, block or a_block(provider="", endpoint="tick"))
        stored = self.append(self.raw_topic, None, value)
        return RawRecord(
            topic=self.raw_topic, partition=self.partition, offset=stored.place,
            append_time=stored.appended_ms * 1_000, key=None, value=value,
        )  # fmt: skip

    def take_over(self, topic_id: str = "one", partitions: int = 4) -> Standing:
        """Return what a successor finds."""
        return PartitionLog(self, self.raw_topic, self.partition, partitions).rebuild(topic_id)  # type: ignore[arg-type]

    def commit(self, standing: Standing, record: RawRecord) -> Transaction:
        """Process a record and write its transaction."""
        state: PartitionState = standing.state
        done = transact(state, record)
        for topic, pairs in (
            (canonical_of(self.raw_topic), done.canonical),
            (EVIDENCE, done.evidence_records()),
            (STATE, done.saved),
            (PROGRESS, [progress_of([done], standing.ends, standing.raw)]),
        ):
            for key, value in pairs:
                self.append(topic, key, value)
        return done
