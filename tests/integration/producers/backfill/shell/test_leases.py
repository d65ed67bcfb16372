"""Leases in a real PostgreSQL: what is held, what another takes, and how a job's end and the order elsewhere are one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.pool import connection, pool
from producers.backfill.endings import Ending, order_elsewhere
from producers.backfill.shell import leases as module
from producers.backfill.shell.leases import Leases
from schemas.backfill import BackfillJob, BackfillOrder
from schemas.identity import gap_id, stream_text
from schemas.intervals import DAY_US
from schemas.streams import StreamId
from tests.support.backfill_world import PARTITIONS, YAHOO_SPY, an_order, minute
from tests.support.builders import a_bar
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.sink_records import query
from tests.support.sink_writers import store

ALL = frozenset(range(PARTITIONS))
ROOM = {"yahoo": 10, "finnhub": 10}


@asynccontextmanager
async def workers(
    dsn: str, *owners: str, orders: Iterable[BackfillOrder] = ()
) -> AsyncIterator[list[Leases]]:
    """Give the leases of some workers on a queue that holds these orders."""
    async with pool(dsn, service="test") as opened:
        async with connection(opened, within_s=10.0) as asked:
            await queue.enqueue(asked, list(orders), partitions=PARTITIONS)
        yield [Leases(opened, owner=owner, partitions=PARTITIONS) for owner in owners]


async def state(dsn: str, order: BackfillOrder) -> tuple[str, int, str]:
    """Return state, attempts and reason of a job."""
    (row,) = await query(
        dsn, "SELECT state, attempts, reason FROM backfill_jobs WHERE job_id = $1", order.job_id
    )
    return row["state"], row["attempts"], row["reason"]


async def a_gap(dsn: str, low: int, high: int, state: str, series: StreamId = YAHOO_SPY) -> None:
    """Write a gap of some minutes."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            """INSERT INTO gaps (gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state,
                generation, expected, detector, known_from, raw_offset, idx, partition)
            VALUES ($1, $2, $3, $4, $5, to_timestamp($6), to_timestamp($7), 'producer_down', 'proven', $8, 0, 1, 'processor',
                now(), 1, 0, 0)""",
            gap_id(stream_text(series), minute(low)), stream_text(series), series.symbol, series.provider, series.interval,
            minute(low) / 1e6, minute(high) / 1e6, state,
        )  # fmt: skip
    finally:
        await connection.close()


async def test_a_job_is_held_by_one_and_beside_it_all_of_its_series(database: str) -> None:
    """Two workers never hold the same; what is of another series stays for the other."""
    orders = [an_order(n, n + 1) for n in range(5)] + [
        an_order(0, 1, StreamId("bars", "1m", "finnhub", "IBM"))
    ]
    async with workers(database, "a", "b", orders=orders) as (one, other):
        first = await one.claim(ALL, {"yahoo": 1}, "rank")
        first += await one.claim_beside(first)
        second = await other.claim(ALL, ROOM, "age")

        assert {job.order.job_id for job in first} == {order.job_id for order in orders[:5]}
        assert [job.order.job_id for job in second] == [orders[5].job_id]
        assert all(one.holds(job) and not other.holds(job) for job in first)
        assert await one.providers(ALL) == frozenset()


async def test_what_is_taken_along_is_held_like_any_other(database: str) -> None:
    """Looking takes nothing; who is quicker has it."""
    series = [StreamId("bars", "1m", "yahoo", symbol) for symbol in ("SPY", "IBM", "F")]
    async with workers(database, "a", "b", orders=[an_order(0, 1, each) for each in series]) as (one, other):
        first = await one.claim(ALL, {"yahoo": 1}, "rank")
        seen, seen_too = [await each.near(first, ALL, DAY_US) for each in (one, other)]
        assert not any(one.holds(job) for job in seen)
        taken = await one.claim_these(seen[:1])
        left = await other.claim_these(seen_too)

        assert len(seen) == len(seen_too) == 2
        assert [one.holds(job) for job in taken] == [True]
        assert {job.order.job_id for job in left} == {seen[1].order.job_id}
        assert all(other.holds(job) and not one.holds(job) for job in left)


async def test_what_another_took_after_a_lease_ran_out_is_ours_no_more(database: str) -> None:
    """Neither our renewal nor our ending changes what the other does."""
    async with workers(database, "a", "b", orders=[an_order()]) as (one, other):
        (mine,) = await one.claim(ALL, ROOM, "rank")
        await execute(database, "UPDATE backfill_jobs SET leased_until = now() - interval '1 s'")
        await other.revive()
        (theirs,) = await other.claim(ALL, ROOM, "rank")

        await one.end(mine, Ending(state="empty", reason="late word"))
        assert await state(database, mine.order) == ("running", 2, "its worker was lost")
        await other.end(theirs, Ending(state="done", rows=5, reason=""))
        assert await state(database, mine.order) == ("done", 2, "")
        assert not one.holds(mine)


async def test_leases_are_renewed_and_a_lost_one_is_noticed(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal moves the end of the lease; where the job was taken away it is held no more."""
    monkeypatch.setattr(module, "RENEW_EVERY_S", 0.05)
    async with workers(database, "a", orders=[an_order(), an_order(7, 9)]) as (one,):
        kept, lost = sorted(await one.claim(ALL, ROOM, "rank"), key=lambda job: job.order.from_time)
        await execute(database, "UPDATE backfill_jobs SET leased_until = now() + interval '1 s'")
        taken = "UPDATE backfill_jobs SET lease_owner = 'b' WHERE job_id = $1"
        await query(database, taken, lost.order.job_id)
        keeping = asyncio.create_task(one.keep())
        try:
            await eventually(lambda: not one.holds(lost), within_s=20.0)
        finally:
            keeping.cancel()
        (row,) = await query(
            database,
            "SELECT leased_until > now() + interval '30 s' AS later FROM backfill_jobs WHERE job_id = $1",
            kept.order.job_id,
        )
        assert (one.holds(kept), row["later"]) == (True, True)


