"""The workers of the backfill queue: they take jobs of the partitions collected here, where their provider has room.

PostgreSQL that is away or slow costs them their turn and nobody else anything: they have a small pool of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from infra.runtime.clock import monotonic_s
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import pool
from producers.backfill.planning import Turns, room_of, sets_of
from producers.backfill.shell.collected import Collected
from producers.backfill.shell.job_set import LEFT, JobSet
from producers.backfill.shell.leases import Leases
from producers.polling.position import longest_span_us
from schemas.backfill import BackfillJob
from schemas.errors import StoreUnavailable
from schemas.intervals import slot_us
from schemas.streams import StreamId

PART = "backfill"
LOOK_EVERY_S = 1.0
REVIVE_EVERY_S = 5.0
LOOK_FOR_STRAYS_EVERY_S = 30.0
LONGEST_WAIT_S = 30.0  # between two looks while the database is away
POOL_SIZE = 2
STATEMENT_MS = 10_000
HAND_BACK_WITHIN_S = 2.0
STOPPED = "its worker was stopped"

log = logging.getLogger(__name__)


class BackfillWorkers:
    """Works jobs off while this process runs; used from one event loop."""

    def __init__(self, dsn: str, collected: Collected, *, owner: str, health: Health) -> None:
        """Take jobs as `owner`, a name no other process has; `health` gets the part `backfill`."""
        self._dsn, self._collected, self._owner, self._health = dsn, collected, owner, health
        self._turns = Turns()
        self._working: dict[asyncio.Task[None], str] = {}  # sets, with their provider
        self._strays = frozenset[str]()  # providers with jobs and not asked here
        self._wake = asyncio.Event()
        self._revived_s = self._looked_s = float("-inf")

    async def run(self) -> None:
        """Work for ever; raises BrokerUnavailable where the publisher is dead."""
        async with pool(self._dsn, service=PART, size=POOL_SIZE, statement_timeout_ms=STATEMENT_MS) as opened:
            self._report()
            leases = Leases(opened, owner=self._owner, partitions=self._collected.all_partitions)
            try:
                await self.work(leases)
            finally:
                try:
                    async with asyncio.timeout(HAND_BACK_WITHIN_S):
                        await leases.hand_back_all(STOPPED)
                except TimeoutError:
                    log.warning(
                        "backfill_jobs_not_handed_back", extra={"consequence": "their leases run out"}
                    )

    async def work(self, leases: Leases) -> None:
        """Work for ever what `leases` give."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leases.keep(), name="backfill-leases")
            await self._work(leases, tasks)

    async def _work(self, leases: Leases, tasks: asyncio.TaskGroup) -> None:
        wait_s = LOOK_EVERY_S
        while True:
            self._wake.clear()
            try:
                await self._look(leases, tasks)
            except StoreUnavailable as error:
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
                self._report(waiting_for=str(error))
            else:
                wait_s = LOOK_EVERY_S
                self._report()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self, leases: Leases, tasks: asyncio.TaskGroup) -> None:
        """Begin what there is room for."""
        partitions = self._collected.partitions
        if not partitions or not self._collected.settings.enabled:
            return
        if monotonic_s() - self._revived_s >= REVIVE_EVERY_S:
            await leases.revive()
            self._revived_s = monotonic_s()
        if monotonic_s() - self._looked_s >= LOOK_FOR_STRAYS_EVERY_S:
            known = self._collected.providers | self._collected.waiting
            self._strays = await leases.providers(partitions) - known
            self._looked_s = monotonic_s()
        room = self._room()
        while room:
            jobs = list[BackfillJob]()
            sets = list[list[BackfillJob]]()
            try:
                await self._claim(jobs, leases, room)
                await JobSets(self._collected, leases).around(jobs, sets)
            finally:
                placed = {job.order.job_id for some in sets for job in some}
                sets += by_series(job for job in jobs if job.order.job_id not in placed)
                begun = self._begin(sets, leases, tasks)
            taken = Counter(job.order.series.provider for job in jobs)
            room = {provider: taken[provider] - begun[provider] for provider in taken}
            room = {provider: left for provider, left in room.items() if left > 0}

    def _begin(
        self, sets: Sequence[Sequence[BackfillJob]], leases: Leases, tasks: asyncio.TaskGroup
    ) -> Counter[str]:
        """Work sets off, and return how many of each provider."""
        begun = Counter[str]()
        for jobs in sets:
            provider = jobs[0].order.series.provider
            task = tasks.create_task(self._work_off(jobs, leases), name="backfill")
            self._working[task] = provider
            begun[provider] += 1
            task.add_done_callback(self._ended)
        return begun

    def _room(self) -> Mapping[str, int]:
        under_way = Counter(self._working.values())
        able = self._collected.open_to_us() | self._strays
        return room_of(self._collected.settings.concurrency, under_way, able)

    async def _claim(self, claimed: list[BackfillJob], leases: Leases, room: Mapping[str, int]) -> None:
        """Take jobs by rank, and the oldest where that is due, until there is no room or no job."""
        partitions, left, turns = self._collected.partitions, dict(room), self._turns
        while left:
            by_rank = turns.ranked(left)
            asked = by_rank or turns.oldest(left)
            jobs = await leases.claim(partitions, asked, "rank" if by_rank else "age")
            claimed += jobs
            taken = Counter(job.order.series.provider for job in jobs)
            if by_rank:
                turns.begun(taken)
            else:
                turns.aged(asked)
            for provider, most in asked.items():
                left[provider] -= taken[provider]
                if left[provider] <= 0 or taken[provider] < most:  # there is no room, or no job any more
                    del left[provider]

    async def _work_off(self, jobs: Sequence[BackfillJob], leases: Leases) -> None:
        await JobSet(jobs, self._collected, leases).run()
        await leases.hand_back(jobs, LEFT)  # what is ours still is nobody's here any more

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._working[task]
        self._wake.set()

    def _report(self, *, waiting_for: str = "") -> None:
        under_way = Counter(self._working.values())
        enabled, owned = self._collected.settings.enabled, bool(self._collected.partitions)
        state = "off" if not enabled else "standby" if not owned else "waiting" if waiting_for else "working"
        self._health.report(
            PART,
            ready=True,  # what is missing is fetched later; the present does not wait for it
            state=state,
            under_way=sum(under_way.values()),
            per_provider=dict(under_way),
            not_collected=sorted(self._strays),
            waiting_for=waiting_for,
        )


