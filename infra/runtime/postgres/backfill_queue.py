"""The backfill queue in PostgreSQL: whoever asks adds to it, whoever polls a symbol takes its jobs on a lease.

The database's clock decides about leases and waits, so that no worker's clock matters. A lease that ran out makes its
job anybody's again, and what its worker says afterwards changes nothing. Each function is one statement, in the
caller's transaction where there is one.
"""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.runtime.postgres.errors import Connection, Record
from schemas.backfill import ACTIVE, ENDED, BackfillJob, BackfillOrder, BackfillState
from schemas.clocks import EventTime, WallTime
from schemas.identity import stream_of, stream_text
from schemas.partitions import partition_of
from schemas.universe import TIERS, Tier

REVIVED_AT_ONCE = 1_000
MOST_COUNTED = 10_000
LOST = "its worker was lost"

COLUMNS = """job_id, stream, from_time, to_time, tier, origin, gap_id, source, state, enqueued_time, ready_time,
    leased_until, attempts, finished_time, rows, reason"""
OURS = ", ".join(f"j.{name.strip()}" for name in COLUMNS.split(","))
UNDER_WAY = "state IN ({})".format(", ".join(f"'{state}'" for state in ACTIVE))

ENQUEUE = """
    INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, gap_id,
        source, state, enqueued_time)
    SELECT t.*, 'queued', now() FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::text[], $9::text[], $10::smallint[], $11::text[], $12::text[]) t
    ON CONFLICT DO NOTHING RETURNING job_id
"""
# $1 at most so many: waits that are over, and leases that ran out
REVIVE = f"""
    WITH waited AS (
        SELECT job_id FROM backfill_jobs WHERE state = 'waiting' AND ready_time <= now() ORDER BY ready_time LIMIT $1
        FOR UPDATE SKIP LOCKED
    ), lost AS (
        SELECT job_id FROM backfill_jobs WHERE state = 'running' AND leased_until < now() ORDER BY leased_until LIMIT $1
        FOR UPDATE SKIP LOCKED
    )
    UPDATE backfill_jobs j SET state = 'queued', ready_time = NULL, leased_until = NULL, lease_owner = NULL,
        reason = CASE j.state WHEN 'running' THEN '{LOST}' ELSE j.reason END
    WHERE j.job_id IN (SELECT job_id FROM waited UNION ALL SELECT job_id FROM lost) RETURNING 1
"""


def _claim(order: str) -> str:
    """$1 partitions, $2 providers and $3 room at each, $4 the most room, $5 owner, $6 lease, seconds."""
    return f"""
    WITH turn AS MATERIALIZED (
        SELECT c.*, q.room FROM unnest($1::int[]) p(number)
        CROSS JOIN unnest($2::text[], $3::int[]) q(provider, room)
        CROSS JOIN LATERAL (
            SELECT j.job_id, j.provider, j.rank, j.enqueued_time FROM backfill_jobs j
            WHERE j.partition = p.number AND j.provider = q.provider AND j.state = 'queued'
            ORDER BY {order} LIMIT $4
        ) c
    ), chosen AS (
        SELECT job_id FROM (
            SELECT job_id, room, row_number() OVER (PARTITION BY provider ORDER BY {order}) AS place FROM turn
        ) placed WHERE place <= room
    ), locked AS (
        SELECT job_id FROM backfill_jobs WHERE job_id IN (SELECT job_id FROM chosen) AND state = 'queued'
        FOR UPDATE SKIP LOCKED
    )
    UPDATE backfill_jobs j SET state = 'running', attempts = attempts + 1, lease_owner = $5,
        leased_until = now() + make_interval(secs => $6)
    FROM locked WHERE j.job_id = locked.job_id RETURNING {OURS}
"""