async def test_what_never_began_counts_as_no_attempt(database: str) -> None:
    """A pause of a provider, or a symbol that moved on, is not the job's fault; a failure is."""
    async with workers(database, "a", orders=[an_order()]) as (one,):
        for counted, attempts, word in ((False, 0, "pause"), (True, 1, "503"), (False, 1, "pause")):
            (job,) = await one.claim(ALL, ROOM, "rank")
            await one.put_back(job, wait_s=300.0, reason=word, counted=counted)
            assert await state(database, job.order) == ("waiting", attempts, word)
            assert await one.claim(ALL, ROOM, "rank") == []
            await execute(database, "UPDATE backfill_jobs SET ready_time = now() - interval '1 s'")
            await one.revive()
        (job,) = await one.claim(ALL, ROOM, "rank")
        await one.hand_back_all("stopped")
        assert await state(database, job.order) == ("queued", 1, "stopped")
        assert not one.holds(job)


async def test_the_end_of_a_job_and_the_order_elsewhere_are_one(database: str) -> None:
    """Who lost the job orders nothing; what is ordered is the next one's series; what another fetches is not ordered again."""
    order = an_order(0, 5, tier="T0")
    async with workers(database, "a", "b", orders=[order]) as (one, _):
        (job,) = await one.claim(ALL, ROOM, "rank")
        stale = replace(job, attempts=9)
        one._hold([stale], 1e12)  # noqa: SLF001 - as one that was frozen
        elsewhere = order_elsewhere(order, ["yahoo", "finnhub"])
        assert elsewhere is not None
        await one.end(stale, Ending(state="empty", reason=""), elsewhere)
        assert len(await query(database, "SELECT 1 FROM backfill_jobs")) == 1
        one._hold([job], 1e12)  # noqa: SLF001
        await one.end(job, Ending(state="empty", reason="none"), elsewhere)

        rows = await query(
            database, "SELECT stream, state, origin, source, tier FROM backfill_jobs ORDER BY stream"
        )
        assert [tuple(row) for row in rows] == [
            ("bars.1m:finnhub:SPY", "queued", "gap", "elsewhere:yahoo", "T0"),
            ("bars.1m:yahoo:SPY", "empty", "gap", "sink", "T0"),
        ]


@pytest.mark.parametrize(("stored", "ordered"), [(5, False), (4, True), (0, True)])
async def test_nobody_is_asked_for_what_is_stored(database: str, stored: int, ordered: bool) -> None:
    """Every expected bar of the stretch must be there; a part is not enough."""
    order = an_order(0, 5)
    elsewhere = order_elsewhere(order, ["finnhub"])
    assert elsewhere is not None
    await bars(database, elsewhere.series, stored)
    async with workers(database, "a", orders=[order]) as (one,):
        (job,) = await one.claim(ALL, ROOM, "rank")
        await one.end(job, Ending(state="empty", reason=""), elsewhere)

    rows = await query(database, "SELECT 1 FROM backfill_jobs WHERE job_id = $1", elsewhere.job_id)
    assert bool(rows) == ordered


async def bars(dsn: str, series: StreamId, count: int) -> None:
    """Store minutes of a series as a sink does."""
    found: list[Any] = [
        a_bar(provider=series.provider, symbol=series.symbol, event_time=minute(n), known_from=minute(n) + 61_000_000, raw_offset=n)
        for n in range(count)
    ]  # fmt: skip
    if found:
        await store(dsn, found)


async def test_a_gap_is_looked_for_by_its_stretch(database: str) -> None:
    """Its name may have changed since: filled from the left it begins later."""
    jobs = [an_order(0, 5, gap_id="x"), an_order(6, 9, gap_id="y"), an_order(10, 12, gap_id="z")]
    await a_gap(database, 3, 5, "open")
    await a_gap(database, 6, 9, "filled")
    async with workers(database, "a", orders=jobs) as (one,):
        held: list[BackfillJob] = await one.claim(ALL, ROOM, "rank")
        assert await one.in_a_gap(held) == {jobs[0].job_id}


async def test_providers_with_jobs_are_found_whatever_they_are_called(database: str) -> None:
    """Of these partitions alone, and only of what waits for its turn."""
    orders = [an_order(0, 1, StreamId("bars", "1m", name, "SPY")) for name in ("zulu", "alpha", "mike")]
    async with workers(database, "a", orders=orders) as (one,):
        assert await one.providers(ALL) == {"zulu", "alpha", "mike"}
        await one.claim(ALL, {"mike": 1}, "rank")
        assert await one.providers(ALL) == {"zulu", "alpha"}
        (row,) = await query(database, "SELECT DISTINCT partition FROM backfill_jobs")
        assert await one.providers(ALL - {row["partition"]}) == frozenset()
