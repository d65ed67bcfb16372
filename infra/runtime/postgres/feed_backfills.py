"""Backfills of a job feed in PostgreSQL: the job of the queue each became, and the results that are due to whoever asked.

How a job ended is noted by a trigger in the transaction that ends it (migration 0022), so that no end is missed.
"""

# ruff: noqa: S608 - the only names put into these texts are our own columns

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from infra.runtime.postgres.backfill_acts import LOCK, LOCKED, Wish, place
from infra.runtime.postgres.backfill_queue import COLUMNS, job_of
from infra.runtime.postgres.errors import Connection
from schemas.backfill import ENDED, BackfillJob, BackfillOrder, FeedBackfill

KEPT_S = 86_400.0  # of what was told: as long as jobs.v1 keeps a message that may be read again
FORGOTTEN_AT_ONCE = 100
TOLD_AT_ONCE = 500
GOOD = ("done", "empty")  # what failed may be asked for again under its id

_FIELDS = "asked_id, source, provider, capability, symbol, content, job_id, state, attempts, rows, reason"
KNOWN = f"SELECT {_FIELDS}, told_time IS NOT NULL AS told FROM feed_backfills WHERE asked_id = $1"
# A job that ends at this moment waits for us, or we for it: its end is in the row or will be noted.
HOLD = f"SELECT {COLUMNS} FROM backfill_jobs WHERE job_id = $1 FOR SHARE"
ADD = f"""
    INSERT INTO feed_backfills ({_FIELDS}, partition, asked_time)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())
"""
REMOVE = "DELETE FROM feed_backfills WHERE asked_id = $1"
# $1 seconds, $2 at most so many
FORGET = """
    DELETE FROM feed_backfills WHERE asked_id IN (
        SELECT asked_id FROM feed_backfills WHERE told_time < now() - make_interval(secs => $1)
        ORDER BY told_time LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""
# $1 partitions, $2 at most so many of each
DUE = f"""
    SELECT d.* FROM unnest($1::int[]) p(number) CROSS JOIN LATERAL (
        SELECT {_FIELDS} FROM feed_backfills
        WHERE partition = p.number AND state IS NOT NULL AND told_time IS NULL ORDER BY asked_time LIMIT $2
    ) d
"""
TOLD = "UPDATE feed_backfills SET told_time = now() WHERE asked_id = ANY($1::text[]) AND state IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAnswer:
    """The answer to a feed's backfill: the job of the queue that fetches it, and whether somebody else asked for that first.

    `is_told`: it was done under this id before. `refusal`: no job fetches it, since the tier has as many as it may, the id
    stands for another backfill, or jobs of the stretch come and go.
    """

    job_id: str = ""
    is_new: bool = False
    is_elses: bool = False
    is_told: bool = False
    refusal: Literal["", "full", "other_content", "contended"] = ""


async def ask(
    connection: Connection,
    asked: FeedBackfill,
    order: BackfillOrder,
    *,
    partition: int,
    partitions: int,
    most: int,
) -> FeedAnswer:
    """Have a backfill fetched, in the caller's transaction; the same id again is no second job while the first stands."""
    await connection.execute(LOCK, LOCKED, f"jobs.v1 {asked.asked_id}")
    row = await connection.fetchrow(KNOWN, asked.asked_id)
    if row is not None:
        if row["content"] != asked.content:
            return FeedAnswer(refusal="other_content")
        if not row["told"] or row["state"] in GOOD:
            return FeedAnswer(job_id=row["job_id"], is_told=row["told"])
        await connection.execute(REMOVE, asked.asked_id)
    placed = await place(
        connection, Wish(order=order, actor=f"jobs.v1 {asked.source}"), partitions=partitions, most=most
    )
    if placed.job is None:
        return FeedAnswer(refusal=placed.refusal)
    job = job_of((await connection.fetch(HOLD, placed.job.order.job_id))[0])
    await _add(connection, _as_it_stands(asked, job), partition)
    await connection.execute(FORGET, KEPT_S, FORGOTTEN_AT_ONCE)
    return FeedAnswer(job_id=job.order.job_id, is_new=placed.is_new, is_elses=not placed.is_new)


async def due(connection: Connection, partitions: Collection[int]) -> list[FeedBackfill]:
    """Return the backfills of these partitions that ended and whose result was not told, at most 500 of each."""
    rows = await connection.fetch(DUE, sorted(partitions), TOLD_AT_ONCE)
    return [FeedBackfill(**dict(row)) for row in rows]


async def note_told(connection: Connection, asked_ids: Sequence[str]) -> None:
    """Note that the results of these are confirmed."""
    await connection.execute(TOLD, list(asked_ids))


def _as_it_stands(asked: FeedBackfill, job: BackfillJob) -> FeedBackfill:
    known = replace(asked, job_id=job.order.job_id)
    if job.state not in ENDED:
        return known
    return replace(known, state=job.state, attempts=job.attempts, rows=job.rows, reason=job.reason)


async def _add(connection: Connection, asked: FeedBackfill, partition: int) -> None:
    await connection.execute(
        ADD, asked.asked_id, asked.source, asked.provider, asked.capability, asked.symbol, asked.content, asked.job_id,
        asked.state, asked.attempts, asked.rows, asked.reason, partition,
    )  # fmt: skip
