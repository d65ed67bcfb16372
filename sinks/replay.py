"""Writes a record stream into an empty database through the same code as live: identical rows, positions included.

Positions of live topics and things to publish are not written: a replay speaks to nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, Protocol

from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import MalformedPayload
from schemas.partitions import TopicPartition
from schemas.topics import CANONICAL_TOPICS, EVIDENCE, PROGRESS
from schemas.wire.framing import END, StreamedRecord, read_records
from sinks.batch.batch import Batch, PartitionRecords, assemble
from sinks.progress.positions import Log

BATCH_RECORDS = 20_000
TELL_EVERY = 200_000  # records
MILLISECOND_US = 1_000
REPLAYED = (*CANONICAL_TOPICS, EVIDENCE, PROGRESS)
# Stands for the id of the topic: a live sink refuses what was filled in part.
REPLAY_ID, NO_END = "replay", CanonicalOffset(2**62)
LOG_APPEND_TIME = 2


class Writer(Protocol):
    """Stores batches."""

    def write(self, batch: Batch) -> Coroutine[Any, Any, object]:
        """Store a batch in one transaction."""


class Target(Protocol):
    """A database to be filled."""

    def replaying(self) -> AbstractAsyncContextManager[Writer]:
        """Open it for writing; refuses where it is not empty."""


class ResumableWriter(Writer, Protocol):
    """Stores batches, and in their transactions how far each partition has come."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset at which each partition goes on."""


class ResumableTarget(Protocol):
    """A database that keeps how far it was filled."""

    def take_over(
        self, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
    ) -> AbstractAsyncContextManager[ResumableWriter]:
        """Open it for writing; who did so before writes no more."""


@dataclass(frozen=True, slots=True)
class _Replayed:
    """A record of the stream, as Kafka would have given it."""

    record: StreamedRecord

    def value(self) -> bytes:
        return self.record.value

    def key(self) -> bytes | None:
        return self.record.key

    def offset(self) -> int:
        return self.record.offset

    def timestamp(self) -> tuple[int, int]:
        return LOG_APPEND_TIME, self.record.append_time // MILLISECOND_US


async def replay(target: Target, source: BinaryIO, partitions: int) -> None:
    """Store the record stream `source` in `target`; its topics had `partitions` each.

    Says on stderr how many records came, on the way and at its end.
    """
    total = 0
    async with target.replaying() as writer:
        for batch in batches(read_records(source), partitions):
            await writer.write(batch)
            told, total = total // TELL_EVERY, total + batch.records
            if total // TELL_EVERY > told:
                print(f"{total} records so far", file=sys.stderr)
    print(f"replayed {total} records", file=sys.stderr)


async def resume(target: ResumableTarget, source: BinaryIO, partitions: int) -> None:
    """Store what `target` lacks of the record stream `source`, which must be the one it was begun with.

    Positions and things to publish are kept until whoever resumes it takes them out. Raises MalformedPayload where the stream
    has no END: its writer died, and the last block of each partition may be half there.
    """
    places = [TopicPartition(topic, n) for topic in REPLAYED for n in range(partitions)]
    logs = {place: Log(topic_id=REPLAY_ID, start=CanonicalOffset(0), end=NO_END) for place in places}
    async with target.take_over(logs, now_us=WallTime(0)) as writer:
        done, total = dict(writer.positions), 0
        lacking = (r for r in _whole(source) if r.offset >= done[TopicPartition(r.topic, r.partition)])
        for batch in batches(lacking, partitions, chunk_records=BATCH_RECORDS):
            await writer.write(batch)
            total += batch.records
    print(f"replayed {total} records", file=sys.stderr)


def _whole(source: BinaryIO) -> Iterator[StreamedRecord]:
    for record in read_records(source):
        if record == END:
            return
        yield record
    raise MalformedPayload(
        "the record stream was cut off; what is stored of it stays for the next to go on with"
    )


def batches(
    records: Iterator[StreamedRecord], partitions: int, *, chunk_records: int = BATCH_RECORDS
) -> Iterator[Batch]:
    """Yield the batches of a record stream, in order; blocks of bars stay whole."""
    waiting: list[PartitionRecords] = []
    while True:
        chunk = list(islice(records, chunk_records))
        batch, waiting = assemble(_parts(waiting, chunk, partitions, at_end=not chunk))
        if batch.records or batch.claims:
            yield batch
        if not chunk:
            return


def _parts(
    waiting: Iterable[PartitionRecords],
    chunk: Iterable[StreamedRecord],
    partitions: int,
    *,
    at_end: bool,
) -> list[PartitionRecords]:
    parts: dict[TopicPartition, PartitionRecords] = {part.place: part for part in waiting}
    for record in chunk:
        place = TopicPartition(record.topic, record.partition)
        part = parts.setdefault(
            place,
            PartitionRecords(topic=record.topic, partition=record.partition, partitions=partitions, end=0),
        )
        part.records.append(_Replayed(record))
        part.end = record.offset + 1
    for part in parts.values():
        part.at_end = at_end
    return list(parts.values())
