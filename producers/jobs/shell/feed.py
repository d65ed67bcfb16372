"""The job feed: owns partitions of jobs.v1, has their jobs done, and says who decides what else is polled.

Whoever owns partition p polls all its symbols: for jobs while a feed holds the lease of p, by its own schedule (the
sweeper's) otherwise. What was done is on job-results.v1, so whoever owns p next begins where this one ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.lifecycle import Health
from infra.runtime.metrics import JOB_LEASE
from producers.jobs.history import JobHistory
from producers.jobs.lease import Lease, after, holder
from producers.jobs.queue import JobOffsets, JobQueue, Queued
from producers.jobs.shell.attempt import Collecting, JobWork
from producers.jobs.shell.reader import Credit, JobReader, ReceivedJob
from producers.jobs.shell.results import JobResults
from producers.jobs.shell.tails import KnownJobs
from producers.polling.slots import Outcome
from schemas.clocks import MarketTime, WallTime
from schemas.intervals import SECOND_US
from schemas.jobs import by_partition
from schemas.records import Job

__all__ = ["Collecting", "JobFeed"]

PART = "jobs"
TICK_S = 0.05  # how late a lapse is noticed
REPORT_EVERY_S = 1.0
OWN_WAIT_S = 6.0  # polls in flight end within 5 s; then the partition goes, whatever they do
DRAIN_S = 5.0  # for the last results, before a partition goes
LEAVE_S = 5.0
MAX_JOBS_IN_HAND = 64  # the providers' own limits are the pollers' business

log = logging.getLogger(__name__)


class JobFeed:
    """Does the jobs of the partitions the group gives it; made inside the running loop."""

    def __init__(
        self,
        bootstrap: str,
        partitions: int,
        *,
        prefix: str,
        instance: str,
        publisher: Publisher,
        health: Health,
        symbols_known: Callable[[str], bool],
        market_now: Callable[[], MarketTime],
    ) -> None:
        """Join when `run`. `instance` names this process over its restarts and no other.

        The topics of jobs and results have `partitions` each.
        """
        self._partitions = partitions
        self._bootstrap, self._prefix, self._instance = bootstrap, prefix, instance
        self._health = health
        self._work = JobWork(instance=instance, symbols_known=symbols_known, market_now=market_now)
        self._results = JobResults(publisher, prefix=prefix, instance=instance)
        self._queue, self._offsets = JobQueue(), JobOffsets()
        self._known: dict[int, JobHistory] = {}
        self._leases: dict[int, Lease] = {}
        self._swept: frozenset[int] | None = None
        self._in_hand: dict[asyncio.Task[None], Queued] = {}
        self._letters: dict[asyncio.Task[None], int] = {}  # dead letters on their way, by partition
        self._joined = self._closing = False
        self._wake = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._collecting: Collecting | None = None
        self._tasks: asyncio.TaskGroup | None = None
        health.expect(PART)

    def swept(
        self, capability: str, outcomes: Mapping[str, Outcome], slot: MarketTime, provider: str
    ) -> None:
        """Note a poll of the own schedule; it is published with others of its slot."""
        for partition, symbols in by_partition(list(outcomes), self._partitions).items():
            came_to = {symbol: outcomes[symbol] for symbol in symbols}
            if (history := self._known.get(partition)) is not None:
                history.done(capability, came_to, slot)
            self._results.swept(partition, capability, came_to, slot, provider)

    async def run(self, collecting: Collecting) -> None:
        """Do jobs for ever; raises ConfigurationError where another process runs as this instance."""
        self._collecting = collecting
        loop = asyncio.get_running_loop()
        reader = JobReader(
            self._bootstrap,
            self._partitions,
            prefix=self._prefix,
            instance=self._instance,
            listener=self,
            loop=loop,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._results.run(), name="job-results")
                tasks.create_task(self._dispatch(), name="jobs-dispatch")
                tasks.create_task(self._report(), name="jobs-report")
                reader.start()
                await self._failure
        finally:
            self._closing = True
            await self._leave(reader)

    async def _leave(self, reader: JobReader) -> None:
        """Publish what the sweeper still has to say, then leave the group; neither holds up a stopping process."""
        for wait_s, work in ((DRAIN_S, self._results.flush()), (LEAVE_S, reader.close())):
            try:
                async with asyncio.timeout(wait_s):
                    await work
            except TimeoutError:
                log.warning("jobs_left_in_haste")

    # What the reading thread asks of the loop (Listener).

    async def gained(self, positions: Mapping[int, int], known: Mapping[int, KnownJobs]) -> None:
        """Own these partitions too from now on; of the others nothing is disturbed."""
        if self._closing or self._collecting is None:
            return
        self._offsets.own(positions)
        gained = {partition: known[partition] for partition in positions}
        self._known |= {partition: each.history for partition, each in gained.items()}
        self._leases |= {partition: each.lease for partition, each in gained.items()}
        slots = {stream: slot for each in gained.values() for stream, slot in each.history.slots.items()}
        # before they are polled: each begins in its place of the cadence, which what is resumed does not
        self._look_at_leases()
        if gained:
            await self._collecting.own(frozenset(self._known), slots)
        self._joined, self._swept = True, None
        self._look_at_leases()
        self._show()
        log.info("job_partitions", extra={"owned": sorted(self._known), "streams_known": len(slots)})

    async def given_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Own these no more; return what may be committed once nothing of theirs is in flight."""
        if self._closing:
            return {}
        await self._disown(partitions)
        in_hand = [
            *(task for task, entry in self._in_hand.items() if entry.partition in partitions),
            *(task for task, partition in self._letters.items() if partition in partitions),
        ]
        if in_hand:
            await asyncio.wait(in_hand, timeout=DRAIN_S)
        for task in in_hand:
            task.cancel()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._results.flush()
        except TimeoutError:
            log.warning("job_results_late", extra={"instance": self._instance})
        commits = self._offsets.committable()
        self._offsets.give_up(partitions)
        return commits

    async def lost(self, partitions: Collection[int]) -> None:
        """Own these no more: the session is over."""
        if self._closing:
            return
        self._joined = False
        for task, entry in self._in_hand.items():
            if entry.partition in partitions:
                task.cancel()
        await self._disown(partitions)
        self._offsets.give_up(partitions)

    async def arrived(self, batch: Sequence[ReceivedJob]) -> Credit:
        """Take what was read: leases count at once, jobs wait for their turn, what is neither is refused."""
        for received in batch:
            if self._closing or self._tasks is None or received.partition not in self._known:
                continue
            self._offsets.begin(received.partition, received.offset)
            if received.job is None:
                letter = self._tasks.create_task(self._refuse(received), name="job-dead-letter")
                self._letters[letter] = received.partition
                letter.add_done_callback(self._letters.pop)
            else:
                self._take(received, received.job)
        self._look_at_leases()
        self._wake.set()
        return Credit(room=max(0, self._queue.room - len(self._letters)), commits=self._offsets.committable())

    async def failed(self, error: Exception) -> None:
        """End `run` with the error."""
        if not self._failure.done():
            self._failure.set_exception(error)

    def _take(self, received: ReceivedJob, job: Job) -> None:
        partition = received.partition
        age_s = (wall_us() - received.appended_us) / SECOND_US
        self._leases[partition] = after(self._leases[partition], job, age_s=age_s, now_s=monotonic_s())
        if job.type == "lease":
            self._offsets.end(partition, received.offset)
            return
        ready_us = WallTime(job.not_before)
        self._queue.add(Queued(job=job, partition=partition, offset=received.offset, ready_us=ready_us))

    async def _refuse(self, received: ReceivedJob) -> None:
        await self._results.dead_letter(received)
        self._offsets.end(received.partition, received.offset)

    async def _disown(self, partitions: Collection[int]) -> None:
        self._queue.clear(partitions)
        for partition in partitions:
            self._known.pop(partition, None)
            self._leases.pop(partition, None)
        self._swept = None
        if self._collecting is None:
            return
        try:
            async with asyncio.timeout(OWN_WAIT_S):
                await self._collecting.own(frozenset(self._known), {})
        except TimeoutError:
            log.warning("polls_left_behind", extra={"after_s": OWN_WAIT_S})
        self._look_at_leases()
        self._show()

    def _look_at_leases(self) -> None:
        now_s = monotonic_s()
        swept = frozenset(p for p, lease in self._leases.items() if holder(lease, now_s) == "sweeper")
        if swept == self._swept or self._collecting is None:
            return
        self._swept = swept
        self._collecting.sweep(swept)
        JOB_LEASE.clear()
        for partition in self._leases:
            JOB_LEASE.labels(str(partition)).set(0 if partition in swept else 1)
        log.info("job_lease", extra={"swept": sorted(swept), "fed": sorted(set(self._leases) - swept)})

    # Doing jobs.

    async def _dispatch(self) -> None:
        assert self._tasks is not None  # noqa: S101 - it is a task of that group
        while True:
            while (
                len(self._in_hand) < MAX_JOBS_IN_HAND and (entry := self._queue.take(wall_us())) is not None
            ):
                task = self._tasks.create_task(self._do(entry), name="job")
                self._in_hand[task] = entry
                task.add_done_callback(self._put_down)
            self._wake.clear()
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._look_at_leases()

    def _put_down(self, task: asyncio.Task[None]) -> None:
        self._queue.finish(self._in_hand.pop(task))
        self._wake.set()

    async def _do(self, entry: Queued) -> None:
        """Try a job once; say what it came to, or let it wait for another try."""
        history = self._known.get(entry.partition)
        if history is None or self._collecting is None:
            return  # given up meanwhile: whoever owns the partition reads it again
        came_to = await self._work.attempt(entry, history, self._collecting)
        if isinstance(came_to, Queued):
            if entry.partition in self._known:
                self._queue.add(came_to)
            return
        history.note(came_to)
        await self._results.publish(came_to, entry.partition)
        self._offsets.end(entry.partition, entry.offset)

    async def _report(self) -> None:
        while True:
            self._show()
            await asyncio.sleep(REPORT_EVERY_S)

    def _show(self) -> None:
        owned, swept = sorted(self._leases), self._swept or frozenset()
        self._health.report(
            PART,
            ready=self._joined,
            state="polling" if owned else "standby" if self._joined else "joining",
            owned=owned,
            lease={str(p): "sweeper" if p in swept else "feed" for p in owned},
            waiting_jobs=len(self._queue),
            jobs_in_hand=len(self._in_hand),
        )