CLAIM = {
    "rank": _claim("rank, enqueued_time, job_id"),
    "age": _claim("enqueued_time, job_id"),
}
# $1 streams, $2 owner, $3 lease, seconds, $4 at most so many
CLAIM_BESIDE = f"""
    WITH beside AS (
        SELECT job_id FROM backfill_jobs WHERE stream = ANY($1::text[]) AND {UNDER_WAY} AND state = 'queued'
        ORDER BY stream, from_time LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE backfill_jobs j SET state = 'running', attempts = attempts + 1, lease_owner = $2,
        leased_until = now() + make_interval(secs => $3)
    FROM beside WHERE j.job_id = beside.job_id RETURNING {OURS}
"""
# $1 ids, $2 attempts of each, $3 owner: still theirs. What has an owner runs; to say so would let the planner read all that run.
_HELD = """
    FROM unnest($1::text[], $2::int[]) t(job_id, attempts)
    WHERE j.job_id = t.job_id AND j.lease_owner = $3 AND j.attempts = t.attempts
"""
RENEW = (
    f"UPDATE backfill_jobs j SET leased_until = now() + make_interval(secs => $4) {_HELD} RETURNING j.job_id"
)
END = f"""
    UPDATE backfill_jobs j SET state = $4, rows = $5, reason = $6, finished_time = now(), leased_until = NULL,
        lease_owner = NULL {_HELD} RETURNING j.job_id
"""
PUT_BACK = f"""
    UPDATE backfill_jobs j SET state = 'waiting', ready_time = now() + make_interval(secs => $4), reason = $5,
        leased_until = NULL, lease_owner = NULL {_HELD} RETURNING j.job_id
"""
FIND = f"SELECT {COLUMNS} FROM backfill_jobs WHERE job_id = $1"
# $1 stream, $2 and $3 a stretch: what is under way that covers all of it, of several what is served first
COVERING = f"""
    SELECT {COLUMNS} FROM backfill_jobs WHERE stream = $1 AND {UNDER_WAY} AND from_time <= $2 AND to_time >= $3
    ORDER BY rank, enqueued_time LIMIT 1
"""
# $1 job: how many of its provider are served before it, counted up to a limit
POSITION = f"""
    SELECT count(*) FROM (
        SELECT 1 FROM backfill_jobs j JOIN backfill_jobs other ON other.partition = j.partition
            AND other.provider = j.provider AND other.state = 'queued'
            AND (other.rank, other.enqueued_time, other.job_id) < (j.rank, j.enqueued_time, j.job_id)
        WHERE j.job_id = $1 AND j.state = 'queued' LIMIT {MOST_COUNTED}
    ) before
"""
# $1: counted up to so many of each tier
DEPTHS = f"""
    SELECT t.tier, c.depth, o.oldest FROM unnest($2::text[]) t(tier)
    CROSS JOIN LATERAL (
        SELECT count(*) AS depth FROM (SELECT 1 FROM backfill_jobs WHERE tier = t.tier AND {UNDER_WAY} LIMIT $1) each
    ) c
    CROSS JOIN LATERAL (SELECT min(enqueued_time) AS oldest FROM backfill_jobs WHERE tier = t.tier AND {UNDER_WAY}) o
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierDepth:
    """Jobs of a tier under way, counted up to a limit, and when the oldest was added."""

    depth: int
    oldest: WallTime | None


async def enqueue(
    connection: Connection, orders: Sequence[BackfillOrder], *, partitions: int
) -> frozenset[str]:
    """Add what is not there yet, and return the ids that were added.

    Not there yet: no job has the id, and none under way is of the same stretch of the same series.
    """
    if not orders:
        return frozenset()
    rows = [
        (
            order.job_id, partition_of(order.series.symbol, partitions), stream_text(order.series), order.series.provider,
            order.series.symbol, order.from_time, order.to_time, order.tier, order.origin, order.rank, order.gap_id, order.source,
        )
        for order in orders
    ]  # fmt: skip
    return frozenset(
        row["job_id"] for row in await connection.fetch(ENQUEUE, *map(list, zip(*rows, strict=True)))
    )


async def revive(connection: Connection) -> int:
    """Queue again what has waited long enough and what lost its worker; return how many."""
    return len(await connection.fetch(REVIVE, REVIVED_AT_ONCE))


async def claim(
    connection: Connection,
    partitions: Collection[int],
    room: Mapping[str, int],
    *,
    by: Literal["rank", "age"],
    owner: str,
    lease_s: float,
) -> list[BackfillJob]:
    """Take jobs of these partitions, at most `room` of each provider, for `lease_s` seconds.

    What another is about to take is passed over.
    """
    providers = {name: left for name, left in room.items() if left > 0}
    if not providers or not partitions:
        return []
    most = max(providers.values())
    rows = await connection.fetch(
        CLAIM[by], sorted(partitions), list(providers), list(providers.values()), most, owner, lease_s
    )
    return [job_of(row) for row in rows]


async def claim_beside(
    connection: Connection, jobs: Collection[BackfillJob], *, owner: str, lease_s: float, limit: int
) -> list[BackfillJob]:
    """Take at most `limit` further jobs of the same series, in order of their stretches, to be fetched with these."""
    streams = sorted({stream_text(job.order.series) for job in jobs})
    return [job_of(row) for row in await connection.fetch(CLAIM_BESIDE, streams, owner, lease_s, limit)]


async def renew(
    connection: Connection, jobs: Collection[BackfillJob], *, owner: str, lease_s: float
) -> frozenset[str]:
    """Hold jobs for `lease_s` seconds from now, and return the ids of those that are still held."""
    return await _of_held(connection, RENEW, jobs, owner, lease_s)


async def end(
    connection: Connection, job: BackfillJob, state: BackfillState, *, owner: str, rows: int, reason: str
) -> bool:
    """End a job, and return whether it was still held: what a lost lease has to say changes nothing."""
    assert state in ENDED  # noqa: S101 - a word of our own
    return bool(await _of_held(connection, END, [job], owner, state, rows, reason))


async def put_back(
    connection: Connection, job: BackfillJob, *, owner: str, wait_s: float, reason: str
) -> bool:
    """Let a job wait for another try, and return whether it was still held."""
    return bool(await _of_held(connection, PUT_BACK, [job], owner, wait_s, reason))


async def find(connection: Connection, job_id: str) -> BackfillJob | None:
    """Return a job, None where there is none."""
    rows = await connection.fetch(FIND, job_id)
    return job_of(rows[0]) if rows else None


async def covering(connection: Connection, order: BackfillOrder) -> BackfillJob | None:
    """Return a job under way that fetches all of what is asked for."""
    rows = await connection.fetch(COVERING, stream_text(order.series), order.from_time, order.to_time)
    return job_of(rows[0]) if rows else None


async def position(connection: Connection, job_id: str) -> int:
    """Return how many jobs are served before one, at least `MOST_COUNTED` where it says so; 0 where it is not queued."""
    return int(await connection.fetchval(POSITION, job_id))


async def depths(connection: Connection, *, up_to: int = MOST_COUNTED) -> dict[Tier, TierDepth]:
    """Return how many jobs of each tier are under way, counted up to a limit."""
    rows = await connection.fetch(DEPTHS, up_to, list(TIERS))
    return {row["tier"]: TierDepth(depth=row["depth"], oldest=row["oldest"]) for row in rows}


async def _of_held(
    connection: Connection, statement: str, jobs: Collection[BackfillJob], owner: str, *more: object
) -> frozenset[str]:
    ids, attempts = [job.order.job_id for job in jobs], [job.attempts for job in jobs]
    return frozenset(row["job_id"] for row in await connection.fetch(statement, ids, attempts, owner, *more))


def job_of(row: Record) -> BackfillJob:
    """Return the job a row holds."""
    order = BackfillOrder(
        job_id=row["job_id"],
        series=stream_of(row["stream"]),
        from_time=EventTime(row["from_time"]),
        to_time=EventTime(row["to_time"]),
        tier=row["tier"],
        origin=row["origin"],
        source=row["source"],
        gap_id=row["gap_id"],
    )
    names = (
        "state",
        "attempts",
        "enqueued_time",
        "ready_time",
        "leased_until",
        "finished_time",
        "rows",
        "reason",
    )
    return BackfillJob(order=order, **{name: row[name] for name in names})
