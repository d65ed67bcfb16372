"""How complete the store is, followed in a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import PART, Watermarks
from gateway.http.problems import Problem
from infra.runtime.clock import wall_us
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import pool
from schemas.intervals import HOUR_US, SECOND_US
from schemas.topics import BARS
from tests.conftest import free_port
from tests.support.eventually import eventually

WITHIN_S = 20.0


async def mark(dsn: str, partition: int, moment: int) -> None:
    """Move a watermark, as a sink does."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO watermarks (topic, partition, complete_before)"
            " VALUES ($1, $2, to_timestamp($3::double precision / 1000000))"
            " ON CONFLICT (topic, partition) DO UPDATE SET complete_before = excluded.complete_before",
            BARS, partition, moment,
        )  # fmt: skip
    finally:
        await connection.close()


@asynccontextmanager
async def following(dsn: str) -> AsyncIterator[tuple[Watermarks, Health]]:
    async with pool(dsn, service="test", size=3) as opened:
        marks, health = Watermarks(Snapshots(opened, concurrent=2)), Health()
        running = asyncio.ensure_future(marks.follow(health))
        try:
            yield marks, health
        finally:
            running.cancel()


async def test_the_store_is_complete_as_far_as_its_slowest_partition(database: str) -> None:
    """A partition without a watermark says nothing at all."""
    now = wall_us() // SECOND_US * SECOND_US
    await mark(database, 0, now - HOUR_US)
    await mark(database, 1, now)
    async with following(database) as (marks, health):
        await eventually(lambda: marks.through([BARS], [0, 1]) == now - HOUR_US - 1, within_s=WITHIN_S)

        assert marks.through([BARS], [1]) == now - 1
        assert marks.through([BARS], [0, 1, 2]) is None
        assert health.parts[PART].ready


async def test_who_waits_is_woken_when_it_is_reached_and_refused_when_it_is_not(database: str) -> None:
    """A moment that is complete already is not waited for."""
    now = wall_us() // SECOND_US * SECOND_US
    await mark(database, 0, now)
    async with following(database) as (marks, _):
        await eventually(lambda: marks.through([BARS], [0]) == now - 1, within_s=WITHIN_S)
        await marks.reached(now - 1, [BARS], [0])
        waiting = asyncio.ensure_future(marks.reached(now + HOUR_US - 1, [BARS], [0]))
        await asyncio.sleep(0)
        await mark(database, 0, now + HOUR_US)
        await asyncio.wait_for(waiting, WITHIN_S)

        with pytest.raises(Problem) as refused:
            await marks.reached(now + 2 * HOUR_US, [BARS], [0])
    assert refused.value.status == 503


async def test_it_is_ready_while_readers_hold_every_connection_of_theirs(database: str) -> None:
    """Slow reads are no outage: `as_of` moves on, and the process stays in the rotation."""
    now = wall_us() // SECOND_US * SECOND_US
    await mark(database, 0, now)
    async with pool(database, service="test", size=2) as opened:
        store, health = Snapshots(opened, concurrent=1), Health()
        marks = Watermarks(store)
        async with store.snapshot() as held:
            await held.knows("SPY")
            running = asyncio.ensure_future(marks.follow(health))
            await eventually(lambda: marks.through([BARS], [0]) == now - 1, within_s=3)
            running.cancel()
        with pytest.raises(ValueError, match="0 connections are left"):
            store.apart(concurrent=1)

    assert health.parts[PART].ready


async def test_without_its_database_it_is_not_ready_and_says_why() -> None:
    """Nothing is known, which is no answer to anybody."""
    dsn = f"postgresql://mds:mds@127.0.0.1:{free_port()}/mds"
    async with following(dsn) as (marks, health):
        await eventually(lambda: "error" in health.parts[PART].detail, within_s=WITHIN_S)

        assert not health.parts[PART].ready
        assert marks.through([BARS], [0]) is None
        assert marks.document() == {"seconds_since_read": None, "marks": []}
