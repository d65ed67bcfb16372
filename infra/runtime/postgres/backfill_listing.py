"""Looking at the backfill queue: what ended, how fast it is worked off, and what was asked of a provider today."""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.runtime.postgres.backfill_queue import COLUMNS, OURS, job_of
from infra.runtime.postgres.errors import Connection
from schemas.backfill import ENDED, BackfillJob, BackfillState
from schemas.clocks import WallTime
from schemas.universe import Tier

PACE_OVER_S = 900.0
MOST_SAMPLED = 1_000
FETCHED: tuple[BackfillState, ...] = ("done", "empty")

_AFTER = "(finished_time, job_id) < ($2, $3)"


def _ended(of_symbol: str) -> str:
    """$1 states, $2 and $3 the last of the page before, $4 at most so many, $5 a symbol where one is asked for."""
    return f"""
    SELECT {OURS} FROM unnest($1::text[]) s(state)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM backfill_jobs WHERE {of_symbol}state = s.state AND finished_time IS NOT NULL AND {_AFTER}
        ORDER BY finished_time DESC, job_id DESC LIMIT $4
    ) j
    ORDER BY j.finished_time DESC, j.job_id DESC LIMIT $4
    """


ENDED_JOBS = _ended("")
ENDED_JOBS_OF_SYMBOL = _ended("symbol = $5 AND ")


def _pace_of(states: Sequence[str], counted: str, whose: str) -> str:
    """$1 over so many seconds, $2 the newest so many, $3 what is counted of them."""
    return f"""
    SELECT count(*) FILTER (WHERE {counted}) AS ended, CASE WHEN count(*) < $2 THEN $1::float8
        ELSE extract(epoch FROM now() - min(e.finished_time))::float8 END AS over_s
    FROM (
        SELECT j.* FROM unnest(ARRAY[{", ".join(f"'{state}'" for state in states)}]) s(state) CROSS JOIN LATERAL (
            SELECT partition, provider, tier, finished_time FROM backfill_jobs
            WHERE state = s.state AND finished_time > now() - make_interval(secs => $1) AND finished_time IS NOT NULL
            ORDER BY finished_time DESC LIMIT $2
        ) j ORDER BY j.finished_time DESC LIMIT $2
    ) e {whose}
    """


PACE = _pace_of(
    FETCHED,
    "e.partition = mine.partition AND e.provider = mine.provider",
    "CROSS JOIN (SELECT partition, provider FROM backfill_jobs WHERE job_id = $3) mine",
)
TIER_PACE = _pace_of(ENDED, "e.tier = $3", "")
USED_TODAY = """
    SELECT used FROM provider_budgets WHERE provider = $1 AND endpoint = '' AND day = (now() AT TIME ZONE 'UTC')::date
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many jobs ended in so many seconds up to now."""

    ended: int
    over_s: float


async def ended_jobs(
    connection: Connection,
    states: Sequence[BackfillState],
    *,
    symbol: str | None,
    after: tuple[WallTime, str],
    limit: int,
) -> list[BackfillJob]:
    """Return jobs that ended so, newest first, older than (finished_time, job_id)."""
    found = [*states], *after, limit
    if symbol is None:
        rows = await connection.fetch(ENDED_JOBS, *found)
    else:
        rows = await connection.fetch(ENDED_JOBS_OF_SYMBOL, *found, symbol)
    return [job_of(row) for row in rows]


async def pace_beside(connection: Connection, job_id: str) -> Pace:
    """Return how many jobs ended lately that waited in the same line as a job: of its provider, in its partition."""
    return _pace(await connection.fetch(PACE, PACE_OVER_S, MOST_SAMPLED, job_id))


async def pace_of_tier(connection: Connection, tier: Tier) -> Pace:
    """Return how many jobs of a tier ended lately, in whatever way."""
    return _pace(await connection.fetch(TIER_PACE, PACE_OVER_S, MOST_SAMPLED, tier))


async def used_today(connection: Connection, provider: str) -> int | None:
    """Return how many requests were made of a provider this UTC day; None where nobody noted any."""
    used: int | None = await connection.fetchval(USED_TODAY, provider)
    return used


def _pace(rows: Sequence[object]) -> Pace:
    return Pace(**dict(rows[0])) if rows else Pace(ended=0, over_s=PACE_OVER_S)  # type: ignore[call-overload]
