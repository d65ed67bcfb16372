"""Backfills of a job feed on a real PostgreSQL: one job of the queue for an id, its end told once, and a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from infra.runtime.clock import monotonic_s
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres import feed_backfills as store
from infra.runtime.postgres.pool import connection, pool
from producers.jobs.backfills import asked_by, order_of
from producers.jobs.shell import backfills as module
from producers.jobs.shell.backfills import FeedBackfills
from schemas.backfill import BackfillState
from schemas.clocks import MarketTime, WallTime
from schemas.configuration.backfill import Backfill, QueuedJobs
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Job, JobResult
from tests.conftest import free_port
from tests.support.backfill_world import PARTITIONS
from tests.support.builders import NINE_THIRTY
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.sink_records import query

WITHIN_S = 20.0
ENDS = {"done": 12, "empty": 0, "unrecoverable": 0, "dead": 0}


def a_backfill(job_id: str = "j1", symbol: str = "SPY", minute: int = 0, **changes: Any) -> Job:
    """Return a backfill of 12 minutes."""
    start = NINE_THIRTY + minute * MINUTE_US
    fields = {
        "version": 1, "job_id": job_id, "type": "backfill", "source": "cron", "created_time": WallTime(1),
        "deadline": WallTime(2), "capability": "bars:1m", "symbols": (symbol,), "start": MarketTime(start),
        "end": MarketTime(start + 12 * MINUTE_US),
    }  # fmt: skip
    return Job(**(fields | changes))  # type: ignore[arg-type]


@dataclass
class Told:
    """Results that were published, each with its partition."""

    results: list[tuple[JobResult, int]] = field(default_factory=list)

    async def __call__(self, result: JobResult, partition: int) -> None:
        """Keep one."""
        self.results.append((result, partition))

    def statuses(self) -> dict[str, list[str]]:
        """Return what was told, by job."""
        found: dict[str, list[str]] = {}
        for result, _ in self.results:
            found.setdefault(result.job_id, []).append(result.status)
        return found


@asynccontextmanager
async def asking(
    dsn: str, told: Told, *, owned: frozenset[int] = frozenset(range(PARTITIONS))
) -> AsyncIterator[FeedBackfills]:
    """Run it until the end of the block."""
    backfills = FeedBackfills(
        dsn,
        told,
        instance="p1",
        partitions=PARTITIONS,
        market_now=lambda: MarketTime(NINE_THIRTY + DAY_US),
        owned=lambda: owned,
    )
    running = asyncio.create_task(backfills.run())
    try:
        await eventually(lambda: backfills._pool, within_s=WITHIN_S, every_s=0.01)  # noqa: SLF001
        yield backfills
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def end(dsn: str, state: BackfillState, *, rows: int, symbol: str = "SPY") -> None:
    """Take the jobs of a symbol's partition and end each so, as a worker does."""
    async with pool(dsn, service="test") as opened, connection(opened, within_s=10.0) as asked:
        numbers = {partition_of(symbol, PARTITIONS)}
        for job in await queue.claim(asked, numbers, {"yahoo": 9}, by="rank", owner="w", lease_s=60.0):
            assert await queue.end(asked, job, state, owner="w", rows=rows, reason="so it is")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)


@pytest.mark.parametrize("state", ENDS)
async def test_an_id_is_one_job_of_the_queue_and_its_end_is_told_once(
    database: str, state: BackfillState
) -> None:
    """A repeat meanwhile is told the same job; one of what was done is a duplicate, of what was not a new job."""
    told = Told()
    async with asking(database, told) as backfills:
        first = await backfills.ask(a_backfill(), "yahoo", Backfill())
        again = await backfills.ask(a_backfill(priority=0, source="me"), "yahoo", Backfill())
        other = await backfills.ask(a_backfill(minute=1), "yahoo", Backfill())
        (row,) = await query(database, "SELECT job_id, state, tier, source FROM backfill_jobs")
        assert told.results == []
        await end(database, state, rows=ENDS[state])
        await eventually(lambda: told.results, within_s=WITHIN_S)
        after = await backfills.ask(a_backfill(), "yahoo", Backfill())
        await asyncio.sleep(0.2)

    assert first.status == again.status == "queued"
    assert first.reason == again.reason == f"backfill job {row['job_id']}"
    assert (row["tier"], row["source"]) == ("T2", "jobs.v1 cron")
    assert (other.status, "another backfill" in other.reason) == ("refused", True)
    ((result, partition),) = told.results
    assert (result.outcomes[0].events, partition) == (ENDS[state], partition_of("SPY", PARTITIONS))
    if state in ("done", "empty"):
        assert (result.status, after.status) == ("done", "duplicate")
    else:
        assert result.status in ("refused", "failed")
        assert "so it is" in result.reason
        assert after.status == "queued"
        assert after.reason != first.reason


