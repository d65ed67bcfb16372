"""The workers of the backfill queue: they take jobs of the partitions collected here, where their provider has room.

PostgreSQL that is away or slow costs them their turn and nobody else anything: they have a small pool of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from infra.runtime.clock import monotonic_s
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import pool
from producers.backfill.planning import Turns, room_of
from producers.backfill.shell.collected import Collected
from producers.backfill.shell.leases import Leases
from producers.backfill.shell.series import LEFT, SeriesWork
from schemas.backfill import BackfillJob
from schemas.errors import StoreUnavailable
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
        self._working: dict[asyncio.Task[None], StreamId] = {}
        self._strays = frozenset[str]()  # providers with jobs and not asked here
        self._wake = asyncio.Event()
        self._revived_s = self._looked_s = float("-inf")

    async def run(self) -> None:
        """Work for ever; raises BrokerUnavailable where the publisher is dead."""
        async with pool(self._dsn, service=PART, size=POOL_SIZE, statement_timeout_ms=STATEMENT_MS) as opened:
            self._report()
            leases = Leases(opened, owner=self._owner, partitions=self._collected.all_partitions)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(leases.keep(), name="backfill-leases")
                    await self._work(leases, tasks)
            finally:
                try:
                    async with asyncio.timeout(HAND_BACK_WITHIN_S):
                        await leases.hand_back_all(STOPPED)
                except TimeoutError:
                    log.warning(
                        "backfill_jobs_not_handed_back", extra={"consequence": "their leases run out"}
                    )

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
        jobs = list[BackfillJob]()
        try:
            await self._claim(jobs, leases, self._room())
            if jobs:
                jobs += await leases.claim_beside(jobs)
        finally:
            self._begin(jobs, leases, tasks)

    def _begin(self, jobs: Sequence[BackfillJob], leases: Leases, tasks: asyncio.TaskGroup) -> None:
        together: dict[StreamId, list[BackfillJob]] = {}
        for job in jobs:
            together.setdefault(job.order.series, []).append(job)
        for series, found in together.items():
            task = tasks.create_task(self._work_off(found, leases), name="backfill")
            self._working[task] = series
            task.add_done_callback(self._ended)

    def _room(self) -> Mapping[str, int]:
        under_way = Counter(series.provider for series in self._working.values())
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

    async def _work_off(self, jobs: list[BackfillJob], leases: Leases) -> None:
        await SeriesWork(jobs, self._collected, leases).run()
        await leases.hand_back(jobs, LEFT)  # what is ours still is nobody's here any more

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._working[task]
        self._wake.set()

    def _report(self, *, waiting_for: str = "") -> None:
        under_way = Counter(series.provider for series in self._working.values())
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
