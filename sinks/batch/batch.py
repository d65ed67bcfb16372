"""One batch to store, made of what was read from Kafka: rows by table, evidence, watermark claims, dead letters, positions.

A batch never cuts a raw block of slots in two: it is what a vendor said at once. Only a block too long for memory is cut,
by the reader (`sinks.reading.blocks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from schemas.clocks import CanonicalOffset, KnowledgeTime
from schemas.errors import InvalidRecord, PermanentError
from schemas.identity import stream_id_of
from schemas.intervals import AHEAD_US
from schemas.journals import JOURNALS
from schemas.partitions import TopicPartition, partition_of
from schemas.records import DeadLetter, Evidence, Progress
from schemas.topics import CANONICAL_TOPICS, EVIDENCE, PROGRESS
from schemas.wire.codec import decode, decode_value, encode_value
from sinks.batch.groups import StreamGroups, group_streams
from sinks.batch.journal import JournalEntry, entry_of
from sinks.batch.soundness import check_evidence, check_progress, unsound
from sinks.columns.avro import Columns, Flags, Integers, read_columns
from sinks.columns.copy import encode_rows
from sinks.columns.tables import TABLES, Table, with_stored
from sinks.progress.watermark import Claim, claim_of

MILLISECOND_US = 1_000


class KafkaRecord(Protocol):
    """A record as Kafka gave it."""

    def value(self) -> bytes | None:
        """Return the bytes of the record."""

    def key(self) -> Any:
        """Return the bytes of its key, if any."""

    def offset(self) -> Any:
        """Return its offset."""

    def timestamp(self) -> tuple[int, int]:
        """Return (kind, append time in ms)."""


@dataclass(slots=True, kw_only=True)
class PartitionRecords:
    """Records read from one partition, in order; `end` is the position after them, `at_end` that their last block ended.

    `end` is a plain integer: it moves with every record. `partitions` is how many the topic has.
    """

    topic: str
    partition: int
    partitions: int
    end: int
    at_end: bool = False
    leader_epoch: int = -1
    records: list[KafkaRecord] = field(default_factory=list)

    @property
    def place(self) -> TopicPartition:
        """The partition they were read from."""
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one stream, decoded, grouped by series, and already encoded for the case that all of them are new."""

    table: Table
    columns: Columns
    streams: StreamGroups
    partitions: Integers
    records: Sequence[KafkaRecord]
    encoded: bytes  # all final ones

    def final(self) -> Flags:
        """Return which rows are final: all but forming bars."""
        return _final(self.columns)

    def suspect(self) -> Flags:
        """Return which rows are stamped further ahead of their record than clocks differ: they are never the newest."""
        stamps: Flags = self.columns.integers("event_time") > self.columns.integers("known_from") + AHEAD_US
        return stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A record that cannot be stored, with the dead letter that says why."""

    key: bytes | None
    letter: DeadLetter


@dataclass(slots=True, kw_only=True)
class Batch:
    """Content of one transaction; `ends` are the positions it moves the sink to, with the leader epoch of each.

    `parts` are the records it was made of, so that it can be cut.
    """

    parts: list[PartitionRecords] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    evidence: list[tuple[int, Evidence]] = field(default_factory=list)  # with the partition it was read from
    claims: list[Claim] = field(default_factory=list)
    entries: list[JournalEntry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    ends: dict[TopicPartition, tuple[CanonicalOffset, int]] = field(default_factory=dict)
    records: int = 0


def assemble(parts: Iterable[PartitionRecords]) -> tuple[Batch, list[PartitionRecords]]:
    """Return the batch of `parts`, and what must wait for the rest of its block."""
    batch, waiting = Batch(), []
    by_topic: dict[str, list[PartitionRecords]] = {}
    for part in parts:
        by_topic.setdefault(part.topic, []).append(part)
    for topic, of_topic in by_topic.items():
        if topic in CANONICAL_TOPICS:
            waiting.extend(_add_rows(batch, TABLES[topic], of_topic))
        else:
            for part in of_topic:
                _add_singles(batch, part)
                batch.ends[part.place] = (CanonicalOffset(part.end), part.leader_epoch)
        batch.records += sum(len(part.records) for part in of_topic)
        batch.parts += [replace(part, end=batch.ends[part.place][0], at_end=True) for part in of_topic]
    return batch, waiting


def refuse(topic: str, partition: int, record: KafkaRecord, error: PermanentError) -> Refusal:
    """Return the dead letter of a record this sink cannot store."""
    letter = DeadLetter(
        stage="sink",
        reason=error.reason,
        message=str(error),
        topic=topic,
        partition=partition,
        offset=record.offset(),
        known_from=KnowledgeTime(record.timestamp()[1] * MILLISECOND_US),
        key=record.key(),
        payload=record.value() or b"",
    )
    return Refusal(key=record.key(), letter=letter)


def _add_singles(batch: Batch, part: PartitionRecords) -> None:
    for record in part.records:
        try:
            if part.topic == EVIDENCE:
                told = decode(EVIDENCE, record.value(), Evidence)
                check_evidence(told, part.partition, part.partitions)
                batch.evidence.append((part.partition, told))
            elif part.topic == PROGRESS:
                progress = decode(PROGRESS, record.value(), Progress)
                check_progress(progress)
                batch.claims.append(claim_of(progress, record.offset()))
            elif (journal := JOURNALS.get(part.topic)) is not None:
                noted = decode(journal.topic, record.value(), journal.record)
                batch.entries.append(entry_of(journal, noted, partition=part.partition, origin=record))
        except PermanentError as error:
            batch.refusals.append(refuse(part.topic, part.partition, record, error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """Records of one topic, the bytes to decode, and which partition each came from."""

    records: Sequence[KafkaRecord]
    values: Sequence[bytes]
    partitions: Integers

    def only(self, rows: Integers) -> _Read:
        """Return these rows."""
        records, values = [self.records[row] for row in rows], [self.values[row] for row in rows]
        return _Read(records=records, values=values, partitions=self.partitions[rows])

    def refuse(self, batch: Batch, topic: str, row: int, error: PermanentError) -> None:
        """Dead-letter a row."""
        batch.refusals.append(refuse(topic, int(self.partitions[row]), self.records[row], error))


def _add_rows(batch: Batch, table: Table, parts: list[PartitionRecords]) -> list[PartitionRecords]:
    """Add the rows of one topic and return the parts that wait."""
    for part in parts:
        batch.ends[part.place] = (CanonicalOffset(part.end), part.leader_epoch)
    parts = [part for part in parts if part.records]
    if not parts:
        return []
    counts = [len(part.records) for part in parts]
    numbers = np.repeat(np.array([part.partition for part in parts], np.int64), counts)
    read, columns, faults = _decode(
        table.topic, [record for part in parts for record in part.records], numbers
    )
    waiting, keep = [], np.ones(len(numbers), np.bool_)
    for part, begin in zip(parts, (np.cumsum(counts) - counts).tolist(), strict=True):
        size = len(part.records)
        if table.has_slots and not part.at_end:
            size = _whole_blocks(columns.integers("raw_offset")[begin : begin + size], faults, begin)
        if size < len(part.records):
            waiting.append(replace(part, records=part.records[size:]))
            keep[begin + size : begin + len(part.records)] = False
            batch.ends[part.place] = (waiting[-1].records[0].offset(), part.leader_epoch)
        part.records = part.records[:size]
    for row, error in sorted(faults.items()):
        if keep[row]:
            read.refuse(batch, table.topic, row, error)
            keep[row] = False
    if keep.all():
        _add_decoded(batch, table, read, columns, parts[0].partitions)
    elif keep.any():
        kept = read.only(np.flatnonzero(keep))
        _add_decoded(batch, table, kept, read_columns(table.topic, kept.values)[0], parts[0].partitions)
    return waiting


def _add_decoded(batch: Batch, table: Table, read: _Read, columns: Columns, count: int) -> None:
    streams = group_streams(columns, table.stream)
    astray = _astray(streams, read.partitions, count)
    if astray.any():
        for row in np.flatnonzero(astray).tolist():
            error = InvalidRecord(
                "the symbol does not belong to this partition; key records by symbol with murmur2"
            )
            read.refuse(batch, table.topic, row, error)
        if astray.all():
            return
        read = read.only(np.flatnonzero(~astray))
        columns = read_columns(table.topic, read.values)[0]
        streams = group_streams(columns, table.stream)
    ids = np.fromiter(map(stream_id_of, streams.names), np.int64, len(streams.names))
    columns = with_stored(table, columns, ids[streams.index])
    # Stream by stream: neighbours in the index arrive together, which spares the server a quarter of its work.
    final = streams.order[_final(columns)[streams.order]]
    batch.rows.append(
        Rows(
            table=table,
            columns=columns,
            streams=streams,
            partitions=read.partitions,
            records=read.records,
            encoded=encode_rows(table.columns, columns, final),
        )
    )


def _final(columns: Columns) -> Flags:
    final = columns.numbers.get("final")
    return np.ones(columns.size, np.bool_) if final is None else final.values


def _astray(streams: StreamGroups, partitions: Integers, count: int) -> Flags:
    home = np.array([partition_of(name.symbol, count) for name in streams.names], np.int64)
    astray: Flags = home[streams.index] != partitions
    return astray


def _decode(
    topic: str, records: list[KafkaRecord], partitions: Integers
) -> tuple[_Read, Columns, dict[int, PermanentError]]:
    """Return what was read, its columns, and by row the error of every record that is not a usable one."""
    values = [record.value() or b"" for record in records]
    columns, odd = read_columns(topic, values)
    faults: dict[int, PermanentError] = {}
    if odd.any():
        for row in np.flatnonzero(odd).tolist():
            try:
                # An older schema version is rewritten as the newest, which the column reader follows.
                values[row] = encode_value(topic, decode_value(topic, records[row].value()))
            except PermanentError as error:
                faults[row] = error
        columns, odd = read_columns(topic, values)
    for row in np.flatnonzero(odd).tolist():
        faults.setdefault(row, InvalidRecord("an integer or a time is out of range; times are µs since 1970"))
    for row, fault in unsound(TABLES[topic].stream, columns).items():
        faults.setdefault(row, fault)
    return _Read(records=records, values=values, partitions=partitions), columns, faults


def _whole_blocks(raw_offsets: Integers, faults: dict[int, PermanentError], begin: int) -> int:
    """Return how many leading rows belong to blocks that have surely ended: those before the last raw offset seen."""
    sound = [row for row in range(len(raw_offsets)) if begin + row not in faults] if faults else None
    rows = np.arange(len(raw_offsets)) if sound is None else np.array(sound, np.int64)
    if not len(rows):
        return len(raw_offsets)
    others = rows[raw_offsets[rows] != raw_offsets[rows[-1]]]
    return int(others[-1]) + 1 if len(others) else 0
