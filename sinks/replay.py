"""Writes a record stream into an empty database through the same code as live: identical rows, positions included.

Positions of live topics and things to publish are not written: a replay speaks to nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, Protocol

from schemas.partitions import TopicPartition
from schemas.wire.framing import StreamedRecord, read_records
from sinks.batch.batch import Batch, PartitionRecords, assemble

BATCH_RECORDS = 20_000
TELL_EVERY = 200_000  # records
MILLISECOND_US = 1_000
LOG_APPEND_TIME = 2


class Writer(Protocol):
    """Stores batches."""

    def write(self, batch: Batch) -> Coroutine[Any, Any, object]:
        """Store a batch in one transaction."""


class Target(Protocol):
    """A database to be filled."""

    def replaying(self) -> AbstractAsyncContextManager[Writer]:
        """Open it for writing; refuses where it is not empty."""


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
