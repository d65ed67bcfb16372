"""The owner of a partition number in all topics as an actor: takes over, reads batches, stores each in one transaction.

The domain decides, and so does what asks PostgreSQL for it; what else the adapters do is re-created here in their order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import cast

import numpy as np

from infra.runtime.postgres.errors import Connection
from schemas.clocks import CanonicalOffset
from schemas.errors import StoreOverrun
from schemas.identity import stream_of
from schemas.ledger.coverage import MARKING
from schemas.partitions import TopicPartition
from schemas.topics import BARS, DEFAULT_PARTITIONS, GAPS, PROGRESS
from sinks.batch.batch import Batch, PartitionRecords, Rows, assemble
from sinks.batch.cutting import BatchLimit, halves
from sinks.ledger.memory import Book
from sinks.ledger.reach import Reach
from sinks.progress.watermark import Claims
from sinks.store.shell.coverage import change_coverage, learn, widen
from sinks.store.shell.gaps import KEPT, revise_gaps
from sinks.store.shell.outcome import outbox_rows
from tests.model import guard
from tests.model.broker import Broker
from tests.model.database import Database, KeyTaken, Pending, Version, version_of
from tests.model.market import PARTITION
from tests.model.oracle import Key, Place
from tests.model.processor import IDLE, Steps
from tests.model.tables import Tables, done


class Sink:
    """One owner of the partition number in all topics; `run` is the actor."""

    def __init__(
        self,
        broker: Broker,
        database: Database,
        topics: Sequence[str],
        random: Random,
        limit: BatchLimit,
        *,
        halving: float = 0.0,
        overrun: float = 0.0,
    ) -> None:
        """Own `topics`; `halving`, `overrun`: chances that a transaction asks for less, or takes too long."""
        self._broker, self._database, self._random = broker, database, random
        self._topics, self._limit = topics, limit
        self._halving, self._overrun = halving, overrun
        self._book, self._claims, self._reach = Book(), Claims(), Reach()
        self._waiting: dict[str, PartitionRecords] = {}
        self._owned: dict[str, int] = {}
        self._reading: dict[str, int] = {}
        self._ends: dict[TopicPartition, CanonicalOffset] = {}
        self.everything = False  # read all there is, not a random part of it

    def hurry(self) -> None:
        """Let nothing stand in the way any more."""
        self.everything, self._halving, self._overrun = True, 0.0, 0.0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to read or to publish."""
        unread = (self._broker.read(topic, self._reading.get(topic, 0)) for topic in self._topics)
        return not (any(unread) or self._waiting or self._database.outbox)

    def run(self) -> Steps:
        """Take over and store batches for ever, as sinks.store.shell does."""
        database, random = self._database, self._random
        epoch = database.take_over()
        yield "took over"
        self._owned = {topic: database.positions.get(topic, 0) for topic in self._topics}
        self._ends = {
            TopicPartition(topic, PARTITION): CanonicalOffset(at) for topic, at in self._owned.items()
        }
        self._reading = dict(self._owned)
        self._book.load(dict(database.cursors))
        while True:
            yield IDLE
            yield from self._publish(random)
            parts = self._fetch()
            if not parts:
                continue
            batch, waiting = assemble(parts)
            self._waiting.update((part.topic, part) for part in waiting)
            assert not batch.refusals, batch.refusals
            yield "assembled"
            yield from self._write(batch, epoch)

    def _publish(self, random: Random) -> Steps:
        """Drain the outbox: at least once, for a crash may come between publishing and deleting."""
        if self._database.outbox and (self.everything or random.random() < 0.5):
            sent = self._database.outbox[:]
            self._broker.publish(GAPS, sent)
            yield "published"
            if self._database.outbox[: len(sent)] == sent:
                del self._database.outbox[: len(sent)]

    def _fetch(self) -> list[PartitionRecords]:
        parts = []
        for topic in self._topics:
            there = self._broker.read(topic, self._reading[topic])
            size = len(there) if self._random.random() < 0.4 else self._random.randint(0, len(there))
            size = len(there) if self.everything else size
            left = self._waiting.pop(topic, None)
            at_end = size == len(there)
            end = there[size - 1].place + 1 if size else self._reading[topic]
            if at_end and self._random.random() < (0.5 if size else 0.1):
                end = max(end, self._broker.stable_end(topic))  # the consumer went over control records
            if end == self._reading[topic] and (left is None or not at_end):
                if left is not None:
                    self._waiting[topic] = left
                continue
            self._reading[topic] = end
            records = [*(left.records if left is not None else ()), *there[:size]]
            parts.append(
                PartitionRecords(
                    topic=topic,
                    partition=PARTITION,
                    partitions=DEFAULT_PARTITIONS,
                    end=end,
                    at_end=at_end,
                    records=records,
                )
            )
        return parts

    def _write(self, batch: Batch, epoch: int) -> Steps:
        """Store a batch in one transaction, or in halves where the database asks for less or it takes too long."""
        pending = [batch]
        while pending:
            part = pending.pop()
            if part.records > 1 and (not self._limit.allows(part) or self._random.random() < self._halving):
                pending += reversed(halves(part))
                yield "halved"
                continue
            if self._random.random() < self._overrun:
                self._limit.exceeded(part)
                raise StoreOverrun("the transaction took too long")
            yield from self._transaction(part, epoch)
            self._limit.kept(part)

    def _transaction(self, batch: Batch, epoch: int) -> Steps:
        connection, told, reach = cast("Connection", Tables(self._database)), batch.evidence, self._reach
        changes = self._book.observe(batch.rows)
        done(learn(connection, reach, [arrived.series for arrived in changes.arrivals.values()]))
        revisions = done(revise_gaps(connection, changes, told, reach))
        coverage = done(change_coverage(connection, changes, told, reach))
        changes.note({stream_of(e.stream): number for number, e in told if e.kind in MARKING and e.symbol})
        yield "planned"
        ends = {**self._ends, **{partition: end for partition, (end, _) in batch.ends.items()}}
        complete, claims = self._claims.with_new(batch.claims).settled(ends)
        try:
            pending = Pending(watermarks=dict(complete))
            self._store_rows(batch, pending, fast=True)
        except KeyTaken:
            pending = Pending(watermarks=dict(complete))
            self._store_rows(batch, pending, fast=False)
        pending.evidence = [each for _, each in told if each.kind in KEPT]
        for _, revision in revisions:
            pending.gone.extend(revision.deleted)
            pending.gaps.extend(revision.written)
        pending.outbox = [(key or b"", value) for _, _, key, value in outbox_rows((), revisions)]
        pending.coverage = coverage.rows
        pending.cursors = {key: changes.cursors.get(key) for key in changes.partitions}
        for (topic, number), (end, _) in batch.ends.items():
            waiting = claims.first_offset(number) if topic == PROGRESS else None
            target = end if waiting is None else min(end, waiting)
            if target > self._owned[topic]:
                pending.moves[topic] = (self._owned[topic], target)
        yield "about to commit"
        self._database.commit(pending, epoch)
        self._owned.update({topic: end for topic, (_, end) in pending.moves.items()})
        self._book.apply(changes)
        widen(reach, revisions, coverage)
        self._ends, self._claims = ends, claims

    def _store_rows(self, batch: Batch, pending: Pending, *, fast: bool) -> None:
        for rows in batch.rows:
            marked = self._book.new_keys(rows) if fast else np.zeros(rows.columns.size, np.bool_)
            versions = [version_of(rows.table.topic, record.value()) for record in rows.records]
            # forming bars are no history
            final = [(v, new) for v, new in zip(versions, marked.tolist(), strict=True) if v.final]
            times = Counter(version.key for version, _ in final)
            stored = self._database.keys[rows.table.topic]
            looked_up = rows.table.has_versions and not rows.table.has_entries
            opens = [
                new or (fast and looked_up and times[v.key] == 1 and v.key not in stored) for v, new in final
            ]
            self._copy(rows, [v for (v, _), new in zip(final, opens, strict=True) if new], pending)
            self._compare(rows, [v for (v, _), new in zip(final, opens, strict=True) if not new], pending)

    def _copy(self, rows: Rows, versions: list[Version], pending: Pending) -> None:
        topic, arrived = rows.table.topic, set[Key]()
        for version in versions:
            taken = topic == BARS and (version.key in self._database.keys[topic] or version.key in arrived)
            if taken or version.place in self._database.rows[topic]:
                raise KeyTaken
            arrived.add(version.key)
            pending.rows[topic][version.place] = version

    def _compare(self, rows: Rows, versions: list[Version], pending: Pending) -> None:
        topic, by_key = rows.table.topic, defaultdict[Key, list[Version]](list)
        for version in versions:
            by_key[version.key].append(version)
        copied = list(pending.rows[topic].values())
        for key, arriving in by_key.items():
            stored = {row.place: row.content for row in self._database.keys[topic].get(key, {}).values()}
            stored |= {row.place: row.content for row in copied if row.key == key}
            places: Iterable[Place] = [row.place for row in arriving if row.place not in stored]
            if rows.table.has_versions:
                places = guard.new_versions(stored, [(row.place, row.content) for row in arriving])
            chosen = set(places)
            pending.rows[topic].update({row.place: row for row in arriving if row.place in chosen})
