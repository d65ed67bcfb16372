"""Reads of gaps at a million pieces of evidence, a million absent bars and a million rows of the present ledger.

Run: `python -m benchmarks gaps`. Gaps of a symbol are derived from what was known at a moment: evidence and stored bars
are read, nothing else. The symbols that are read have 5,000 absent bars and 200 blind stretches each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg

from benchmarks.measure import Row, middle, row, servers
from benchmarks.stored_minutes import FIRST_DAY, MINUTES, stored_minutes
from gateway.database.gap_pages import WIDEST_US, GapPage
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.versions import GapFilter
from gateway.http.moments import EARLIEST_US, LATEST_US
from infra.runtime.postgres.pool import pool
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US, SECOND_US

SYMBOLS, WITH_BARS, BLIND_OF_EACH = 5_000, 200, 200
LAST_DAY = EventTime(FIRST_DAY + 18 * DAY_US)  # a Tuesday
AS_OF = KnowledgeTime(FIRST_DAY + 40 * DAY_US)
READ = range(0, WITH_BARS, 10)
GOAL_MS = 20.0
STORED = f"(day * {MINUTES} + minute) % 8 < 3 AND extract(isodow FROM opened) < 6"

FILL = (
    stored_minutes(symbols=SYMBOLS, with_bars=WITH_BARS, days=30, where=STORED)
    + f"""
    INSERT INTO gap_evidence
    SELECT 'bars.1m:yahoo:S' || n, opened, NULL, opened, 0, 0, 0, 0, 'collected', 'S' || n, 'yahoo', '1m', '', 'processor', ''
    FROM generate_series(0, {SYMBOLS - 1}) n, LATERAL (SELECT to_timestamp({FIRST_DAY // SECOND_US})) m (opened);
    INSERT INTO gap_evidence
    SELECT 'bars.1m:yahoo:S' || n, began, began + interval '3 minutes', began, k, 0, 3, 0, 'blind', 'S' || n, 'yahoo', '1m',
        'producer_down', 'processor', ''
    FROM generate_series(0, {SYMBOLS - 1}) n, generate_series(1, {BLIND_OF_EACH}) k,
        LATERAL (SELECT to_timestamp({FIRST_DAY // SECOND_US}) + k % 30 * interval '1 day' + k * interval '100 seconds') m (began);
    INSERT INTO gaps
    SELECT n::text, 'bars.1m:yahoo:S' || n % {SYMBOLS}, 'S' || n % {SYMBOLS}, 'yahoo', '1m', began, began + interval '1 minute',
        'producer_down', 'proven', 'open', 0, 1, 'processor', began, n, 0, 0
    FROM generate_series(1, 1000000) n, LATERAL (SELECT to_timestamp({FIRST_DAY // SECOND_US}) + n * interval '1 minute') m (began);
"""
)
Read = Callable[[Snapshot, str], Awaitable[GapPage]]


async def _first_page(snapshot: Snapshot, symbol: str) -> GapPage:
    return await snapshot.gaps(GapFilter(symbol=symbol, as_of=AS_OF), limit=1_000)


async def _newest_page(snapshot: Snapshot, symbol: str) -> GapPage:
    return await snapshot.gaps(GapFilter(symbol=symbol, as_of=AS_OF), limit=1_000, descending=True)


async def _of_a_day(snapshot: Snapshot, symbol: str) -> GapPage:
    day = GapFilter(
        symbol=symbol, intervals=["1m"], start=LAST_DAY, end=EventTime(LAST_DAY + DAY_US // 2), as_of=AS_OF
    )
    return await snapshot.gaps(day, limit=1_000, width_us=WIDEST_US)


async def _present(snapshot: Snapshot, symbol: str) -> GapPage:
    after = (EventTime(FIRST_DAY + int(symbol[1:]) * DAY_US), "")
    which = GapFilter(start=EARLIEST_US, end=LATEST_US)
    return await snapshot.present_gaps(which, limit=1_000, after=after)


async def measure(dsn: str) -> list[Row]:
    """Return how long each read takes in the middle, of as many symbols."""
    filling = await asyncpg.connect(dsn)
    await filling.execute(FILL)
    await filling.execute("VACUUM ANALYZE")
    await filling.close()
    rows = []
    async with pool(dsn, service="bench", size=2) as opened:
        for what, read in (
            ("the first 1,000 gaps of a symbol", _first_page),
            ("the newest 1,000 gaps of a symbol", _newest_page),
            ("meta.gaps of a day of minutes", _of_a_day),
            ("1,000 gaps of all symbols", _present),
        ):
            rows.append(await _measured(opened, what, read))
    return rows


async def _measured(opened: asyncpg.Pool, what: str, read: Read) -> Row:
    took_ms: list[float] = []
    for turn in range(2):  # the first one fills caches
        took_ms = []
        for number in READ:
            async with Snapshots(opened, concurrent=1).snapshot() as snapshot:
                began_s = time.perf_counter()
                page = await read(snapshot, f"S{number}")
                took_ms.append((time.perf_counter() - began_s) * 1_000)
            assert page.gaps, (turn, what)
    return row(f"gaps at a million: {what}", middle(took_ms), "ms", goal=GOAL_MS, lower_is_better=True)


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with servers() as own:
        return asyncio.run(measure(own.dsn))
