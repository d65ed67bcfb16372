"""The backfill queue in memory, for stories in virtual time: whose turn it is and what is beside it as the table says."""

# ruff: noqa: ARG002 - it takes what the real one takes

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Literal, cast

from infra.runtime.postgres.backfill_work import NEAR_AT_ONCE
from producers.backfill.endings import Ending
from producers.backfill.shell.collected import Collected
from producers.backfill.shell.leases import BESIDE
from producers.backfill.shell.workers import BackfillWorkers
from schemas.backfill import BackfillJob, BackfillOrder
from schemas.clocks import WallTime
from schemas.configuration.model import parse_configuration
from tests.support.backfill_world import PARTITIONS
from tests.support.played_vendors import SILENT, Collecting

ROUND_TRIP_S = 0.005


@dataclass
class PlayedQueue:
    """Jobs of one producer that has all partitions; what became of each, and when (s of the running loop)."""

    queued: dict[str, BackfillJob] = field(default_factory=dict)
    running: dict[str, BackfillJob] = field(default_factory=dict)
    ended: dict[str, tuple[Ending, float]] = field(default_factory=dict)
    enqueued: int = 0  # so far: of two jobs the one that came later is the younger
    attempts: dict[str, int] = field(default_factory=dict)  # of those that ended

    def enqueue(self, orders: Iterable[BackfillOrder]) -> None:
        """Add jobs, one after the other."""
        for order in orders:
            job = BackfillJob(order=order, state="queued", attempts=0, enqueued_time=WallTime(self.enqueued))
            self.enqueued += 1
            self.queued[order.job_id] = job

    async def claim(
        self, partitions: Collection[int], room: Mapping[str, int], by: Literal["rank", "age"]
    ) -> list[BackfillJob]:
        """Take as many as there is room for."""
        await asyncio.sleep(ROUND_TRIP_S)
        return [job for provider, most in room.items() for job in self._take(self._turn(provider, by)[:most])]

    async def near(
        self, jobs: Sequence[BackfillJob], partitions: Collection[int], span_us: int
    ) -> list[BackfillJob]:
        """Return the next in turn, and those of the same series."""
        await asyncio.sleep(ROUND_TRIP_S)
        series = {job.order.series for job in jobs}
        own = [job for job in self.queued.values() if job.order.series in series]
        turn = self._turn(jobs[0].order.series.provider, "rank")[:NEAR_AT_ONCE]
        return list({job.order.job_id: job for job in [*turn, *own]}.values())

    async def claim_these(self, jobs: Collection[BackfillJob]) -> list[BackfillJob]:
        """Take those."""
        await asyncio.sleep(ROUND_TRIP_S)
        return self._take(jobs)

    async def claim_beside(self, jobs: Collection[BackfillJob]) -> list[BackfillJob]:
        """Take others of the same series."""
        await asyncio.sleep(ROUND_TRIP_S)
        series = {job.order.series for job in jobs}
        beside = [job for job in self.queued.values() if job.order.series in series]
        beside.sort(key=lambda job: (job.order.series, job.order.from_time))
        return self._take(beside[:BESIDE])

    async def keep(self) -> None:
        """Nobody takes a lease away."""

    async def revive(self) -> None:
        """What waits comes back by itself."""

    async def providers(self, partitions: Collection[int]) -> frozenset[str]:
        """Return whose jobs wait."""
        return frozenset(job.order.series.provider for job in self.queued.values())

    def holds(self, job: BackfillJob) -> bool:
        """Whether a job is ours."""
        held = self.running.get(job.order.job_id)
        return held is not None and held.attempts == job.attempts

    async def in_a_gap(self, jobs: Collection[BackfillJob]) -> frozenset[str]:
        """Return all of them."""
        return frozenset(job.order.job_id for job in jobs)

    async def end(self, job: BackfillJob, ending: Ending, elsewhere: BackfillOrder | None = None) -> None:
        """End one."""
        if self.running.pop(job.order.job_id, None) is not None:
            self.attempts[job.order.job_id] = job.attempts
            self.ended[job.order.job_id] = ending, asyncio.get_running_loop().time()

    async def put_back(self, job: BackfillJob, *, wait_s: float, reason: str, counted: bool) -> None:
        """Let one wait."""
        if self.running.pop(job.order.job_id, None) is not None:
            again = replace(job, state="queued", attempts=job.attempts - (not counted), reason=reason)
            asyncio.get_running_loop().call_later(wait_s, self.queued.__setitem__, job.order.job_id, again)

    async def hand_back(self, jobs: Iterable[BackfillJob], reason: str) -> None:
        """Let others have what is held."""
        for job in jobs:
            await self.put_back(job, wait_s=0.0, reason=reason, counted=False)

    def _turn(self, provider: str, by: Literal["rank", "age"]) -> list[BackfillJob]:
        jobs = [job for job in self.queued.values() if job.order.series.provider == provider]
        rank = by == "rank"
        return sorted(jobs, key=lambda job: (job.order.rank * rank, job.enqueued_time, job.order.job_id))

    def _take(self, jobs: Iterable[BackfillJob]) -> list[BackfillJob]:
        taken = []
        for job in jobs:
            if self.queued.pop(job.order.job_id, None) is not None:
                held = replace(job, state="running", attempts=job.attempts + 1)
                self.running[job.order.job_id] = held
                taken.append(held)
        return taken


def collected_by(collecting: Collecting, provider: str) -> Collected:
    """Return the look of a worker at what is polled of one provider."""
    text = f"symbols: [SPY]\nstreams: {{bars: {{providers: [{provider}]}}}}"
    collection = SimpleNamespace(
        configuration=parse_configuration(text, source="test"),
        vendors=collecting.vendors,
        lacking={},
        polls=collecting.polls,
        attempts=collecting.attempts,
    )
    return Collected(cast(Any, collection), collecting.attempts.raw, lambda: frozenset(range(PARTITIONS)))


def worked_off(queue: PlayedQueue, collected: Any) -> Coroutine[Any, Any, None]:
    """Return the work of a worker that works a queue off for ever."""
    return BackfillWorkers("", collected, owner="one", health=SILENT).work(cast(Any, queue))
