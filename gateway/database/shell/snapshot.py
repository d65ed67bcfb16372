"""Reading the database: bounded, each answer from one snapshot, rows turned into values at this border."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.database import statements
from gateway.database.versions import (
    BAR_COLUMNS,
    MINUTE,
    VALUE_STREAMS,
    BarVersion,
    GapFilter,
    Span,
    Value,
    View,
)
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.http.problems import Problem
from infra.runtime.postgres.errors import Connection, Pool, Record
from infra.runtime.postgres.pool import connection
from schemas.clocks import EventTime, KnowledgeTime
from schemas.deriving import columns, written_out
from schemas.identity import stream_name
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition

READ_TIMEOUT_S = 10.0
MAX_WAITING = 128  # requests queued for a connection; one more is told to come again
OVERLOAD_RETRY_S = 1
YIELD_EVERY_ROWS = 500


class Snapshot:
    """One consistent view of the database; every time is µs, every as_of inclusive."""

    def __init__(self, borrowed: Connection) -> None:
        """Read through `borrowed`, which is inside its transaction."""
        self._connection = borrowed

    async def complete_before(self, topic: str, partition: int) -> KnowledgeTime | None:
        """Return the exclusive watermark of a canonical partition; None before the first."""
        mark: KnowledgeTime | None = await self._connection.fetchval(statements.WATERMARK, topic, partition)
        return mark

    async def bars(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, descending: bool = False
    ) -> list[BarVersion]:
        """Return the newest known version of each bar starting in `span`, the first `limit` in order."""
        statement = statements.LATEST_BARS_DESCENDING if descending else statements.LATEST_BARS_ASCENDING
        rows = await self._connection.fetch(statement, *_arguments(symbol, interval, span, view, limit))
        bars: list[BarVersion] = []
        for begin in range(0, len(rows), YIELD_EVERY_ROWS):
            bars.extend(_bar(row, symbol, interval) for row in rows[begin : begin + YIELD_EVERY_ROWS])
            if begin:
                await asyncio.sleep(0)  # a long answer must not hold up the WebSocket clients
        return bars

    async def versions(
        self,
        symbol: str,
        interval: str,
        span: Span,
        view: View,
        *,
        limit: int,
        after: Sequence[int | str] | None,
    ) -> list[BarVersion]:
        """Return every known version, by event_time and position, after the key `after`."""
        event_time, raw_offset, index = (int(part) for part in after or (EARLIEST_US, -1, -1))
        arguments = (*_arguments(symbol, interval, span, view, limit), event_time, raw_offset, index)
        rows = await self._connection.fetch(statements.ALL_BARS, *arguments)
        return [_bar(row, symbol, interval) for row in rows]

    async def minute_edges(self, symbol: str, view: View) -> tuple[EventTime, EventTime, EventTime] | None:
        """Return (oldest start, newest start, moment the newest bar proves has come) of the known 1-minute bars."""
        rows = await self._connection.fetch(statements.BAR_EDGES, symbol, MINUTE, view.provider, view.as_of)
        if not rows:
            return None
        oldest = min(row["oldest"] for row in rows)
        newest = max(row["newest"] for row in rows)
        return oldest, newest, max(row["newest"] + (MINUTE_US if row["final"] else 0) for row in rows)

    async def first_known(
        self, symbol: str, intervals: Sequence[str], span: Span, provider: str | None
    ) -> KnowledgeTime | None:
        """Return when the first bar of a range became known; None where none ever was."""
        first: KnowledgeTime | None = await self._connection.fetchval(
            statements.FIRST_KNOWN, symbol, intervals, *span, provider
        )
        return first

    async def providers(self, symbol: str) -> list[str]:
        """Return who ever gave bars of a symbol."""
        return [row["provider"] for row in await self._connection.fetch(statements.PROVIDERS, symbol)]

    async def knows(self, symbol: str) -> bool:
        """Whether anything of a symbol is stored."""
        return symbol in await self.known_among([symbol])

    async def known_among(self, symbols: Sequence[str]) -> set[str]:
        """Return those symbols of which anything is stored."""
        return {row["symbol"] for row in await self._connection.fetch(statements.KNOWN_SYMBOLS, symbols)}

    async def newest_values(
        self, symbols: Sequence[str], *, provider: str | None, as_of: KnowledgeTime, latest_event: EventTime
    ) -> dict[str, list[Value]]:
        """Return per symbol the newest quote, trade and 1-minute bar of each provider, in one round trip."""
        found: dict[str, list[Value]] = {symbol: [] for symbol in symbols}
        rows = await self._connection.fetch(statements.NEWEST_VALUES, symbols, provider, as_of, latest_event)
        for row in rows:
            found[row["symbol"]].append(_value(row))
        return found

    async def previous_closes(
        self, wanted: Sequence[tuple[str, str, EventTime]], as_of: KnowledgeTime
    ) -> dict[str, float]:
        """Return per symbol the last regular close before a moment; `wanted` is (symbol, provider, moment)."""
        symbols, providers = [entry[0] for entry in wanted], [entry[1] for entry in wanted]
        opens = [entry[2] for entry in wanted]
        rows = await self._connection.fetch(statements.PREVIOUS_CLOSES, symbols, providers, opens, as_of)
        return {row["symbol"]: row["close"] for row in rows}

    async def gaps(
        self,
        which: GapFilter,
        *,
        limit: int,
        after: Sequence[int | str] | None = None,
        descending: bool = False,
    ) -> list[dict[str, Any]]:
        """Return gaps as the ledger has them now, by (from_time, gap_id), after that key; times are µs."""
        statement = statements.GAPS_DESCENDING if descending else statements.GAPS_ASCENDING
        from_time, gap_id = after or ((LATEST_US, "\U0010ffff") if descending else (EARLIEST_US, ""))
        rows = await self._connection.fetch(
            statement, which.symbol, which.intervals, which.provider, which.state, which.start,
            which.end, which.as_of, int(from_time), gap_id, limit,
        )  # fmt: skip
        return [dict(row) for row in rows]

    async def cursor(self, channel: str, provider: str, symbol: str) -> dict[str, Any] | None:
        """Return (start_time, last_seen, hole) of a cursor in µs; `hole` is the start of the first unhealed gap."""
        stream = stream_name(channel, provider, symbol)
        row = await self._connection.fetchrow(statements.CURSOR, channel, provider, symbol, stream)
        return None if row is None else dict(row)

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of one of the constants of `statements`; times are µs both ways."""
        return [dict(row) for row in await self._connection.fetch(statement, *values)]

    async def cursors_of(self, symbol: str) -> list[str]:
        """Return the cursors a symbol has, as `interval or channel/provider`."""
        rows = await self._connection.fetch(statements.CURSORS_OF_SYMBOL, symbol)
        return [f"{row['channel'].rpartition('.')[2]}/{row['provider']}" for row in rows]


