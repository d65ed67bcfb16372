"""Backfills of a job feed → the queue in PostgreSQL, and from there their last results → job-results.v1.

A database that is away costs them time and polls nothing: what cannot be asked fails at once, and is tried again later.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from infra.runtime.clock import monotonic_s, rfc3339, wall_us
from infra.runtime.metrics import BACKFILL_JOBS_ENQUEUED
from infra.runtime.postgres import feed_backfills as store
from infra.runtime.postgres.backfill_listing import Pace, pace_of_tier
from infra.runtime.postgres.errors import Connection, Pool
from infra.runtime.postgres.feed_backfills import FeedAnswer
from infra.runtime.postgres.pool import connection, pool
from producers.jobs.backfills import asked_by, last_result, order_of, refusal_of
from producers.polling.slots import Outcome
from schemas.backfill import retry_full_s
from schemas.clocks import MarketTime
from schemas.configuration.backfill import Backfill
from schemas.errors import StoreUnavailable
from schemas.intervals import SECOND_US
from schemas.partitions import partition_of
from schemas.records import Job, JobResult
from schemas.universe import Tier

POOL_SIZE = 2
STATEMENT_MS = 5_000
ANSWERS_WITHIN_S = 2.0  # an attempt at a job holds a place that a poll might have
LEFT_ALONE_S = 5.0  # the database, after it did not answer
LOOK_EVERY_S = 1.0
OR_ELSE = "the backfill queue cannot be used"
DUPLICATE = "a job of this id was done"

log = logging.getLogger(__name__)

Publishing = Callable[[JobResult, int], Awaitable[None]]


class FeedBackfills:
    """Asks for backfills and tells what became of them; used from one event loop, while `run` does."""

    def __init__(
        self,
        dsn: str,
        publish: Publishing,
        *,
        instance: str,
        partitions: int,
        market_now: Callable[[], MarketTime],
        owned: Callable[[], frozenset[int]],
    ) -> None:
        """Tell of the partitions that are `owned`, of so many `partitions`; sign as `instance`."""
        self._dsn, self._publish, self._instance = dsn, publish, instance
        self._partitions, self._market_now, self._owned = partitions, market_now, owned
        self._pool: Pool | None = None
        self._left_alone_until_s: float | None = None

    async def run(self) -> None:
        """Tell what became of the jobs, for ever."""
        async with pool(
            self._dsn, service="jobs", size=POOL_SIZE, statement_timeout_ms=STATEMENT_MS
        ) as opened:
            self._pool = opened
            try:
                while True:
                    await self._look(opened)
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                self._pool = None

    async def ask(self, job: Job, provider: str, settings: Backfill) -> Outcome:
        """Have a job fetched from `provider`, and return which job of the queue does, or why none."""
        if why := refusal_of(job, settings, self._market_now()):
            return Outcome(status="refused", reason=why)
        if self._pool is None or self._is_left_alone():
            reason = f"{OR_ELSE}: the database does not answer; tried again until its deadline"
            return Outcome(status="failed", reason=reason, retry_after_s=LEFT_ALONE_S)
        try:
            async with connection(self._pool, within_s=ANSWERS_WITHIN_S, or_else=OR_ELSE) as asked:
                outcome = await self._asked(asked, job, provider, settings)
        except StoreUnavailable as error:
            self._left_alone_until_s = monotonic_s() + LEFT_ALONE_S
            return Outcome(status="failed", reason=str(error), retry_after_s=LEFT_ALONE_S)
        self._left_alone_until_s = None
        return outcome

    async def _asked(self, asked: Connection, job: Job, provider: str, settings: Backfill) -> Outcome:
        order, pace = order_of(job, provider, uuid.uuid4().hex), None
        most = settings.queued_jobs.of(order.tier)
        async with asked.transaction():
            answer = await store.ask(
                asked,
                asked_by(job),
                order,
                partition=partition_of(order.series.symbol, self._partitions),
                partitions=self._partitions,
                most=most,
            )
            if answer.refusal == "full":
                pace = await pace_of_tier(asked, order.tier)
        if answer.is_new:
            BACKFILL_JOBS_ENQUEUED.labels(order.tier).inc()
        return _outcome(answer, order.tier, most, pace)

    def _is_left_alone(self) -> bool:
        """Whether the database did not answer lately; one attempt after that tries it for all others."""
        until_s = self._left_alone_until_s
        if until_s is None:
            return False
        if monotonic_s() < until_s:
            return True
        self._left_alone_until_s = monotonic_s() + LEFT_ALONE_S
        return False

    async def _look(self, opened: Pool) -> None:
        """Tell what ended; told twice, after a crash or a lost partition, it is the same."""
        partitions = self._owned()
        if not partitions:
            return
        try:
            async with connection(opened, within_s=STATEMENT_MS / 1_000, or_else=OR_ELSE) as asked:
                ended = await store.due(asked, partitions)
            for each in ended:
                result = last_result(each, instance=self._instance, finished_time=wall_us())
                await self._publish(result, partition_of(each.symbol, self._partitions))
            if ended:
                async with connection(opened, within_s=STATEMENT_MS / 1_000, or_else=OR_ELSE) as asked:
                    await store.note_told(asked, [each.asked_id for each in ended])
        except StoreUnavailable as error:
            log.warning("feed_backfills_wait", extra={"error": str(error)})


def _outcome(answer: FeedAnswer, tier: Tier, most: int, pace: Pace | None) -> Outcome:
    if pace is not None:
        reset = rfc3339(wall_us() + retry_full_s(pace.ended, pace.over_s) * SECOND_US)
        reason = f"tier {tier} has {most} backfill jobs already (backfill.queued_jobs); send it again from {reset} on"
        return Outcome(status="refused", reason=reason)
    if answer.refusal == "other_content":
        return Outcome(status="refused", reason="its id stands for another backfill; give each its own")
    if answer.refusal:
        return Outcome(status="failed", reason="jobs of this stretch come and go")
    if answer.is_told:
        return Outcome(status="duplicate", reason=DUPLICATE)
    first = ", which somebody asked for before" if answer.is_elses else ""
    return Outcome(status="queued", reason=f"backfill job {answer.job_id}{first}")