def by_series(jobs: Iterable[BackfillJob]) -> list[list[BackfillJob]]:
    """Return jobs in sets of one series each."""
    together: dict[StreamId, list[BackfillJob]] = {}
    for job in jobs:
        together.setdefault(job.order.series, []).append(job)
    return list(together.values())


class JobSets:
    """Puts jobs that are held together with those beside them."""

    def __init__(self, collected: Collected, leases: Leases) -> None:
        """Take what is beside them through `leases`."""
        self._collected, self._leases = collected, leases

    async def around(self, jobs: Sequence[BackfillJob], sets: list[list[BackfillJob]]) -> None:
        """Add `jobs` to `sets`, in sets that are fetched together, each with what is beside it; raises StoreUnavailable.

        Where a request holds one series that is all of it, within a bound. Where it holds several a set is one request,
        and there are no more sets than jobs: who is taken along is begun before its turn, at nobody's cost.
        """
        alone: list[BackfillJob] = []
        shared: dict[tuple[str, str], list[BackfillJob]] = {}
        for job in jobs:
            series = job.order.series
            if self._collected.capacity(series).series > 1:
                shared.setdefault((series.provider, series.interval), []).append(job)
            else:
                alone.append(job)
        for held in shared.values():
            sets += await self._shared(held)
        if alone:
            sets += by_series([*alone, *await self._leases.claim_beside(alone)])

    async def _shared(self, held: Sequence[BackfillJob]) -> list[list[BackfillJob]]:
        series = held[0].order.series
        capacity, interval = self._collected.capacity(series), series.interval
        found = await self._leases.near(held, self._collected.partitions, longest_span_us(slot_us(interval)))
        near = [job for job in found if job.order.series[:2] == series[:2]]
        ids = {job.order.job_id for job in held}
        chosen = [
            some for some in sets_of([*held, *near], capacity) if any(job.order.job_id in ids for job in some)
        ]
        beside = [job for some in chosen for job in some if job.order.job_id not in ids]
        taken = {job.order.job_id: job for job in [*held, *(await self._leases.claim_these(beside))]}
        return [[taken[name] for job in some if (name := job.order.job_id) in taken] for some in chosen]
