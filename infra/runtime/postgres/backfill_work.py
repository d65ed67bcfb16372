"""Questions of a worker of the backfill queue besides its jobs: are they still wanted, is it there already, who else has jobs.

Times are µs, as everywhere in the queue. Each function is one statement, in the caller's transaction where there is one.
"""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

from collections.abc import Collection, Sequence

from infra.runtime.postgres.backfill_queue import OURS, UNDER_WAY, job_of
from infra.runtime.postgres.errors import Connection
from schemas.backfill import BackfillJob, BackfillOrder
from schemas.identity import stream_id_of, stream_text

# $1 ids, $2 attempts of each, $3 owner, $4 seconds, 0 for at once, $5 reason. What never began is no attempt: each that is
# handed back was counted when it was claimed, so that no attempt's number is given twice while its worker may still speak.
HAND_BACK = """
    UPDATE backfill_jobs j SET state = CASE WHEN $4 > 0 THEN 'waiting' ELSE 'queued' END,
        ready_time = CASE WHEN $4 > 0 THEN now() + make_interval(secs => $4) END,
        attempts = j.attempts - 1, reason = $5, leased_until = NULL, lease_owner = NULL
    FROM unnest($1::text[], $2::int[]) t(job_id, attempts)
    WHERE j.job_id = t.job_id AND j.lease_owner = $3 AND j.attempts = t.attempts RETURNING 1
"""
# of $1 ids with $2 streams and $3 to $4 stretches: those in which a gap is open
IN_A_GAP = """
    SELECT t.job_id FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) t(job_id, stream, low, high)
    WHERE EXISTS (SELECT 1 FROM gaps g WHERE g.stream = t.stream AND g.state IN ('open', 'filling')
        AND g.from_time < t.high AND g.to_time > t.low)
"""
STORED = "SELECT count(*) FROM bars WHERE stream_id = $1 AND event_time >= $2 AND event_time < $3"
# $1 partitions: each provider is found by one step in an index, however many jobs it has
WITH_JOBS = """
    WITH RECURSIVE found(partition, provider) AS (
        SELECT p.number, (SELECT min(j.provider) FROM backfill_jobs j WHERE j.partition = p.number AND j.state = 'queued')
        FROM unnest($1::int[]) p(number)
        UNION ALL
        SELECT f.partition, (SELECT min(j.provider) FROM backfill_jobs j
            WHERE j.partition = f.partition AND j.state = 'queued' AND j.provider > f.provider)
        FROM found f WHERE f.provider IS NOT NULL
    )
    SELECT DISTINCT provider FROM found WHERE provider IS NOT NULL
"""
# $1 partitions, $2 provider, $3 at most so many of each partition, whose turn is next; and of $4 series those that begin
# from $5 on and before $6, at most $7: they are looked at, not taken
NEAR = f"""
    SELECT {OURS} FROM unnest($1::int[]) p(number) CROSS JOIN LATERAL (
        SELECT * FROM backfill_jobs WHERE partition = p.number AND provider = $2 AND state = 'queued'
        ORDER BY rank, enqueued_time, job_id LIMIT $3
    ) j
    UNION
    SELECT {OURS} FROM unnest($4::text[], $5::timestamptz[], $6::timestamptz[]) t(stream, low, high) CROSS JOIN LATERAL (
        SELECT * FROM backfill_jobs s WHERE s.stream = t.stream AND s.from_time >= t.low AND s.from_time < t.high
            AND {UNDER_WAY} AND s.state = 'queued'
        ORDER BY s.from_time LIMIT $7
    ) j
"""
# $1 ids, $2 owner, $3 lease, seconds
CLAIM_THESE = f"""
    WITH these AS (
        SELECT job_id FROM backfill_jobs WHERE job_id = ANY($1::text[]) AND state = 'queued' FOR UPDATE SKIP LOCKED
    )
    UPDATE backfill_jobs j SET state = 'running', attempts = attempts + 1, lease_owner = $2,
        leased_until = now() + make_interval(secs => $3)
    FROM these WHERE j.job_id = these.job_id RETURNING {OURS}
"""
NEAR_AT_ONCE = 1_000
NEAR_OF_A_SERIES = 50


async def near(
    connection: Connection, jobs: Collection[BackfillJob], partitions: Collection[int], *, span_us: int
) -> list[BackfillJob]:
    """Return queued jobs that may be fetched with `jobs`, of one provider: the next in turn, and of the same series around.

    At most some thousand, of the series those that begin within `span_us`.
    """
    each = -(-NEAR_AT_ONCE // max(1, len(partitions)))
    orders = [job.order for job in jobs]
    rows = await connection.fetch(
        NEAR,
        sorted(partitions),
        orders[0].series.provider,
        each,
        [stream_text(order.series) for order in orders],
        [order.from_time - span_us for order in orders],
        [order.from_time + span_us for order in orders],
        NEAR_OF_A_SERIES,
    )
    return [job_of(row) for row in rows]


async def claim_these(
    connection: Connection, jobs: Collection[BackfillJob], *, owner: str, lease_s: float
) -> list[BackfillJob]:
    """Take those of `jobs` that nobody has taken meanwhile."""
    ids = [job.order.job_id for job in jobs]
    return [job_of(row) for row in await connection.fetch(CLAIM_THESE, ids, owner, lease_s)]


async def hand_back(
    connection: Connection, jobs: Collection[BackfillJob], *, owner: str, wait_s: float, reason: str
) -> int:
    """Let jobs that had no part in it be tried again, after `wait_s` seconds, as if they had not begun; return how many."""
    ids, attempts = [job.order.job_id for job in jobs], [job.attempts for job in jobs]
    return len(await connection.fetch(HAND_BACK, ids, attempts, owner, wait_s, reason))


async def in_a_gap(connection: Connection, jobs: Sequence[BackfillJob]) -> frozenset[str]:
    """Return the ids of the jobs in whose stretch a gap is open."""
    orders = [job.order for job in jobs]
    rows = await connection.fetch(
        IN_A_GAP,
        [order.job_id for order in orders],
        [stream_text(order.series) for order in orders],
        [order.from_time for order in orders],
        [order.to_time for order in orders],
    )
    return frozenset(row["job_id"] for row in rows)


async def stored_bars(connection: Connection, order: BackfillOrder) -> int:
    """Return how many final bars of the series are stored in the stretch."""
    return int(await connection.fetchval(STORED, stream_id_of(order.series), order.from_time, order.to_time))


async def providers_with_jobs(connection: Connection, partitions: Collection[int]) -> frozenset[str]:
    """Return the providers of which jobs of these partitions wait for their turn."""
    return frozenset(row["provider"] for row in await connection.fetch(WITH_JOBS, sorted(partitions)))
