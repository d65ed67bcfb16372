"""Reading the database: bounded, each answer from one snapshot, rows turned into values at this border."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.database import ledger_statements, statements
from gateway.database.cursors import SeriesCursor
from gateway.database.gap_pages import MAX_ROWS, GapKey, GapPage
from gateway.database.rows import bits_of, row_reader
from gateway.database.shell.known_gaps import known_gaps, present_gaps, series_cursor
from gateway.database.shell.newest import NewestAsked, newest_values, previous_closes
from gateway.database.versions import BarVersion, GapFilter, Span, StoredClose, Value, View
from gateway.http.moments import ALL_KNOWN, EARLIEST_US
from gateway.http.problems import Problem
from infra.runtime.postgres.errors import Connection, Pool, Record
from infra.runtime.postgres.pool import connection
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import INTERVALS
from schemas.partitions import TopicPartition
from schemas.streams import BAR_STREAM, StreamId, StreamName
from schemas.tables import INDEX_BITS

READ_TIMEOUT_S = 10.0
MAX_WAITING = 128  # requests queued for a connection; one more is told to come again
OVERLOAD_RETRY_S = 1
APART = 12  # connections of queues apart, besides those of requests: watermarks, objectives, symbols of streams, acts
STATEMENT_MS = int(READ_TIMEOUT_S * 1_000)  # of a caller that is told "come again" the server must not go on
YIELD_EVERY_ROWS = 500
PageKey = Sequence[int | str]


class Snapshot:
    """One consistent view of the database; every time is µs, every as_of inclusive."""

    def __init__(self, borrowed: Connection) -> None:
        """Read through `borrowed`, which is inside its transaction; `fetch` is for statements of a topic's own."""
        self._connection, self.fetch = borrowed, borrowed.fetch

    async def complete_before(self, topic: str, partition: int) -> KnowledgeTime | None:
        """Return the exclusive watermark of a canonical partition; None before the first."""
        mark: KnowledgeTime | None = await self._connection.fetchval(statements.WATERMARK, topic, partition)
        return mark

    async def kept_from(self, *kinds: StreamName) -> EventTime | None:
        """Return the event_time from which on all of these kinds are kept; None where they are from the beginning."""
        floor: EventTime | None = await self._connection.fetchval(statements.KEPT_FROM, kinds)
        return floor

    async def bars(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, descending: bool = False
    ) -> list[BarVersion]:
        """Return the newest known version of each bar starting in `span`, the first `limit` in order."""
        statement = statements.LATEST_BARS_DESCENDING if descending else statements.LATEST_BARS_ASCENDING
        rows = await self._connection.fetch(statement, *_arguments(symbol, interval, span, view, limit))
        return await _bars(rows, symbol, interval)

    async def versions(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, after: PageKey | None
    ) -> list[BarVersion]:
        """Return every known version, by event_time and position, after the key `after`."""
        start, offset, index = (int(part) for part in after or (EARLIEST_US, 0, -1))
        arguments = (*_arguments(symbol, interval, span, view, limit), start, (offset << INDEX_BITS) + index)
        return await _bars(await self._connection.fetch(statements.ALL_BARS, *arguments), symbol, interval)

    async def versions_before(
        self, symbol: str, interval: str, view: View, after: PageKey
    ) -> list[BarVersion]:
        """Return of each provider the newest known version, up to the key `after`, of the bar that it names."""
        start, offset, index = (int(part) for part in after)
        bar = (symbol, interval, start, start + 1, view.provider, view.as_of, (offset << INDEX_BITS) + index)
        return await _bars(await self._connection.fetch(statements.VERSIONS_BEFORE, *bar), symbol, interval)

    async def edges(self, symbol: str, interval: str, view: View, *, since: EventTime) -> Span | None:
        """Return of the known bars of an interval from `since` on the starts of the oldest and of the newest."""
        until = max(since, view.latest_event + 1)
        row = await self._connection.fetchrow(
            statements.BAR_EDGES, symbol, interval, since, until, view.provider, view.as_of
        )
        return None if row is None or row["oldest"] is None else (row["oldest"], row["newest"])

    async def first_known(
        self, symbol: str, intervals: Sequence[str], span: Span, provider: str | None
    ) -> KnowledgeTime | None:
        """Return when the first bar of a range became known; None where none ever was."""
        asked = (symbol, intervals, *span, provider)
        # From a moment at which one was known back to earlier ones: imports come in order, so that these are few.
        first: KnowledgeTime | None
        first = earlier = await self._connection.fetchval(statements.EARLIEST_KNOWN, *asked)
        while earlier is not None:
            first, earlier = (
                earlier,
                await self._connection.fetchval(statements.KNOWN_BEFORE, *asked, earlier),
            )
        return first

    async def was_known(
        self, symbol: str, intervals: Sequence[str], span: Span, provider: str | None, as_of: KnowledgeTime
    ) -> bool:
        """Whether any bar of a range was known at `as_of`."""
        asked = (symbol, intervals, *span, provider, as_of + 1)
        return await self._connection.fetchval(statements.KNOWN_BEFORE, *asked) is not None

    async def sources(self, symbol: str) -> tuple[list[str], list[str]]:
        """Return who ever gave bars of a symbol, by name, and of which intervals, from the shortest."""
        rows = await self._connection.fetch(statements.SOURCES, symbol)
        intervals = {row["interval"] for row in rows}
        return sorted({row["provider"] for row in rows}), [name for name in INTERVALS if name in intervals]

    async def knows(self, symbol: str) -> bool:
        """Whether anything of a symbol is stored."""
        return symbol in await self.known_among([symbol])

    async def known_among(self, symbols: Sequence[str]) -> set[str]:
        """Return those symbols of which anything is stored."""
        return {row["symbol"] for row in await self._connection.fetch(statements.KNOWN_SYMBOLS, symbols)}

    async def newest_values(
        self,
        symbols: Sequence[str],
        *,
        provider: str | None,
        as_of: KnowledgeTime | None,
        latest_event: EventTime,
    ) -> dict[str, list[Value]]:
        """Return per symbol the newest quote, trade and 1-minute bar of each provider.

        Without `as_of` a forming bar counts, too; no past moment can be asked for one, it is not kept.
        """
        wanted = NewestAsked(as_of=as_of, latest_event=latest_event, shadows=provider is not None)
        return await newest_values(self._connection, symbols, provider, wanted)

    async def previous_closes(
        self, opens: Mapping[str, EventTime], *, provider: str | None, as_of: KnowledgeTime | None
    ) -> dict[str, list[StoredClose]]:
        """Return per symbol the last regular close before a moment, of each series of days and of minutes."""
        known_by = ALL_KNOWN if as_of is None else as_of
        return await previous_closes(self._connection, opens, provider, known_by)

    async def gaps(
        self,
        which: GapFilter,
        *,
        limit: int,
        after: GapKey | None = None,
        descending: bool = False,
        width_us: int | None = None,
        most_rows: int = MAX_ROWS,
    ) -> GapPage:
        """Return a page of the gaps of `which.symbol` as they were known at `which.as_of`, by (from_time, gap_id).

        It may be short: `most_rows` or so are read for a page. `width_us`: how much time to look at at once.
        """
        return await known_gaps(
            self._connection,
            which,
            limit=limit,
            after=after,
            descending=descending,
            width_us=width_us,
            most_rows=most_rows,
        )

    async def present_gaps(
        self, which: GapFilter, *, limit: int, after: GapKey | None = None, descending: bool = False
    ) -> GapPage:
        """Return a page of the blind gaps of all symbols as they are now: what a job fetches at this moment is `filling`."""
        return await present_gaps(self._connection, which, limit=limit, after=after, descending=descending)

    async def evidence_known(self, symbol: str) -> KnowledgeTime | None:
        """Return when the first evidence of a symbol's completeness became known; None where there is none."""
        known: KnowledgeTime | None = await self._connection.fetchval(
            ledger_statements.EVIDENCE_KNOWN, symbol
        )
        return known

    async def cursor(self, stream: StreamId) -> SeriesCursor | None:
        """Return how far a series has come, where it is collected, and where the first thing is missing; as of now."""
        return await series_cursor(self._connection, stream)

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of one of the constants of `statements`; times are µs both ways."""
        return [dict(row) for row in await self._connection.fetch(statement, *values)]

    async def cursors_of(self, symbol: str) -> list[str]:
        """Return the cursors a symbol has, as `interval or channel/provider`."""
        rows = await self._connection.fetch(ledger_statements.CURSORS_OF_SYMBOL, symbol)
        return [f"{row['interval'] or row['kind']}/{row['provider']}" for row in rows]


@dataclass(slots=True)
class Left:
    """Connections of a pool that no queue has."""

    count: int

    def take(self, wanted: int) -> None:
        """Give a queue so many; raises ValueError where there are fewer."""
        if wanted > self.count:
            raise ValueError(f"of the pool {self.count} connections are left, a queue wants {wanted}")
        self.count -= wanted


class Snapshots:
    """Lends snapshots, so many at a time; beyond a bounded queue callers are told to come again."""

    def __init__(self, pool: Pool, *, concurrent: int, left: Left | None = None) -> None:
        """Read through `pool`, at most `concurrent` requests at once; raises ValueError where it has not so many `left`."""
        self._pool = pool
        self._left = Left(pool.get_max_size()) if left is None else left
        self._left.take(concurrent)
        self._slots = asyncio.Semaphore(concurrent)
        self._waiting = 0

    def apart(self, *, concurrent: int) -> Snapshots:
        """Return another queue with connections of its own, so that those in it never wait behind this one."""
        return Snapshots(self._pool, concurrent=concurrent, left=self._left)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Lend a repeatable-read snapshot; raises Problem when too many wait, StoreUnavailable when it cannot answer.

        Raise nothing of your own inside: an error there costs the connection.
        """
        async with (
            self._slot(),
            connection(self._pool, within_s=READ_TIMEOUT_S) as borrowed,
            borrowed.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(borrowed)

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction that may write; otherwise like `snapshot`: raise nothing of your own."""
        async with self.session(within_s=READ_TIMEOUT_S) as borrowed, borrowed.transaction():
            yield borrowed

    @asynccontextmanager
    async def session(self, *, within_s: float) -> AsyncIterator[Connection]:
        """Lend a connection, whose transactions are the caller's, for at most `within_s`; otherwise like `acting`."""
        async with self._slot(), connection(self._pool, within_s=within_s) as borrowed:
            if within_s > READ_TIMEOUT_S:
                await borrowed.execute(
                    "SELECT set_config('statement_timeout', $1, false)", str(int(within_s * 1_000))
                )
            yield borrowed

    async def watermarks(self) -> dict[TopicPartition, KnowledgeTime]:
        """Return every watermark: the exclusive complete_before by partition."""
        async with self._slot(), connection(self._pool, within_s=READ_TIMEOUT_S) as borrowed:
            rows = await borrowed.fetch(statements.WATERMARKS)
        return {TopicPartition(row["topic"], row["partition"]): row["complete_before"] for row in rows}

    async def partition_count(self) -> int | None:
        """Return how many partitions the stored data is of; None where nothing is stored. Raises StoreUnavailable.

        Each partition has a watermark once its first tick was stored.
        """
        return max((place.partition + 1 for place in await self.watermarks()), default=None)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            detail = f"{MAX_WAITING} requests already wait for the database; come again"
            raise Problem(code="overloaded", detail=detail, retry_after_s=OVERLOAD_RETRY_S)
        self._waiting += 1
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            detail = f"no connection to the database was free within {READ_TIMEOUT_S:.0f} s; come again"
            raise Problem(code="overloaded", detail=detail, retry_after_s=OVERLOAD_RETRY_S) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


_bar: Callable[[Record, str, str, str], BarVersion] = row_reader(BAR_STREAM, BarVersion)


async def _bars(rows: Sequence[Record], symbol: str, interval: str) -> list[BarVersion]:
    bars = list[BarVersion]()
    for begin in range(0, len(rows), YIELD_EVERY_ROWS):
        bars += [_bar(row, symbol, row[0], interval) for row in rows[begin : begin + YIELD_EVERY_ROWS]]
        await asyncio.sleep(0)  # a long answer must not hold up the WebSocket clients
    return bars


def _arguments(symbol: str, interval: str, span: Span, view: View, limit: int) -> tuple[Any, ...]:
    sessions = (
        None if view.sessions is None else [bits_of(BAR_STREAM, "session", name) for name in view.sessions]
    )
    return symbol, interval, span[0], span[1], view.provider, view.as_of, limit, sessions
