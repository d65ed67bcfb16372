"""One batch is one transaction: rows, newest values, gaps, series, watermarks, outbox, and the fenced position last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from infra.runtime.clock import MarketClock, WallMarketClock, monotonic_s
from infra.runtime.postgres.errors import (
    ANSWERS,
    Connection,
    DuplicateKey,
    PartitionMissing,
)
from infra.runtime.postgres.session import deadline
from schemas.clocks import CanonicalOffset, KnowledgeTime, WallTime
from schemas.errors import StoreOverrun
from schemas.identity import stream_id_of, stream_of
from schemas.ledger.coverage import MARKING
from schemas.partitions import TopicPartition
from schemas.streams import STREAM_NAMES, StreamId
from sinks.batch.batch import Batch
from sinks.batch.cutting import BatchLimit, halves
from sinks.batch.freshness import newest_of
from sinks.ledger.cursors import Cursor
from sinks.ledger.gaps import Revision
from sinks.ledger.memory import Book, Changes
from sinks.ledger.reach import Reach
from sinks.progress.positions import Log, PartitionRefused, StoredPosition
from sinks.progress.watermark import Claims
from sinks.store.shell.ages import StoreAges
from sinks.store.shell.coverage import CoverageChange, change_coverage, learn, widen, write_coverage
from sinks.store.shell.gaps import revise_gaps, write_evidence, write_gaps
from sinks.store.shell.journals import append
from sinks.store.shell.outcome import OutboxRow, Written, count, outbox_rows
from sinks.store.shell.ownership import Owned, TakeOver, loss_of, move, stored_positions, take_over
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.refused import smaller, tried
from sinks.store.shell.rows import WritePath, store_rows
from sinks.store.shell.session import check_empty, open_connection

TAKE_OVER_WITHIN_S = 15.0


LOAD_STREAMS = """
    SELECT kind, interval, provider, symbol, start_time, last_seen FROM streams WHERE partition = ANY($1::int[])
"""
# A row not returned is another series under the same number.
STORE_STREAMS = """
    INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition, start_time, last_seen)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::timestamptz[],
        $8::timestamptz[])
    ON CONFLICT (stream_id) DO UPDATE
    SET start_time = LEAST(streams.start_time, excluded.start_time),
        last_seen = GREATEST(streams.last_seen, excluded.last_seen)
    WHERE (streams.kind, streams.interval, streams.provider, streams.symbol)
        = (excluded.kind, excluded.interval, excluded.provider, excluded.symbol)
    RETURNING 1
"""
STORE_WATERMARKS = """
    INSERT INTO watermarks (topic, partition, complete_before)
    SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[])
    ON CONFLICT (topic, partition) DO UPDATE
    SET complete_before = GREATEST(watermarks.complete_before, excluded.complete_before)
"""
STORE_OUTBOX = """
    INSERT INTO outbox (topic, partition, key, value) SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bytea[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes of a batch besides its rows, and what of them must be published."""

    changes: Changes
    revisions: list[tuple[int, Revision]]
    coverage: CoverageChange
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
    ) -> None:
        """Write each transaction within `within_s` seconds; `ages` and `limit` outlive the connection.

        `taken` None (a replay) keeps no positions and publishes nothing.
        """
        self._connection, self._ages = connection, ages
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
        rows = await self._connection.fetch(LOAD_STREAMS, numbers)
        # what is no longer declared is kept and never moved
        self._book.load(
            {
                StreamId(row["kind"], row["interval"], row["provider"], row["symbol"]): None
                if row["last_seen"] is None
                else Cursor(start=row["start_time"], last_seen=row["last_seen"])
                for row in rows
                if row["kind"] in STREAM_NAMES
            }
        )
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
        outgoing: list[OutboxRow] = []
        if self._owned is not None:
            outgoing = await asyncio.to_thread(outbox_rows, batch.refusals, revisions)
        return Plan(changes=changes, revisions=revisions, coverage=coverage, outgoing=outgoing)

    async def _attempt(self, batch: Batch, plan: Plan, path: WritePath) -> Written:
        ends = {**self._ends, **{partition: end for partition, (end, _) in batch.ends.items()}}
        complete, claims = self._claims.with_new(batch.claims).settled(None if self._owned is None else ends)
        written, moves = Written(path=path, transactions=1), dict[TopicPartition, CanonicalOffset]()
        written.refusals, written.watermarks, written.revisions = batch.refusals, complete, plan.revisions
        written.outgoing = len(plan.outgoing)
        if batch.records or batch.evidence or complete:
            async with self._connection.transaction():
                for rows in batch.rows:
                    new_keys = self._book.new_keys(rows)
                    written.tables.append(await store_rows(self._connection, rows, new_keys, path))
                await write_evidence(self._connection, batch.evidence)
                await write_gaps(self._connection, plan.revisions)
                await write_coverage(self._connection, plan.coverage)
                await self._store_streams(plan.changes)
                await self._store_watermarks(complete)
                await append(self._connection, batch.entries)
                if plan.outgoing:
                    await self._connection.execute(STORE_OUTBOX, *map(list, zip(*plan.outgoing, strict=True)))
                if self._owned is not None:
                    moves = await move(self._connection, self._owned, batch.ends, claims)
        self._book.apply(plan.changes)
        widen(self._reach, plan.revisions, plan.coverage)
        for partition, end in moves.items():
            (self._owned or {})[partition].next_offset = end
        self._ends, self._claims = ends, claims
        return written

    async def _store_streams(self, changes: Changes) -> None:
        book, rows = self._book, list[tuple[Any, ...]]()
        for key, partition in changes.partitions.items():
            cursor = changes.cursors.get(key)
            if key in book.series and (cursor is None or cursor == book.cursors.get(key)):
                continue
            start, last = (None, None) if cursor is None else (cursor.start, cursor.last_seen)
            named = (stream_id_of(key), key.name, key.interval, key.provider, key.symbol)
            rows.append((*named, partition, start, last))
        if rows:
            stored = await self._connection.fetch(STORE_STREAMS, *map(list, zip(*rows, strict=True)))
            if len(stored) != len(rows):
                raise RuntimeError(
                    "two series have one number in table streams, or a row of it was changed by hand"
                )

    async def _store_watermarks(self, complete: Mapping[TopicPartition, KnowledgeTime]) -> None:
        if complete:
            rows = [(topic, number, moment) for (topic, number), moment in complete.items()]
            await self._connection.execute(STORE_WATERMARKS, *map(list, zip(*rows, strict=True)))


class Store:
    """Opens writers on one database."""

    def __init__(
        self,
        dsn: str,
        *,
        write_within_s: float,
        connection_class: type[Connection] | None = None,
        market: MarketClock | None = None,
    ) -> None:
        """Remember where to connect; `write_within_s` bounds each transaction, then its connection is terminated.

        How far rows lag is shown on the clock of `market`, by default wall time.
        """
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
                    writer = Writer(connection, taken, self._ages, within_s=self._within_s, limit=self._limit)
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
