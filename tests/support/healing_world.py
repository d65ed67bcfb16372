"""A ledger and its backfill queue in a real PostgreSQL, with workers that may die, freeze or have wrong clocks, in a time of its own.

Time passes by moving what the database holds back and the workers' clocks on, so that leases and waits end without waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import asyncpg

from infra.runtime.clock import monotonic_s
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.backfill_acts import Ordered, Requeued, Wish, place, purge, requeue
from infra.runtime.postgres.backfill_queue import end
from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.errors import Pool
from infra.runtime.postgres.pool import pool
from producers.backfill.endings import Again, Ending, given_up_after
from producers.backfill.planning import room_of
from producers.backfill.shell import leases as leases_module
from producers.backfill.shell.leases import LEASE_S, Leases
from producers.backfill.shell.workers import BackfillWorkers
from schemas.backfill import ACTIVE, AGED_EVERY, BackfillJob, BackfillOrder, asked_id, retry_after_s
from schemas.clocks import WallTime
from schemas.configuration.backfill import Backfill
from schemas.configuration.model import parse_configuration
from schemas.errors import StoreUnavailable
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from schemas.universe import TIERS, Tier
from sinks.store.shell import healing as healing_module
from sinks.store.shell.healing import Healing
from sinks.store.shell.sweep import Sweep
from tests.support.backfill_world import PARTITIONS, PlayedCollection
from tests.support.gap_stories import at
from tests.support.ledger_rows import told
from tests.support.producer_fakes import FixedClock
from tests.support.sink_writers import ALL, a_batch, a_minute, a_writer

PROVIDERS = ("yahoo", "alpaca")
SYMBOLS: dict[str, Tier] = {"SPY": "T0", "QQQ": "T1", "IBM": "T2"}
CAPS: dict[Tier, int] = {"T0": 3, "T1": 4, "T2": 5}
CONFIGURATION = (
    "symbols: [{symbol: SPY, tier: T0}, {symbol: QQQ, tier: T1}, {symbol: IBM, tier: T2}]\n"
    "backfill: {queued_jobs: {T0: 3, T1: 4, T2: 5}}"
)
CONCURRENCY = 3
LATE = WallTime(4_000_000_000_000_000)
SESSION = 300  # minutes in which gaps open; the bar after them is there from the beginning
PASSES = """
    UPDATE backfill_jobs SET enqueued_time = enqueued_time - make_interval(secs => $1),
        ready_time = ready_time - make_interval(secs => $1), leased_until = leased_until - make_interval(secs => $1),
        finished_time = finished_time - make_interval(secs => $1)
"""
JOBS = "SELECT job_id, provider, tier, state, stream, from_time, to_time, lease_owner, attempts, enqueued_time FROM backfill_jobs"
OVERLAPS = """
    SELECT count(*) FROM gaps a JOIN gaps b ON a.stream = b.stream AND a.gap_id < b.gap_id
        AND a.from_time < b.to_time AND b.from_time < a.to_time
