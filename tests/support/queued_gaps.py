"""The backfill queue of a sink's database as tests look at it, and the rules by which it is filled."""

from __future__ import annotations

from schemas.configuration.model import parse_configuration
from schemas.topics import DEFAULT_PARTITIONS
from sinks.store.shell.healing import Healing
from tests.support.gap_stories import NINE_THIRTY
from tests.support.sink_records import query

MINUTE_S = 60


async def healing(text: str = "symbols: [{symbol: SPY, tier: T0}, {symbol: QQQ, tier: T1}]") -> Healing:
    """Return the rules of a configuration."""
    rules = Healing(partitions=DEFAULT_PARTITIONS)
    await rules.take(parse_configuration(text, source="test"))
    return rules


async def queued(dsn: str, of_state: str = "queued") -> list[tuple[str, int, int, str, str]]:
    """Return (stream, first minute, end minute, tier, origin) of jobs, in order of their stretches."""
    rows = await query(
        dsn,
        "SELECT stream, extract(epoch FROM from_time)::bigint low, extract(epoch FROM to_time)::bigint high, tier, origin"
        " FROM backfill_jobs WHERE state = $1 ORDER BY from_time, stream",
        of_state,
    )
    begin = NINE_THIRTY // 1_000_000
    return [
        (r["stream"], (r["low"] - begin) // MINUTE_S, (r["high"] - begin) // MINUTE_S, r["tier"], r["origin"])
        for r in rows
    ]


async def end_all(dsn: str, state: str = "done", seconds_ago: int = 600) -> None:
    """End what is under way, some time ago."""
    await query(
        dsn,
        "UPDATE backfill_jobs SET state = $1, finished_time = now() - $2 * interval '1 s', leased_until = NULL,"
        " lease_owner = NULL, ready_time = NULL WHERE state IN ('queued', 'waiting', 'running')",
        state,
        seconds_ago,
    )