class Snapshots:
    """Lends snapshots, so many at a time; beyond a bounded queue callers are told to come again."""

    def __init__(self, pool: Pool, *, concurrent: int) -> None:
        """Read through `pool`, at most `concurrent` requests at once."""
        self._pool = pool
        self._slots = asyncio.Semaphore(concurrent)
        self._waiting = 0

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

    async def watermarks(self) -> dict[TopicPartition, KnowledgeTime]:
        """Return every watermark: the exclusive complete_before by partition."""
        async with connection(self._pool, within_s=READ_TIMEOUT_S) as borrowed:
            rows = await borrowed.fetch(statements.WATERMARKS)
        return {TopicPartition(row["topic"], row["partition"]): row["complete_before"] for row in rows}

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            detail = f"{MAX_WAITING} requests already wait for the database; come again"
            raise Problem(code="overloaded", detail=detail, retry_after_s=OVERLOAD_RETRY_S)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


# as every query of bars gives them, then the revision
_BAR_FIELDS = ", ".join(f"{column.source}=row[{place}]" for place, column in enumerate(BAR_COLUMNS))
_bar: Callable[[Record, str, str], BarVersion] = written_out(
    "row, symbol, interval",
    f"BarVersion(symbol=symbol, interval=interval, revision=row[{len(BAR_COLUMNS)}], {_BAR_FIELDS})",
    {"BarVersion": BarVersion},
)
_VALUE_STREAMS = {stream.name: stream for stream in VALUE_STREAMS}


def _arguments(symbol: str, interval: str, span: Span, view: View, limit: int) -> tuple[Any, ...]:
    sessions = None if view.sessions is None else list(view.sessions)
    return symbol, interval, span[0], span[1], view.provider, view.as_of, limit, sessions


def _value(row: Record) -> Value:
    stream = _VALUE_STREAMS[row["stream"]]
    fields = {column.source: row[column.name] for column in columns(stream)}
    return cast("Value", stream.record(**fields))