"""
UNENDED = "SELECT count(*) FROM gaps WHERE state IN ('open', 'filling')"

T = TypeVar("T")


@dataclass
class Worker:
    """A worker and the jobs it believes to have; `skew_s`: how wrong its clock is."""

    name: str
    skew_s: float
    pool: Pool
    workers: BackfillWorkers
    leases: Leases
    jobs: list[BackfillJob] = field(default_factory=list)


@dataclass
class Waiting:
    """A job in the queue: how many others were begun at its provider since it is there, and how many of those are older."""

    others: int = 0
    older: int = 0


class HealingWorld:
    """All of it; made with `opened`, and closed."""

    def __init__(self, dsn: str) -> None:
        """Use the fresh database `dsn`."""
        self.dsn = dsn
        self.passed_s = 0.0
        self.now = self.number = 1_000
        self.workers: list[Worker] = []
        self.known: set[str] = set()
        self.purged: set[str] = set()
        self.waiting: dict[str, Waiting] = {}
        self.clocks = 0
        self._asking: Worker | None = None
        self._stack = AsyncExitStack()
        self._healing = Healing(partitions=PARTITIONS)

    async def open(self, skews_s: list[float]) -> None:
        """Begin with a ledger without gaps, and a worker for each clock."""
        healing_module.LOOK_EVERY_S = -1.0  # the depth is asked for each time, so that the bound is exact
        leases_module.monotonic_s = self._clock  # type: ignore[assignment]
        await self._healing.take(parse_configuration(CONFIGURATION, source="test"))
        records = [a_minute(0, symbol=symbol, volume=1.0, raw_offset=1) for symbol in SYMBOLS]
        records += [a_minute(SESSION, symbol=symbol, volume=2.0, raw_offset=2) for symbol in SYMBOLS]
        await self.write(
            *records,
            *(
                told(0, None, "collected", 3, symbol=symbol, stream=f"bars.1m:yahoo:{symbol}")
                for symbol in SYMBOLS
            ),
        )
        for skew_s in skews_s:
            await self.hire(skew_s)

    async def close(self) -> None:
        """Let go of the database."""
        await self._stack.aclose()

    def _clock(self) -> float:
        skew_s = 0.0 if self._asking is None else self._asking.skew_s
        return monotonic_s() + self.passed_s + skew_s

    # The ledger.

    async def write(self, *records: Any) -> None:
        """Store records as the sink does."""
        async with a_writer(self.dsn, self._healing) as writer:
            await writer.write(a_batch(writer, *records))

    def _next(self) -> int:
        self.number += 1
        return self.number

    async def blind(self, symbol: str, first: int, count: int) -> None:
        """Nobody watched for some minutes."""
        number = self._next()
        await self.write(
            told(first, first + count, "blind", number, symbol=symbol, stream=f"bars.1m:yahoo:{symbol}")
        )

    async def sweep(self) -> int:
        """Queue what found no room."""
        async with pool(self.dsn, service="test", size=1) as opened:
            owned = [TopicPartition(*each) for each in ALL]
            return await Sweep(
                opened, self._healing, lambda: owned, cast(Any, FixedClock(at(SESSION)))
            ).sweep()

    async def answer(self, job: BackfillJob, bars: str) -> int:
        """Store what a vendor gives for a job: all, half or none of its bars, and that it has no more; return how many."""
        series, number = job.order.series, self._next()
        low, high = ((edge - at(0)) // MINUTE_US for edge in (job.order.from_time, job.order.to_time))
        kept = {"all": range(low, high), "half": range(low, high, 2), "none": range(0)}[bars]
        records: list[Any] = [
            a_minute(
                minute, symbol=series.symbol, provider=series.provider, route="backfill", volume=float(number),
                raw_offset=number, index=minute, known_from=at(5_000) + number,
            )
            for minute in kept
        ]  # fmt: skip
        stream = f"bars.1m:{series.provider}:{series.symbol}"
        named = {"symbol": series.symbol, "stream": stream, "provider": series.provider}
        await self.write(
            *records,
            told(low, high, "collected", number, index=1_000, **named),
            told(low, high, "empty", number, index=1_001, **named),
        )
        return len(kept)

    async def give_up(self, job: BackfillJob) -> None:
        """Store that nobody will give a job's stretch."""
        series, number = job.order.series, self._next()
        low, high = ((edge - at(0)) // MINUTE_US for edge in (job.order.from_time, job.order.to_time))
        await self.write(
            told(
                low, high, "unrecoverable", number, symbol=series.symbol, provider=series.provider,
                stream=f"bars.1m:{series.provider}:{series.symbol}", cause="tried_too_often",
            )
        )  # fmt: skip

    # The queue, by hand.

    async def by_hand(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Act in a transaction."""
        opened = await asyncpg.connect(self.dsn)
        try:
            await register_times(opened)
            async with opened.transaction():
                return await work(opened)
        finally:
            await opened.close()

    async def ask(self, symbol: str, provider: str, tier: Tier, first: int, count: int) -> Ordered:
        """Ask for a stretch as a user does."""
        series = StreamId("bars", "1m", provider, symbol)
        low, high = at(first), at(first + count)
        order = BackfillOrder(
            job_id=asked_id(series, low, high, str(self._next())), series=series, from_time=low, to_time=high, tier=tier,
            origin="user", source="ann",
        )  # fmt: skip
        wish = Wish(order=order, actor="ann")
        return await self.by_hand(lambda c: place(c, wish, partitions=PARTITIONS, most=CAPS[tier]))

    async def requeue(self, job_id: str) -> Requeued:
        """Queue a job again."""
        return await self.by_hand(lambda c: requeue(c, job_id, actor="ann", limits=CAPS))

    async def purge(self) -> int:
        """Delete all that died, and note which."""
        rows = {row["job_id"] for row in await self.jobs() if row["state"] == "dead"}
        purged = await self.by_hand(lambda c: purge(c, "dead", LATE, actor="ann", limit=1_000))
        left = {row["job_id"] for row in await self.jobs()}
        self.purged |= rows - left
        return purged

    async def jobs(self) -> list[Any]:
        """Return all jobs."""
        return list(await self.by_hand(lambda c: c.fetch(JOBS)))

    async def passes(self, seconds: float) -> None:
        """Let time pass for everybody."""
        await self.by_hand(lambda c: c.execute(PASSES, seconds))
        self.passed_s += seconds

    # Workers.

    async def hire(self, skew_s: float) -> Worker:
        """Add a worker whose clock is wrong by so much."""
        self.clocks += 1
        name = f"worker-{self.clocks}"
        opened = await self._stack.enter_async_context(pool(self.dsn, service=name, size=1))
        collected = PlayedCollection(preferred=PROVIDERS, settings=Backfill(concurrency=CONCURRENCY))
        worker = Worker(
            name=name,
            skew_s=skew_s,
            pool=opened,
            workers=BackfillWorkers(self.dsn, cast(Any, collected), owner=name, health=Health()),
            leases=Leases(opened, owner=name, partitions=PARTITIONS),
        )
        self.workers.append(worker)
        return worker

    async def as_worker(self, worker: Worker, work: Callable[[], Awaitable[T]]) -> T:
        """Do what a worker does, by its clock; after an outage again, as it would."""
        self._asking = worker
        try:
            for _ in range(20):
                try:
                    return await work()
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
            return await work()
        finally:
            self._asking = None

    def holds(self, worker: Worker, job: BackfillJob) -> bool:
        """Whether a worker takes a job for its own."""
        self._asking = worker
        try:
            return worker.leases.holds(job)
        finally:
            self._asking = None

    async def look(self, worker: Worker) -> list[BackfillJob]:
        """Let a worker take what it has room for, and those beside; return what it began."""
        await self.as_worker(worker, worker.leases.revive)
        worker.jobs = [job for job in worker.jobs if self.holds(worker, job)]
        before = await self._queued()
        under_way = Counter({job.order.series: job.order.series.provider for job in worker.jobs}.values())
        room = room_of(CONCURRENCY, under_way, PROVIDERS)
        begun: list[BackfillJob] = []
        await self.as_worker(worker, lambda: worker.workers._claim(begun, worker.leases, room))  # noqa: SLF001
        taken = Counter(job.order.series.provider for job in begun)
        assert all(taken[provider] <= room.get(provider, 0) for provider in taken), (taken, room)
        self._note_begun(before, begun)
        beside = await self.as_worker(worker, lambda: worker.leases.claim_beside(begun)) if begun else []
        worker.jobs += [*begun, *beside]
        for job in beside:
            self.waiting.pop(job.order.job_id, None)
        return begun

    async def _queued(self) -> dict[str, Any]:
        found = {row["job_id"]: row for row in await self.jobs() if row["state"] == "queued"}
        self.waiting = {job_id: self.waiting.get(job_id, Waiting()) for job_id in found}
        return found

    def _note_begun(self, before: dict[str, Any], begun: list[BackfillJob]) -> None:
        """Hold every job that waits to the bound on those begun before it."""
        for job in begun:
            self.waiting.pop(job.order.job_id, None)
        for job_id, waits in self.waiting.items():
            row = before[job_id]
            mine = [job for job in begun if job.order.series.provider == row["provider"]]
            waits.others += len(mine)
            waits.older += sum(
                (job.enqueued_time, job.order.job_id) < (row["enqueued_time"], job_id) for job in mine
            )
            # the bound of one worker is 8 (n + 1); each counts for itself
            most = AGED_EVERY * (waits.older + self.clocks)
            assert waits.others <= most, f"{job_id}: {waits} begun before it, at most {most}"

    async def finish(
        self, worker: Worker, job: BackfillJob, outcome: str, *, data_first: bool = True
    ) -> None:
        """Bring a job a worker holds to an end, or to another try, as one does who fetches."""
        if outcome in ("failed", "throttled"):
            again = Again(reason=outcome, counted=outcome == "failed")
            ending = given_up_after(job, again)
            if ending is None:
                wait_s = retry_after_s(max(1, job.attempts), 0.5)
                said: dict[str, Any] = {"wait_s": wait_s, "reason": outcome, "counted": again.counted}
                await self.as_worker(worker, lambda: worker.leases.put_back(job, **said))
                return
            await self.give_up(job)
        else:
            bars = {"done": "all", "half": "half", "empty": "none"}[outcome]
            rows = await self.answer(job, bars) if data_first or bars == "none" else 0
            ending = Ending(state="empty" if bars == "none" else "done", reason="", rows=rows)
        await self.as_worker(worker, lambda: worker.leases.end(job, ending))
        if outcome in ("done", "half") and not data_first:
            await self.answer(job, "all" if outcome == "done" else "half")

    async def rush(self, worker: Worker, rounds: int) -> None:
        """Let urgent jobs come as fast as a worker ends them, while one waits that is not urgent and older."""
        await self.ask("IBM", "alpaca", "T2", 0, 1)
        for _ in range(rounds):
            for first in range(3):
                await self.ask("SPY", "alpaca", "T0", SESSION + first, 1)
            await self.look(worker)
            for job in [job for job in worker.jobs if job.order.series.provider == "alpaca"]:
                if self.holds(worker, job):
                    ending = Ending(state="done", reason="")
                    await self.as_worker(worker, partial(worker.leases.end, job, ending))
                worker.jobs.remove(job)

    async def freeze(self, worker: Worker, other: Worker) -> None:
        """Let a worker stand still for longer than its leases last, while another looks; what it says then counts no more."""
        await self.ask("QQQ", "alpaca", "T1", SESSION + 10, 2)
        await self.look(worker)
        await self.passes(LEASE_S + 1.0)
        await self.look(other)
        for job in worker.jobs:
            said = {"owner": worker.name, "rows": 1, "reason": "late"}
            assert not await self.by_hand(partial(_end, job, said)), (
                f"{job.order.job_id} was ended by who lost it"
            )

    # What must hold.

    async def check(self) -> None:
        """Raise AssertionError where something that must always hold does not."""
        rows = {row["job_id"]: row for row in await self.jobs()}
        self.known |= set(rows)
        lost = self.known - self.purged - set(rows)
        assert not lost, f"lost: {lost}"
        active = [row for row in rows.values() if row["state"] in ACTIVE]
        stretches = Counter((row["stream"], row["from_time"], row["to_time"]) for row in active)
        assert all(count == 1 for count in stretches.values()), stretches
        depths = Counter(row["tier"] for row in active)
        assert all(depths[tier] <= CAPS[tier] for tier in TIERS), depths
        holders = Counter[str]()
        for worker in self.workers:
            for job in worker.jobs:
                if self.holds(worker, job):
                    row = rows[job.order.job_id]
                    holders[job.order.job_id] += 1
                    held = (row["state"], row["lease_owner"], row["attempts"])
                    assert held == ("running", worker.name, job.attempts), (job, row)
        assert all(count == 1 for count in holders.values()), holders
        assert await self.by_hand(lambda c: c.fetchval(OVERLAPS)) == 0

    async def drain(self) -> None:
        """Work all off with one worker, then hold the ledger to its word: every gap has ended."""
        for worker in self.workers:
            worker.jobs = []  # the others never come back
        survivor = await self.hire(0.0)
        for _ in range(200):
            await self.sweep()
            await self.look(survivor)
            for job in list(survivor.jobs):
                if self.holds(survivor, job):
                    await self.finish(survivor, job, "half")
            survivor.jobs = []
            await self.passes(1_000.0)
            await self.check()
            unended = await self.by_hand(lambda c: c.fetchval(UNENDED))
            if not unended and not any(row["state"] in ACTIVE for row in await self.jobs()):
                return
        raise AssertionError(f"{unended} gaps have no end, {await self.jobs()}")


async def _end(job: BackfillJob, said: dict[str, Any], opened: Any) -> bool:
    return await end(opened, job, "done", **said)
