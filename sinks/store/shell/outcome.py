"""Outcome of a committed transaction, and the metrics and the span that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from infra.runtime import metrics
from infra.runtime.tracing import Attribute, Blocks, Span, span_of_blocks
from schemas.clocks import KnowledgeTime
from schemas.partitions import TopicPartition
from schemas.streams import STREAMS
from schemas.topics import GAPS, dead
from schemas.wire.codec import encode
from sinks.batch.batch import Batch, Refusal
from sinks.ledger.gaps import Revision
from sinks.store.shell.rows import StoredRows, WritePath

MILLISECONDS = 1_000
RAW_OF = {stream.topic: stream.raw_topic for stream in STREAMS}
OutboxRow = tuple[str, int, bytes | None, bytes]
"""Topic, partition, key and value of a record to publish."""


@dataclass(slots=True, kw_only=True)
class Written:
    """Outcome of one transaction or several; `outgoing` counts the records left in the outbox."""

    path: WritePath = WritePath.FAST
    transactions: int = 0
    tables: list[StoredRows] = field(default_factory=list)
    revisions: list[tuple[int, Revision]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    watermarks: dict[TopicPartition, KnowledgeTime] = field(default_factory=dict)
    outgoing: int = 0

    def add(self, other: Written) -> None:
        """Take in the outcome of a later transaction."""
        self.path = other.path if other.path is WritePath.STAGED else self.path
        self.transactions += other.transactions
        self.tables += other.tables
        self.revisions += other.revisions
        self.refusals += other.refusals
        self.watermarks |= other.watermarks
        self.outgoing += other.outgoing


def outbox_rows(refusals: Iterable[Refusal], revisions: Iterable[tuple[int, Revision]]) -> list[OutboxRow]:
    """Return what a transaction leaves in the outbox: its dead letters, and the gaps that must be announced."""
    letters = [
        (dead(letter.topic), letter.partition, refusal.key, encode(dead(letter.topic), letter))
        for refusal in refusals
        for letter in (refusal.letter,)
    ]
    gaps = [
        (GAPS, partition, gap.gap_id.encode(), encode(GAPS, gap))
        for partition, revision in revisions
        for gap in revision.announced
    ]
    return [*letters, *gaps]


def count(written: Written, *, took_s: float) -> None:
    """Put a committed transaction into the metrics."""
    metrics.WRITE_BATCH_MS.observe(took_s * MILLISECONDS)
    for stored in written.tables:
        name = stored.rows.table.name
        metrics.ROWS_WRITTEN.labels(name, "fast").inc(stored.fast)
        metrics.ROWS_WRITTEN.labels(name, "compared").inc(stored.versions)
        metrics.ROWS_WRITTEN.labels(name, "forming").inc(stored.forming)
        metrics.ROWS_UNCHANGED.labels(name).inc(stored.compared - stored.versions)
    for refusal in written.refusals:
        metrics.DEAD_LETTERS.labels("sink", refusal.letter.reason).inc()


def span_of_batch(batch: Batch) -> Span:
    """Return the span of storing a batch, linked with the raw blocks its rows came in."""
    told: dict[str, Attribute] = {
        "db.system.name": "postgresql",
        "db.operation.name": "COPY",
        "db.operation.batch.size": batch.records,
    }
    return span_of_blocks("store batch", "client", _blocks(batch), told)


def _blocks(batch: Batch) -> Iterator[Blocks]:
    for rows in batch.rows:
        topic, offsets = RAW_OF[rows.table.topic], rows.columns.integers("raw_offset")
        for partition in np.unique(rows.partitions):
            yield Blocks(topic, int(partition), np.unique(offsets[rows.partitions == partition]).tolist())
