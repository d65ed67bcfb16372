"""Batches cut in half: what PostgreSQL refuses is found so, and what takes too long at once is done in parts.

Each half is a transaction of its own that moves its own positions, so whatever can be stored is, and stays stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from schemas.errors import InvalidRecord
from schemas.topics import PROGRESS
from sinks.batch.batch import Batch, PartitionRecords, assemble, refuse
from sinks.columns.avro import read_columns
from sinks.columns.tables import TABLES

NO_LIMIT = 1 << 20  # records; more than any setting allows
GROW_AFTER = 8  # transactions as large as allowed


@dataclass(slots=True)
class BatchLimit:
    """Records one transaction may hold: half of what took too long, and twice as many after eight that did not."""

    records: int = NO_LIMIT
    _passed: int = 0

    def exceeded(self, records: int) -> None:
        """Note that so many took too long."""
        self.records, self._passed = max(1, min(self.records, records) // 2), 0

    def kept(self, records: int) -> None:
        """Note that so many were stored in time; far fewer than allowed say nothing of more."""
        if self.records >= NO_LIMIT or records * 2 < self.records:
            return
        self._passed += 1
        if self._passed == GROW_AFTER:
            self.records, self._passed = min(NO_LIMIT, self.records * 2), 0


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return the first and the second half of the records of a batch of two and more.

    A block of slots stays whole where the cut may lie beside it; progress comes last, after the rows it speaks of.
    """
    parts = sorted(batch.parts, key=lambda part: part.topic == PROGRESS)
    size, before = sum(len(part.records) for part in parts), 0
    first, second = list[PartitionRecords](), list[PartitionRecords]()
    for part in parts:
        count = len(part.records)
        take = min(max(size // 2 - before, 0), count)
        if 0 < take < count:
            take = _beside_a_block(
                part, take, least=0 if before else 1, most=count - (before + count == size)
            )
        before += count
        if take:
            end = part.end if take == count else part.records[take].offset()
            first.append(replace(part, records=part.records[:take], end=end))
        if take < count or not count:
            second.append(replace(part, records=part.records[take:]))
    return _whole(first), _whole(second)


def _beside_a_block(part: PartitionRecords, wanted: int, *, least: int, most: int) -> int:
    """Return where to cut, near `wanted` and from `least` to `most`: between two blocks where there is such a place."""
    if part.topic not in TABLES or not TABLES[part.topic].has_slots:
        return wanted
    columns, odd = read_columns(part.topic, [record.value() or b"" for record in part.records])
    block = columns.integers("raw_offset")
    begins = np.flatnonzero((block[1:] != block[:-1]) & ~odd[1:] & ~odd[:-1]) + 1
    places = np.concatenate(([0], begins, [len(part.records)]))
    places = places[(places >= least) & (places <= most)]
    return int(places[np.abs(places - wanted).argmin()]) if len(places) else wanted


def _whole(parts: Iterable[PartitionRecords]) -> Batch:
    batch, _ = assemble(parts)  # nothing waits: the end of each is known
    return batch


def without_record(batch: Batch, error: BaseException) -> Batch:
    """Return the batch of one record as its dead letter alone: PostgreSQL refuses it."""
    (part,) = (part for part in batch.parts if part.records)
    reason = InvalidRecord(f"PostgreSQL refuses the record: {error}; correct it at its source")
    refusal = refuse(part.topic, part.partition, part.records[0], reason)
    return Batch(parts=batch.parts, refusals=[refusal], ends=batch.ends, records=1)
