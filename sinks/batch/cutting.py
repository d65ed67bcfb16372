"""Batches cut in half: what PostgreSQL refuses is found so, and what takes too long at once is done in parts.

Each half is a transaction of its own that moves its own positions, so whatever can be stored is, and stays stored.
A record that takes too long alone is given up once others were stored in the time it is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from schemas.errors import PermanentError
from schemas.partitions import TopicPartition
from schemas.topics import PROGRESS
from sinks.batch.batch import Batch, PartitionRecords, assemble, refuse
from sinks.columns.avro import read_columns
from sinks.columns.tables import TABLES

NO_LIMIT = 1 << 20  # records; more than any setting allows
GROW_AFTER = 8  # transactions as large as allowed
ATTEMPTS_ALONE = 3  # of a record, each with proof that it is not the database


@dataclass(slots=True, kw_only=True)
class Suspect:
    """A stretch of a partition that took too long; `most` is how many records a transaction with any of it may hold."""

    end: int
    most: int
    alone_at: int = -1  # the record that took too long alone
    proofs: int = 0  # that the database stores other records in time, one after each attempt
    turns: int = 0  # proofs looked for


@dataclass(slots=True)
class BatchLimit:
    """Records one transaction may hold: half of what took too long, and twice as many after eight that did not.

    Around what took too long it only shrinks until that is stored, whatever else passes meanwhile.
    """

    records: int = NO_LIMIT
    _passed: int = 0
    _suspects: dict[TopicPartition, Suspect] = field(default_factory=dict)

    def allows(self, batch: Batch) -> bool:
        """Whether a batch may be tried whole."""
        return batch.records <= min([self.records, *(suspect.most for suspect in self._held(batch))])

    def exceeded(self, batch: Batch) -> None:
        """Note that a batch took too long."""
        self.records, self._passed = max(1, min(self.records, batch.records) // 2), 0
        for part in batch.parts:
            if part.records:
                suspect = self._suspects.setdefault(part.place, Suspect(end=part.end, most=self.records))
                suspect.end, suspect.most = part.end, self.records
                first = part.records[0].offset()
                if batch.records == 1 and suspect.alone_at != first:
                    suspect.alone_at, suspect.proofs, suspect.turns = first, 0, 0

    def kept(self, batch: Batch) -> None:
        """Note that a batch was stored in time; far fewer records than allowed say nothing of more."""
        for part in batch.parts:
            if part.place in self._suspects and part.end >= self._suspects[part.place].end:
                del self._suspects[part.place]
        if self.records >= NO_LIMIT or batch.records * 2 < self.records:
            return
        self._passed += 1
        if self._passed == GROW_AFTER:
            self.records, self._passed = min(NO_LIMIT, self.records * 2), 0

    def suspect(self, batch: Batch) -> Suspect | None:
        """Return what is known of the one record of a batch, where it took too long alone."""
        if batch.records != 1:
            return None
        (part,) = (part for part in batch.parts if part.records)
        suspect = self._suspects.get(part.place)
        return suspect if suspect is not None and suspect.alone_at == part.records[0].offset() else None

    def _held(self, batch: Batch) -> list[Suspect]:
        return [
            self._suspects[part.place]
            for part in batch.parts
            if part.records
            and part.place in self._suspects
            and part.records[0].offset() < self._suspects[part.place].end
        ]


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


def without_record(batch: Batch, reason: PermanentError) -> Batch:
    """Return the batch of one record as its dead letter alone."""
    (part,) = (part for part in batch.parts if part.records)
    refusal = refuse(part.topic, part.partition, part.records[0], reason)
    return Batch(parts=batch.parts, refusals=[refusal], ends=batch.ends, records=1)


def another_record(batch: Batch, others: Sequence[Batch], *, turn: int) -> Batch | None:
    """Return a row of another series than the one record of `batch`, if `others` hold any, each turn another one.

    Of the same topic where there is one: it goes the same way.
    """
    series = {(rows.table.topic, name) for rows in batch.rows for name in rows.streams.names}
    topics = {rows.table.topic for rows in batch.rows}
    candidates = [
        (rows.table.topic not in topics, rows, number)
        for other in others
        for rows in other.rows
        for number, name in enumerate(rows.streams.names)
        if (rows.table.topic, name) not in series
    ]
    alike = [candidate for candidate in candidates if not candidate[0]] or candidates
    if not alike:
        return None
    _, rows, number = alike[turn % len(alike)]
    row = int(np.flatnonzero(rows.streams.index == number)[0])
    record, partition = rows.records[row], int(rows.partitions[row])
    part = PartitionRecords(
        topic=rows.table.topic,
        partition=partition,
        partitions=batch.parts[0].partitions,
        end=record.offset() + 1,
        records=[record],
        at_end=True,
    )
    return _whole([part])
