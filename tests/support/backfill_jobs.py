"""A configuration that bounds backfills, requests for them, and jobs in any number and state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

from infra.runtime.postgres.codec import register_times
from schemas.backfill import BackfillState
from tests.support.builders import NINE_THIRTY

CONFIGURATION = """
symbols:
  - {symbol: SPY, tier: T0}
  - {symbol: ^GSPC}
  - {symbol: QQQ, streams: [quotes]}
streams:
  bars: {providers: [yahoo, alpaca], intervals: [1m, 1d]}
providers:
  yahoo: {limits: {per_day: 5000}}
backfill: {enabled: HEALING, longest_days: 30, queued_jobs: {T0: 3}}
"""
DAY = {"symbol": "SPY", "interval": "1m", "start": "2013-10-01", "end": "2013-10-02"}
# $1 state, $2 first number, $3 how many: each of its own minute, the higher its number the newer
FILL = """
    INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,
        enqueued_time, finished_time, attempts, reason)
    SELECT lpad(to_hex(n), 16, '0'), n % 4, 'bars.1m:' || p || ':' || y, p, y, b, b + interval '1 minute', 'T1', 'gap', 4, 'test',
        $1, now() - interval '9 days', CASE WHEN $1 IN ('queued', 'waiting', 'running') THEN NULL ELSE now() - interval '8 days' + n * interval '1 second' END,
        6, 'told so'
    FROM (
        SELECT n, (ARRAY['yahoo', 'alpaca'])[n % 2 + 1] AS p, 'S' || n % 50 AS y, to_timestamp($4::float8) + n * interval '1 minute' AS b
        FROM generate_series($2::int, $2 + $3 - 1) n
    ) each
"""


def configured(folder: Path, *, heals: bool = True) -> Path:
    """Write the configuration and return its path."""
    path = folder / "mds.yaml"
    text = CONFIGURATION.replace("HEALING", str(heals).lower())
    path.write_text(text, "utf-8")
    return path


async def filled(
    connection: asyncpg.Connection[Any], state: BackfillState, count: int, *, first: int = 0
) -> None:
    """Add `count` jobs in a state, of 50 symbols of two providers."""
    await connection.execute(FILL, state, first, count, NINE_THIRTY / 1e6)


def job_id(number: int) -> str:
    """Return the id of the job that `filled` gave a number."""
    return f"{number:016x}"


async def acts(connection: asyncpg.Connection[Any]) -> list[tuple[str, str, str]]:
    """Return (actor, act, subject) of every act, in order."""
    rows = await connection.fetch("SELECT actor, act, subject FROM audit_acts ORDER BY act_id")
    return [tuple(row) for row in rows]


async def opened(dsn: str) -> asyncpg.Connection[Any]:
    """Return a connection on which times are µs."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    await register_times(connection)
    return connection