async def test_who_asks_for_what_is_under_way_hears_of_that_job_and_of_its_end(database: str) -> None:
    """Several ids share one job of the queue, each has its own result; a part of its stretch is fetched with it."""
    told = Told()
    async with asking(database, told) as backfills:
        whole = await backfills.ask(a_backfill("whole"), "yahoo", Backfill())
        part = await backfills.ask(
            a_backfill("part", minute=3, end=MarketTime(NINE_THIRTY + 9 * MINUTE_US)), "yahoo", Backfill()
        )
        await end(database, "done", rows=12)
        await eventually(lambda: len(told.results) == 2, within_s=WITHIN_S)

    assert part.reason == f"{whole.reason}, which somebody asked for before"
    assert told.statuses() == {"whole": ["done"], "part": ["done"]}


async def test_a_full_tier_is_refused_with_the_time_to_come_again_and_can_be_asked_again(
    database: str,
) -> None:
    """Nothing is left behind of a refusal; another tier has room."""
    bounds = Backfill(queued_jobs=QueuedJobs(T2=1))
    async with asking(database, Told()) as backfills:
        await backfills.ask(a_backfill("first"), "yahoo", bounds)
        full = await backfills.ask(a_backfill("second", minute=60), "yahoo", bounds)
        urgent = await backfills.ask(a_backfill("third", minute=120, priority=1), "yahoo", bounds)
        await end(database, "done", rows=1)
        again = await backfills.ask(a_backfill("second", minute=60), "yahoo", bounds)

    assert full.status == "refused"
    assert "tier T2 has 1 backfill jobs" in full.reason
    assert "send it again from 2" in full.reason
    assert (urgent.status, again.status) == ("queued", "queued")


async def test_only_who_owns_a_partition_tells_of_it(database: str) -> None:
    """The next owner tells what the last one did not come to."""
    told, mine = Told(), partition_of("SPY", PARTITIONS)
    async with asking(database, told, owned=frozenset(range(PARTITIONS)) - {mine}) as backfills:
        await backfills.ask(a_backfill(), "yahoo", Backfill())
        await end(database, "done", rows=3)
        await asyncio.sleep(0.3)
        assert told.results == []
    async with asking(database, told, owned=frozenset({mine})):
        await eventually(lambda: told.results, within_s=WITHIN_S)
    async with asking(database, told):
        await asyncio.sleep(0.3)

    assert told.statuses() == {"j1": ["done"]}


async def test_a_job_that_ends_at_the_moment_it_is_asked_for_is_told_too(database: str) -> None:
    """Its worker waits for who holds it, and then sees who asks."""
    told, asked = Told(), a_backfill("late")
    mine = partition_of("SPY", PARTITIONS)
    async with asking(database, told) as backfills, pool(database, service="test") as opened:
        await backfills.ask(a_backfill("early"), "yahoo", Backfill())
        async with connection(opened, within_s=20.0) as ours, connection(opened, within_s=20.0) as theirs:
            (job,) = await queue.claim(theirs, {mine}, {"yahoo": 1}, by="rank", owner="w", lease_s=60.0)
            transaction = ours.transaction()
            await transaction.start()
            places = {"partition": mine, "partitions": PARTITIONS, "most": 9}
            answer = await store.ask(ours, asked_by(asked), order_of(asked, "yahoo", "k"), **places)
            assert answer.is_elses
            ending = asyncio.create_task(queue.end(theirs, job, "done", owner="w", rows=2, reason=""))
            await asyncio.sleep(0.3)
            assert not ending.done()
            await transaction.commit()
            assert await ending
        await eventually(lambda: len(told.results) == 2, within_s=WITHIN_S)

    assert told.statuses() == {"early": ["done"], "late": ["done"]}


async def test_a_database_that_is_away_costs_a_job_time_and_nobody_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first attempt finds out, those after it fail at once; what is said tells when to come again."""
    monkeypatch.setattr(module, "LEFT_ALONE_S", 60.0)
    dsn = f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent"
    async with asking(dsn, Told()) as backfills:
        first = await backfills.ask(a_backfill(), "yahoo", Backfill())
        begun_s = monotonic_s()
        later = [await backfills.ask(a_backfill(f"j{n}"), "yahoo", Backfill()) for n in range(100)]
        took_s = monotonic_s() - begun_s

    assert {each.status for each in (first, *later)} == {"failed"}
    assert all(each.retry_after_s == 60.0 for each in (first, *later))
    assert took_s < 1.0


async def test_what_was_told_is_forgotten_after_a_day(database: str) -> None:
    """So the table holds what jobs.v1 may still bring again, and no more."""
    told = Told()
    async with asking(database, told) as backfills:
        for number in range(5):
            await backfills.ask(a_backfill(f"old{number}", minute=20 * number), "yahoo", Backfill())
        await end(database, "done", rows=1)
        await eventually(lambda: len(told.results) == 5, within_s=WITHIN_S)
        await execute(
            database,
            "UPDATE feed_backfills SET told_time = told_time - interval '25 hours' WHERE asked_id <> 'old3'",
        )
        await backfills.ask(replace(a_backfill("new"), symbols=("IBM",)), "yahoo", Backfill())

    rows = await query(database, "SELECT asked_id FROM feed_backfills ORDER BY asked_id")
    assert [row["asked_id"] for row in rows] == ["new", "old3"]
