"""Reads of what was known at a moment, against the same reads of a table that has no versions.

Run: `python -m benchmarks reads`. Both tables hold as many rows in the same partitions, read in the same order and turned
into the same objects. One bar in twenty was corrected after the moment asked about, so its older version is looked up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg

from benchmarks.measure import RUNS, Row, middle, row, servers
from benchmarks.stored_minutes import FIRST_DAY, stored_minutes
from gateway.database.rows import read_columns, row_reader
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.versions import BarVersion, Span, View
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US
from schemas.streams import BAR_STREAM

SYMBOLS, DAYS = 500, 21
OF_A_MONTH = 60  # symbols with all days; the others have the last one only
LAST_DAY = EventTime(FIRST_DAY + (DAYS - 1) * DAY_US)
AS_OF = KnowledgeTime(LAST_DAY + DAY_US)
MONTH: Span = (FIRST_DAY, EventTime(LAST_DAY + DAY_US))
DAY: Span = (LAST_DAY, EventTime(LAST_DAY + DAY_US))
CORRECTED_EVERY = 20
# 1.3 and twice the time are the goal and the bound: less of a rate
GOAL, FLOOR = 1 / 1.3, 0.5

FILL = (
    stored_minutes(
        symbols=SYMBOLS, with_bars=SYMBOLS, days=DAYS, where=f"n < {OF_A_MONTH} OR day = {DAYS - 1}"
    )
    + f"""
    CREATE TABLE unversioned (LIKE bars INCLUDING INDEXES) PARTITION BY RANGE (event_time);
    CREATE TABLE unversioned_of_a_month PARTITION OF unversioned FOR VALUES FROM ('2026-01-01 UTC') TO ('2026-02-01 UTC');
    INSERT INTO unversioned SELECT * FROM bars;

    INSERT INTO bars_superseded SELECT * FROM bars WHERE (position >> 16) % {CORRECTED_EVERY} = 0;
    UPDATE bars SET revision = 1, position = position + (1000000::bigint << 16), known_from = known_from + interval '60 days'
    WHERE (position >> 16) % {CORRECTED_EVERY} = 0;
"""
)
PLAIN = f"""
    SELECT bar.* FROM streams s CROSS JOIN LATERAL (
        SELECT s.provider, {", ".join(f"c.{column.name}" for column in read_columns(BAR_STREAM))}
        FROM unversioned c WHERE c.stream_id = s.stream_id AND c.event_time >= $3 AND c.event_time < $4
        ORDER BY c.event_time LIMIT $5) bar
    WHERE s.symbol = $1 AND s.kind = 'bars' AND s.interval = $2
    ORDER BY bar.event_time LIMIT $5"""
LIMIT = 10_000
READ_BAR = row_reader(BAR_STREAM, BarVersion)
Read = Callable[[str, Span], Awaitable[list[BarVersion]]]


async def _plain(borrowed: Connection, symbol: str, span: Span) -> list[BarVersion]:
    rows = await borrowed.fetch(PLAIN, symbol, "1m", *span, LIMIT)
    return [READ_BAR(each, symbol, each[0], "1m") for each in rows]


async def _then(snapshot: Snapshot, symbol: str, span: Span) -> list[BarVersion]:
    return await snapshot.bars(symbol, "1m", span, View(as_of=AS_OF, provider=None), limit=LIMIT)


async def _rate(read: Read, symbols: list[str], span: Span) -> float:
    """Return bars a second."""
    began_s, found = time.perf_counter(), 0
    for symbol in symbols:
        found += len(await read(symbol, span))
    return found / (time.perf_counter() - began_s)


async def measure(dsn: str) -> list[Row]:
    """Measure both tables in turns."""
    filling = await asyncpg.connect(dsn)
    await filling.execute(FILL)
    await filling.execute("VACUUM ANALYZE")
    await filling.close()
    rows = []
    async with pool(dsn, service="bench", size=2) as opened:
        for what, span, symbols in (
            ("a month of minutes of a symbol", MONTH, [f"S{n}" for n in range(10)]),
            ("a day of minutes of 500 symbols", DAY, [f"S{n}" for n in range(SYMBOLS)]),
        ):
            then, plain = [], []
            for _ in range(RUNS + 1):
                async with Snapshots(opened, concurrent=1).snapshot() as snapshot:
                    then.append(await _rate(partial(_then, snapshot), symbols, span))
                async with connection(opened, within_s=60.0) as borrowed:
                    plain.append(await _rate(partial(_plain, borrowed), symbols, span))
            # the first one of each fills caches
            yardstick = middle(plain[1:])
            rows.append(
                row(f"as_of: {what}", middle(then[1:]), "bars/s", yardstick=yardstick, goal=GOAL, floor=FLOOR)
            )
    return rows


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with servers() as own:
        return asyncio.run(measure(own.dsn))
