"""Acts by hand on the backfill queue: a job is asked for, queued again or purged, each with its row in `audit_acts`.

Each function works in the caller's transaction, so that the act and its row come together or not at all. Who asks at
the same time waits: a tier's bound is counted, and what a request's key stands for is looked up, under a lock.
"""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.backfill_queue import COLUMNS, OURS, UNDER_WAY, job_of
from infra.runtime.postgres.errors import Connection, DuplicateKey
from schemas.backfill import ENDED, BackfillJob, BackfillOrder, BackfillState
from schemas.clocks import WallTime
from schemas.identity import stream_text
from schemas.universe import TIERS, Tier

REQUEUABLE: tuple[BackfillState, ...] = ("dead", "unrecoverable")
PURGED_AT_ONCE = 1_000
KEPT_DAYS = 30  # of what a key stands for
FORGOTTEN_AT_ONCE = 100
LOCKED = 0x6D6462  # "mdb": class of our advisory locks
TRIES = 3  # a job of the same stretch may end while it is looked for

LOCK = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
# $1 tier, $2 counted up to so many; in the order of an index, or the planner reads the table
QUEUED = f"""
    SELECT count(*) FROM (SELECT 1 FROM backfill_jobs WHERE tier = $1 AND {UNDER_WAY} ORDER BY enqueued_time LIMIT $2) each
"""
REQUESTED = "SELECT content, job_id FROM backfill_requests WHERE actor = $1 AND request_key = $2"
REMEMBER = """
    INSERT INTO backfill_requests (actor, request_key, content, job_id, requested_time) VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (actor, request_key) DO UPDATE SET content = excluded.content, job_id = excluded.job_id,
        requested_time = excluded.requested_time
"""
# $1 days, $2 at most so many
FORGET = """
    DELETE FROM backfill_requests WHERE (actor, request_key) IN (
        SELECT actor, request_key FROM backfill_requests WHERE requested_time < now() - make_interval(days => $1)
        ORDER BY requested_time LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""
AUDIT = """
    INSERT INTO audit_acts (acted_time, actor, act, subject, detail) VALUES (clock_timestamp(), $1, $2, $3, $4::text::jsonb)
"""
LAST_ACT = """
    SELECT acted_time, actor, act FROM audit_acts WHERE subject = $1 ORDER BY act_id DESC LIMIT 1
"""
# $1 job, $2 tier and $3 the rank it has there; one that runs is served by it from its next claim on
RAISE = f"""
    UPDATE backfill_jobs j SET tier = $2, rank = $3 WHERE job_id = $1 AND {UNDER_WAY} AND rank > $3 RETURNING {OURS}
"""
LOCK_JOB = f"SELECT {COLUMNS} FROM backfill_jobs WHERE job_id = $1 FOR UPDATE"
REQUEUE = f"""
    UPDATE backfill_jobs j SET state = 'queued', attempts = 0, rows = 0, reason = '', enqueued_time = now(), finished_time = NULL
    WHERE job_id = $1 RETURNING {OURS}
"""
CUT = "SELECT now() - make_interval(secs => $1)"
_ENDED_BEFORE = "state = $1 AND finished_time IS NOT NULL AND finished_time < $2"
# $1 state, $2 before, $3 counted up to so many
PURGEABLE = f"""
    SELECT count(*) FROM (SELECT 1 FROM backfill_jobs WHERE {_ENDED_BEFORE} ORDER BY finished_time LIMIT $3) each
