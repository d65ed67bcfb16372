"""One batch is one transaction: rows, newest values, gaps and their jobs, series, watermarks, outbox, the fenced position last."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.runtime.clock import MarketClock, WallMarketClock, monotonic_s
from infra.runtime.postgres.errors import (
    ANSWERS,
    Connection,
    DuplicateKey,
    PartitionMissing,
)
from infra.runtime.postgres.session import deadline
from schemas.backfill import BackfillOrder
from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import StoreOverrun
from schemas.identity import stream_of
from schemas.ledger.coverage import MARKING
from schemas.partitions import TopicPartition
from schemas.universe import Tier
from sinks.batch.batch import Batch
from sinks.batch.cutting import BatchLimit, halves
from sinks.batch.freshness import newest_of
from sinks.ledger.gaps import Revision
from sinks.ledger.memory import Book, Changes
from sinks.ledger.reach import Reach
from sinks.progress.positions import Log, PartitionRefused, StoredPosition
from sinks.progress.watermark import Claims
from sinks.store.shell.ages import StoreAges
from sinks.store.shell.coverage import CoverageChange, change_coverage, learn, widen, write_coverage
from sinks.store.shell.gaps import revise_gaps, write_evidence, write_gaps
from sinks.store.shell.healing import Healing
from sinks.store.shell.journals import append
from sinks.store.shell.outcome import OutboxRow, Written, count, outbox_rows, span_of_batch
from sinks.store.shell.ownership import Owned, TakeOver, loss_of, move, stored_positions, take_over
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.refused import smaller, tried
from sinks.store.shell.rows import WritePath, store_rows
from sinks.store.shell.series import store_streams, store_watermarks, stored_streams
from sinks.store.shell.session import check_empty, open_connection

TAKE_OVER_WITHIN_S = 15.0


STORE_OUTBOX = """
    INSERT INTO outbox (topic, partition, key, value) SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bytea[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes of a batch besides its rows, and what of them must be published."""

    changes: Changes
    revisions: list[tuple[int, Revision]]
    coverage: CoverageChange
    orders: list[BackfillOrder]
    outgoing: list[OutboxRow]


class Writer:
    """Writes batches over one connection, for the partitions it owns; after any error it must not be used again."""

    def __init__(
        self,
        connection: Connection,
        taken: TakeOver | None,
        ages: StoreAges,
        *,
        within_s: float,
        limit: BatchLimit,
        healing: Healing | None = None,
    ) -> None:
        """Write each transaction within `within_s` seconds; `ages`, `limit` and `healing` outlive the connection.

        `taken` None (a replay) keeps no positions and publishes nothing. Without `healing` nothing is fetched again.
        """
        self._connection, self._ages, self._healing = connection, ages, healing
        self._within_s, self._limit = within_s, limit
        self._owned: dict[TopicPartition, Owned] | None = None if taken is None else taken.owned
        self._ends = {partition: owned.next_offset for partition, owned in (self._owned or {}).items()}
        self._book, self._reach, self._claims = Book(), Reach(), Claims()
        self._partitions = TimePartitions()
        self.refused: Mapping[TopicPartition, PartitionRefused] = {} if taken is None else taken.refused

    @property
    def positions(self) -> dict[TopicPartition, CanonicalOffset]:
        """The offset at which each owned partition goes on."""
        return {partition: owned.next_offset for partition, owned in (self._owned or {}).items()}

    async def load(self) -> None:
        """Load the series of the owned partition numbers."""
        numbers = sorted({number for _, number in self._owned or {}})
        self._book.load(await stored_streams(self._connection, numbers))
        self._ages.begin({key: cursor.last_seen for key, cursor in self._book.cursors.items()})

    async def write(self, batch: Batch, *, go_on: Callable[[], bool] = lambda: True) -> Written:
        """Store a batch in one transaction; where that takes too long or PostgreSQL refuses data, in several.

        A record that is refused alone is dead-lettered, and one that took too long alone time and again, while others
        were stored. `go_on` is asked after each transaction; where it says no, the rest is not stored, as after an
        error: the positions tell. Raises Fenced where a newer owner holds one of its partitions, StoreUnavailable where
        PostgreSQL cannot answer now; what began before it is stored.
        """
        total, pending = Written(), [batch]
        while pending:
            part = pending.pop()
            if not self._limit.allows(part):
                pending += reversed(halves(part))
                continue
            suspect = self._limit.suspect(part)
            if suspect is not None:
                part = await tried(
                    self._connection, part, pending, suspect, made=self._partitions, within_s=self._within_s
                )
            try:
                total.add(await self._transaction(part))
            except StoreOverrun:
                self._limit.exceeded(part)
                raise
            except ANSWERS as error:
                pending += reversed(smaller(part, error))
                continue
            self._limit.kept(part)
            if not go_on():
                break
        return total

    async def _transaction(self, batch: Batch) -> Written:
        with span_of_batch(batch) as span:
            written = await self._stored(batch)
            span.set({"mds.write_path": written.path.value})
        return written

    async def _stored(self, batch: Batch) -> Written:
        began_s = monotonic_s()
        await self._partitions.make(self._connection, batch.rows, within_s=self._within_s)
        try:
            async with deadline(self._connection, within_s=self._within_s):
                plan = await self._plan(batch)
                written = await self._attempt(batch, plan, WritePath.FAST)
        except (DuplicateKey, PartitionMissing) as error:
            if isinstance(error, PartitionMissing):  # retention dropped it since
                self._partitions.forget()
                await self._partitions.make(self._connection, batch.rows, within_s=self._within_s)
            async with deadline(self._connection, within_s=self._within_s):
                written = await self._attempt(batch, plan, WritePath.STAGED)
        count(written, took_s=monotonic_s() - began_s)
        self._ages.show(await asyncio.to_thread(newest_of, batch.rows), written.watermarks)
        return written

    async def _plan(self, batch: Batch) -> Plan:
        """Return all that is decided before the transaction: it only writes, and nobody waits for us in it."""
        connection, told, reach = self._connection, batch.evidence, self._reach
        changes = await asyncio.to_thread(self._book.observe, batch.rows)
        await learn(connection, reach, (arrived.series for arrived in changes.arrivals.values()))
        revisions = await revise_gaps(connection, changes, told, reach)
        coverage = await change_coverage(connection, changes, told, reach)
        changes.note(
            {stream_of(each.stream): number for number, each in told if each.kind in MARKING and each.symbol}
        )
        orders: list[BackfillOrder] = []
        outgoing: list[OutboxRow] = []
        if self._healing is not None:
            orders = await self._healing.orders(connection, revisions)
        if self._owned is not None:
            outgoing = await asyncio.to_thread(outbox_rows, batch.refusals, revisions)
        return Plan(changes=changes, revisions=revisions, coverage=coverage, orders=orders, outgoing=outgoing)

    async def _attempt(self, batch: Batch, plan: Plan, path: WritePath) -> Written:
        ends = {**self._ends, **{partition: end for partition, (end, _) in batch.ends.items()}}
        complete, claims = self._claims.with_new(batch.claims).settled(None if self._owned is None else ends)
        written, moves = Written(path=path, transactions=1), dict[TopicPartition, CanonicalOffset]()
        written.refusals, written.watermarks, written.revisions = batch.refusals, complete, plan.revisions
        written.outgoing, queued = len(plan.outgoing), Counter[Tier]()
        if batch.records or batch.evidence or complete:
            async with self._connection.transaction():
                for rows in batch.rows:
                    new_keys = self._book.new_keys(rows)
                    written.tables.append(await store_rows(self._connection, rows, new_keys, path))
                await write_evidence(self._connection, batch.evidence)
                await write_gaps(self._connection, plan.revisions)
                if self._healing is not None and plan.orders:
                    queued = await self._healing.enqueue(self._connection, plan.orders)
                await write_coverage(self._connection, plan.coverage)
                await store_streams(self._connection, self._book, plan.changes)
                await store_watermarks(self._connection, complete)
                await append(self._connection, batch.entries)
                if plan.outgoing:
                    await self._connection.execute(STORE_OUTBOX, *map(list, zip(*plan.outgoing, strict=True)))
                if self._owned is not None:
                    moves = await move(self._connection, self._owned, batch.ends, claims)
        if self._healing is not None:
            self._healing.note(queued)
        self._book.apply(plan.changes)
        widen(self._reach, plan.revisions, plan.coverage)
        for partition, end in moves.items():
            (self._owned or {})[partition].next_offset = end
        self._ends, self._claims = ends, claims
        return written


class Store:
    """Opens writers on one database."""

    def __init__(
        self,
        dsn: str,
        *,
        write_within_s: float,
        connection_class: type[Connection] | None = None,
        market: MarketClock | None = None,
        healing: Healing | None = None,
    ) -> None:
        """Remember where to connect; `write_within_s` bounds each transaction, then its connection is terminated.

        How far rows lag is shown on the clock of `market`, by default wall time; `healing` queues gaps that open.
        """
        self._healing = healing
        self._ages = StoreAges(market or WallMarketClock())
        self._dsn = dsn
        self._within_s, self._limit = write_within_s, BatchLimit()
        self._connection_class = connection_class
        self.owned: Mapping[TopicPartition, Owned] = {}  # as taken over last, until a newer epoch is stored

    async def stored(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, StoredPosition]:
        """Return how far partitions are stored, whoever owns them; raises StoreUnavailable or ConfigurationError."""
        async with (
            open_connection(self._dsn, connection_class=self._connection_class) as connection,
            deadline(connection, within_s=TAKE_OVER_WITHIN_S),
        ):
            return await stored_positions(connection, partitions)

    @asynccontextmanager
    async def take_over(
        self, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
    ) -> AsyncIterator[Writer]:
        """Own the partitions of `logs` over a connection of their own; raises StoreUnavailable or ConfigurationError.

        Where a log may have lost what was not stored, the loss is evidence, stored with the new position.
        """
        async with open_connection(self._dsn, connection_class=self._connection_class) as connection:
            try:
                async with deadline(connection, within_s=TAKE_OVER_WITHIN_S):
                    taken = await take_over(connection, logs)
                    writer = Writer(
                        connection,
                        taken,
                        self._ages,
                        within_s=self._within_s,
                        limit=self._limit,
                        healing=self._healing,
                    )
                    await writer.load()
                self._ages.show({}, taken.watermarks)
                if taken.lost:
                    await writer.write(await loss_of(connection, taken, logs, now_us=now_us))
                self.owned = taken.owned
                yield writer
            finally:
                self._ages.forget()

    @asynccontextmanager
    async def replaying(self) -> AsyncIterator[Writer]:
        """Write without positions and publish nothing, into an empty database; raises ConfigurationError otherwise."""
        async with open_connection(self._dsn, connection_class=self._connection_class) as connection:
            async with deadline(connection, within_s=TAKE_OVER_WITHIN_S):
                await check_empty(connection)
            yield Writer(connection, None, self._ages, within_s=self._within_s, limit=self._limit)
