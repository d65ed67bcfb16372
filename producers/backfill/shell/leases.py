"""Jobs this worker holds on leases, and what becomes of them in PostgreSQL.

A lease counts from before it was asked for, by a clock of ours that never steps: where the database is away for as long
as a lease lasts we give up what another may have taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from typing import Literal

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import BACKFILL_JOBS_COMPLETED, BACKFILL_JOBS_ENQUEUED
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres import backfill_work as work
from infra.runtime.postgres.errors import Connection, Pool
from infra.runtime.postgres.pool import connection
from producers.backfill.endings import Ending
from schemas.backfill import ENDED, BackfillJob, BackfillOrder
from schemas.calendar.expected_bars import expected_span, is_judged
from schemas.calendar.sessions import calendar_of
from schemas.errors import StoreUnavailable
from schemas.universe import TIERS

LEASE_S = 60.0
RENEW_EVERY_S = 20.0
MARGIN_S = 5.0  # of a lease, for who takes the job after us
ANSWERS_WITHIN_S = 10.0
AGAIN_S = 2.0
BESIDE = 200  # further jobs of the series of those claimed

log = logging.getLogger(__name__)


def show_endings() -> None:
    """Show that no job has ended yet, of any tier in any way: a series that begins with its first end never rises."""
    for tier, state in product(TIERS, ENDED):
        BACKFILL_JOBS_COMPLETED.labels(tier, state)


class Leases:
    """The jobs held by one worker; used from one event loop."""

    def __init__(self, pool: Pool, *, owner: str, partitions: int) -> None:
        """Hold as `owner`, a name nobody else has; symbols are spread over `partitions`."""
        self._pool, self._owner, self._partitions = pool, owner, partitions
        self._held: dict[str, tuple[BackfillJob, float]] = {}  # until when, s
        show_endings()

    def holds(self, job: BackfillJob) -> bool:
        """Whether a job is still ours for some seconds."""
        held = self._held.get(job.order.job_id)
        return held is not None and held[0].attempts == job.attempts and monotonic_s() < held[1]

    async def revive(self) -> None:
        """Queue again what has waited long enough and what lost its worker; raise StoreUnavailable."""
        async with self._asking() as asked:
            await queue.revive(asked)

    async def providers(self, partitions: Collection[int]) -> frozenset[str]:
        """Return the providers of which jobs of these partitions wait; raise StoreUnavailable."""
        async with self._asking() as asked:
            return await work.providers_with_jobs(asked, partitions)

    async def claim(
        self, partitions: Collection[int], room: Mapping[str, int], by: Literal["rank", "age"]
    ) -> list[BackfillJob]:
        """Take jobs as `claim` of the queue does, and hold them; raise StoreUnavailable."""
        begun_s = monotonic_s()
        async with self._asking() as asked:
            jobs = await queue.claim(asked, partitions, room, by=by, owner=self._owner, lease_s=LEASE_S)
        return self._hold(jobs, begun_s)

    async def claim_beside(self, jobs: Collection[BackfillJob]) -> list[BackfillJob]:
        """Take others of the same series, and hold them; raise StoreUnavailable."""
        begun_s = monotonic_s()
        async with self._asking() as asked:
            beside = await queue.claim_beside(asked, jobs, owner=self._owner, lease_s=LEASE_S, limit=BESIDE)
        return self._hold(beside, begun_s)

    async def near(
        self, jobs: Sequence[BackfillJob], partitions: Collection[int], span_us: int
    ) -> list[BackfillJob]:
        """Return others, not held, that may be fetched with `jobs` of one provider; raise StoreUnavailable."""
        async with self._asking() as asked:
            return await work.near(asked, jobs, partitions, span_us=span_us)

    async def claim_these(self, jobs: Collection[BackfillJob]) -> list[BackfillJob]:
        """Take those that nobody has taken meanwhile, and hold them; raise StoreUnavailable."""
        begun_s = monotonic_s()
        async with self._asking() as asked:
            taken = await work.claim_these(asked, jobs, owner=self._owner, lease_s=LEASE_S)
        return self._hold(taken, begun_s)

    async def keep(self) -> None:
        """Renew all leases in time, for ever."""
        wait_s = RENEW_EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = RENEW_EVERY_S if await self._renewed() else AGAIN_S

    async def _renewed(self) -> bool:
        jobs, begun_s = [job for job, _ in self._held.values()], monotonic_s()
        if not jobs:
            return True
        try:
            async with self._asking() as asked:
                kept = await queue.renew(asked, jobs, owner=self._owner, lease_s=LEASE_S)
        except StoreUnavailable as error:
            log.warning("backfill_leases_not_renewed", extra={"jobs": len(jobs), "error": str(error)})
            return False
        self._hold([job for job in jobs if self._is(job) and job.order.job_id in kept], begun_s)
        self._forget(job for job in jobs if self._is(job) and job.order.job_id not in kept)
        return True

    async def in_a_gap(self, jobs: Collection[BackfillJob]) -> frozenset[str]:
        """Return the ids of those in whose stretch a gap is open; raise StoreUnavailable."""
        async with self._asking() as asked:
            return await work.in_a_gap(asked, list(jobs))

    async def end(self, job: BackfillJob, ending: Ending, elsewhere: BackfillOrder | None = None) -> None:
        """End a job, and ask `elsewhere` in the same transaction; goes on trying for as long as the job is ours."""
        added = set[str]()

        async def end(asked: Connection) -> bool:
            async with asked.transaction():
                said = {"owner": self._owner, "rows": ending.rows, "reason": ending.reason}
                ended = await queue.end(asked, job, ending.state, **said)  # type: ignore[arg-type]
                if ended and elsewhere is not None and not await self._is_covered(asked, elsewhere):
                    stands = await queue.find(asked, job.order.job_id)
                    tier = elsewhere.tier if stands is None else stands.order.tier  # it may have been raised
                    order = replace(elsewhere, tier=tier)
                    added.update(await queue.enqueue(asked, [order], partitions=self._partitions))
            return ended

        if await self._surely(job, end):
            BACKFILL_JOBS_COMPLETED.labels(job.order.tier, ending.state).inc()
            BACKFILL_JOBS_ENQUEUED.labels(job.order.tier).inc(len(added))

    async def put_back(self, job: BackfillJob, *, wait_s: float, reason: str, counted: bool) -> None:
        """Let a job wait for another try, as if it had not begun where that is not `counted`; tries like `end`."""

        async def put(asked: Connection) -> bool:
            if counted:
                return await queue.put_back(asked, job, owner=self._owner, wait_s=wait_s, reason=reason)
            return bool(await work.hand_back(asked, [job], owner=self._owner, wait_s=wait_s, reason=reason))

        await self._surely(job, put)

    async def hand_back(self, jobs: Iterable[BackfillJob], reason: str) -> None:
        """Let others have jobs at once; where the database does not answer their leases run out."""
        ours = [job for job in jobs if self.holds(job)]
        self._forget(ours)
        if not ours:
            return
        try:
            async with self._asking() as asked:
                await work.hand_back(asked, ours, owner=self._owner, wait_s=0.0, reason=reason)
        except StoreUnavailable as error:
            log.warning("backfill_jobs_not_handed_back", extra={"jobs": len(ours), "error": str(error)})

    async def hand_back_all(self, reason: str) -> None:
        """Let others have all of them."""
        await self.hand_back([job for job, _ in self._held.values()], reason)

    async def _is_covered(self, asked: Connection, order: BackfillOrder) -> bool:
        """Whether a job under way fetches what is ordered, or all its expected bars are stored."""
        if await queue.covering(asked, order) is not None:
            return True
        calendar, interval = calendar_of(order.series.symbol), order.series.interval
        span = (
            expected_span(calendar, interval, order.from_time, order.to_time) if is_judged(interval) else None
        )
        return await work.stored_bars(asked, order) >= (1 if span is None else span.count)

    async def _surely(self, job: BackfillJob, act: Callable[[Connection], Awaitable[bool]]) -> bool:
        done = False
        while self.holds(job):
            try:
                async with self._asking() as asked:
                    done = await act(asked)
                break
            except StoreUnavailable as error:
                log.warning("backfill_job_waits", extra={"job": job.order.job_id, "error": str(error)})
                await asyncio.sleep(AGAIN_S)
        if self._is(job):
            self._forget([job])
        return done

    def _hold(self, jobs: list[BackfillJob], begun_s: float) -> list[BackfillJob]:
        until_s = begun_s + LEASE_S - MARGIN_S
        self._held |= {job.order.job_id: (job, until_s) for job in jobs}
        return jobs

    def _is(self, job: BackfillJob) -> bool:
        held = self._held.get(job.order.job_id)
        return held is not None and held[0].attempts == job.attempts

    def _forget(self, jobs: Iterable[BackfillJob]) -> None:
        for job in jobs:
            self._held.pop(job.order.job_id, None)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Connection]:
        waits = {"within_s": ANSWERS_WITHIN_S, "or_else": "the backfill queue cannot be used"}
        async with connection(self._pool, **waits) as asked:  # type: ignore[arg-type]
            yield asked