"""
# $1 state, $2 before, $3 at most so many, the oldest first; what another has in hand is passed over
PURGE = f"""
    WITH old AS MATERIALIZED (
        SELECT job_id FROM backfill_jobs WHERE {_ENDED_BEFORE} ORDER BY finished_time, job_id LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM backfill_jobs WHERE job_id = ANY (ARRAY(SELECT job_id FROM old)) RETURNING job_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request for a job: by whom, under which key of theirs ("": none), and what it said, to be compared."""

    order: BackfillOrder
    actor: str
    key: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The answer to a wish: the job that fetches it, new or not, or why there is none.

    `raised_from`: the tier the job had before the wish, which is more urgent. `full`: the tier has as many jobs as it may;
    `other_content`: the key stands for another request.
    """

    job: BackfillJob | None = None
    is_new: bool = False
    raised_from: Tier | None = None
    refusal: Literal["", "full", "other_content", "contended"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act by hand, and when (µs)."""

    acted_time: WallTime
    actor: str
    act: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The outcome for a job that was to be queued again.

    `job`: as it is now, None where there is none. `done`: it was queued; otherwise it is in another state, its tier is
    full, or `rival` fetches the same stretch.
    """

    job: BackfillJob | None = None
    done: bool = False
    is_full: bool = False
    rival: BackfillJob | None = None
    last_act: Act | None = None


async def place(connection: Connection, wish: Wish, *, partitions: int, most: int) -> Ordered:
    """Add a job for a wish, unless one under way fetches all of it, its key was used, or the tier has `most` jobs.

    A job of a less urgent tier that fetches all of it gets the tier of the wish, where that has room.
    """
    order = wish.order
    if wish.key:
        await connection.execute(LOCK, LOCKED, f"{wish.actor} {wish.key}")
        if (known := await _requested(connection, wish)) is not None:
            return known
    await connection.execute(LOCK, LOCKED, order.tier)
    placed = await _placed(connection, wish, partitions, most)
    if placed.job is not None and wish.key:
        await connection.execute(REMEMBER, wish.actor, wish.key, wish.content, placed.job.order.job_id)
        await connection.execute(FORGET, KEPT_DAYS, FORGOTTEN_AT_ONCE)
    return placed


async def _requested(connection: Connection, wish: Wish) -> Ordered | None:
    row = await connection.fetchrow(REQUESTED, wish.actor, wish.key)
    if row is None:
        return None
    if row["content"] != wish.content:
        return Ordered(refusal="other_content")
    job = await queue.find(connection, row["job_id"])
    return None if job is None else Ordered(job=job)  # None: it was purged since


async def _placed(connection: Connection, wish: Wish, partitions: int, most: int) -> Ordered:
    order = wish.order
    for _ in range(TRIES):
        if (there := await queue.covering(connection, order)) is not None:
            is_urgent = TIERS.index(order.tier) < TIERS.index(there.order.tier)
            if not is_urgent or await _is_full(connection, order.tier, most):
                return Ordered(job=there)
            if (raised := await _raised(connection, there, wish)) is None:
                continue  # it ended just now
            return Ordered(job=raised, raised_from=there.order.tier)
        if await _is_full(connection, order.tier, most):
            return Ordered(refusal="full")
        if await queue.enqueue(connection, [order], partitions=partitions):
            detail = {"series": stream_text(order.series), "from_time": order.from_time, "to_time": order.to_time, "tier": order.tier}  # fmt: skip
            await note(connection, wish.actor, "backfill.enqueue", order.job_id, detail)
            return Ordered(job=await queue.find(connection, order.job_id), is_new=True)
        if (same := await queue.find(connection, order.job_id)) is not None:
            return Ordered(job=same)
    return Ordered(refusal="contended")


async def _raised(connection: Connection, job: BackfillJob, wish: Wish) -> BackfillJob | None:
    """Give a job the tier of a wish that is more urgent; None where it is not under way any more."""
    order = replace(job.order, tier=wish.order.tier)
    rows = await connection.fetch(RAISE, order.job_id, order.tier, order.rank)
    if not rows:
        return None
    detail = {"tier": order.tier, "raised_from": job.order.tier, "state": job.state}
    await note(connection, wish.actor, "backfill.raise", job.order.job_id, detail)
    return job_of(rows[0])


async def requeue(connection: Connection, job_id: str, *, actor: str, limits: Mapping[Tier, int]) -> Requeued:
    """Queue a job again that ended badly, its attempts counted anew; of several who try one succeeds."""
    rows = await connection.fetch(LOCK_JOB, job_id)
    if not rows:
        return Requeued()
    job = job_of(rows[0])
    if job.state not in REQUEUABLE:
        return Requeued(job=job, last_act=await last_act(connection, job_id))
    if (rival := await queue.covering(connection, job.order)) is not None:
        return Requeued(job=job, rival=rival)
    await connection.execute(LOCK, LOCKED, job.order.tier)
    if await _is_full(connection, job.order.tier, limits[job.order.tier]):
        return Requeued(job=job, is_full=True)
    try:
        async with connection.transaction():
            (row,) = await connection.fetch(REQUEUE, job_id)
    except DuplicateKey:  # somebody asked for the same stretch meanwhile
        return Requeued(job=job, rival=await queue.covering(connection, job.order))
    detail = {"state": job.state, "attempts": job.attempts, "reason": job.reason}
    await note(connection, actor, "backfill.requeue", job_id, detail)
    return Requeued(job=job_of(row), done=True)


async def cut_of(connection: Connection, older_than_s: float) -> WallTime:
    """Return the moment (µs, of the database's clock) before which a job must have ended to be so old."""
    return WallTime(await connection.fetchval(CUT, older_than_s))


async def purgeable(connection: Connection, state: BackfillState, before: WallTime, *, up_to: int) -> int:
    """Return how many jobs ended so before a moment (µs), counted up to a limit."""
    return int(await connection.fetchval(PURGEABLE, state, before, up_to))


async def purge(
    connection: Connection, state: BackfillState, before: WallTime, *, actor: str, limit: int
) -> int:
    """Delete jobs that ended so before a moment (µs), the oldest `limit` and at most 1,000; return how many."""
    assert state in ENDED  # noqa: S101 - a word of our own
    rows = await connection.fetch(PURGE, state, before, min(limit, PURGED_AT_ONCE))
    if rows:
        ids = sorted(row["job_id"] for row in rows)
        await note(
            connection, actor, "backfill.purge", state, {"before": before, "jobs": len(ids), "job_ids": ids}
        )
    return len(rows)


async def last_act(connection: Connection, subject: str) -> Act | None:
    """Return the newest act done to something; None where there was none."""
    row = await connection.fetchrow(LAST_ACT, subject)
    return None if row is None else Act(**row)


async def note(connection: Connection, actor: str, act: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Add the row of an act."""
    await connection.execute(AUDIT, actor, act, subject, json.dumps(detail))


async def _is_full(connection: Connection, tier: Tier, most: int) -> bool:
    return int(await connection.fetchval(QUEUED, tier, most)) >= most
