"""Acts on the backfill queue in a real PostgreSQL: noted in their own transaction, and never a table read whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres import backfill_acts, backfill_listing, backfill_queue
from infra.runtime.postgres.backfill_acts import Wish, last_act, place, purge, requeue
from infra.runtime.postgres.universe import NEWEST
from schemas.backfill import BackfillOrder, asked_id
from schemas.clocks import EventTime, WallTime
from schemas.intervals import MINUTE_US
from schemas.streams import StreamId
from schemas.universe import TIERS
from tests.support.backfill_jobs import acts, filled, job_id, opened
from tests.support.builders import NINE_THIRTY
from tests.support.plans import plan_of

SERIES = StreamId("bars", "1m", "yahoo", "SPY")
LATE = WallTime(4_000_000_000_000_000)
LONG_AGO, TO_COME = "timestamptz '2001-01-01'", "timestamptz '2099-01-01'"
IDS = f"'{job_id(80_007)}'"
LISTED = f"'{{dead,done,unrecoverable,empty}}', {TO_COME}, 'x', 101"
# Each statement with values that find much, and with such that find little.
ASKED: dict[str, tuple[str, ...]] = {
    "acts.QUEUED": ("'T1', 5000", "'T0', 5000"),
    "acts.REQUESTED": ("'ann', 'k7'", "'nobody', 'k7'"),
    "acts.LAST_ACT": (IDS, "'nothing'"),
    "acts.LOCK_JOB": (IDS,),
    "acts.REQUEUE": (IDS,),
    "acts.RAISE": (f"{IDS}, 'T0', 1",),
    "acts.PURGEABLE": (f"'dead', {TO_COME}, 5000", f"'empty', {LONG_AGO}, 5000"),
    "acts.PURGE": (f"'dead', {TO_COME}, 100", f"'empty', {LONG_AGO}, 100"),
    "acts.FORGET": ("30, 100", "9999, 100"),
    "queue.POSITION": (IDS, f"'{job_id(118_000)}'"),
    "queue.COVERING": ("'bars.1m:yahoo:S8', timestamptz '2013-10-07', timestamptz '2013-10-08'",),
    "listing.ENDED_JOBS": (LISTED, LISTED.replace(TO_COME, LONG_AGO)),
    "listing.ENDED_JOBS_OF_SYMBOL": (f"{LISTED}, 'S7'", f"{LISTED}, 'NOPE'"),
    "listing.PACE": (f"2000000, 1000, {IDS}", f"1, 1000, {IDS}"),
    "listing.TIER_PACE": ("2000000, 1000, 'T1'", "1, 1000, 'T0'"),
    "listing.USED_TODAY": ("'yahoo'",),
    "universe.NEWEST": ("'SPY'",),
}  # fmt: skip


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a database of this test alone."""
    borrowed = await opened(database)
    yield borrowed
    await borrowed.close()


def a_wish(number: int, *, key: str = "", actor: str = "ann") -> Wish:
    """Return the wish for the minute `number`."""
    begin = EventTime(NINE_THIRTY + number * MINUTE_US)
    order = BackfillOrder(
        job_id=asked_id(SERIES, begin, EventTime(begin + MINUTE_US), f"{actor} {key} {number}"), series=SERIES, from_time=begin,
        to_time=EventTime(begin + MINUTE_US), tier="T1", origin="user", source=actor,
    )  # fmt: skip
    return Wish(order=order, actor=actor, key=key, content=f"minute {number}")


async def test_an_act_that_is_rolled_back_leaves_no_row(connection: asyncpg.Connection[Any]) -> None:
    """Neither of what was done, nor that it was; what a key stands for goes with it."""
    await filled(connection, "dead", 3, first=500)
    for attempt in range(2):
        transaction = connection.transaction()
        await transaction.start()
        placed = await place(connection, a_wish(1, key="k"), partitions=4, most=10)
        assert placed.is_new, attempt
        assert (await requeue(connection, job_id(500), actor="ann", limits=dict.fromkeys(TIERS, 9))).done
        assert await purge(connection, "dead", LATE, actor="ann", limit=1) == 1
        assert len(await acts(connection)) == 3
        await transaction.rollback()
    assert await acts(connection) == []
    assert await connection.fetchval("SELECT count(*) FROM backfill_jobs") == 3
    assert await connection.fetchval("SELECT count(*) FROM backfill_requests") == 0


async def test_the_newest_act_of_a_job_is_told(connection: asyncpg.Connection[Any]) -> None:
    """And no act can be taken back."""
    await filled(connection, "unrecoverable", 1)
    for actor in ("ann", "bob"):
        await requeue(connection, job_id(0), actor=actor, limits=dict.fromkeys(TIERS, 9))
        await connection.execute("UPDATE backfill_jobs SET state = 'dead', finished_time = now()")
    newest = await last_act(connection, job_id(0))
    assert newest is not None and (newest.actor, newest.act) == ("bob", "backfill.requeue")
    with pytest.raises(asyncpg.RaiseError):
        await connection.execute("DELETE FROM audit_acts")


async def test_what_a_key_stands_for_is_kept_for_thirty_days(connection: asyncpg.Connection[Any]) -> None:
    """Older ones go, a hundred at each request at most."""
    fill = "INSERT INTO backfill_requests SELECT 'ann', 'old' || n, '', '', now() - interval '31 days' FROM generate_series(1, 150) n"
    await connection.execute(fill)
    for left in (51, 2):
        async with connection.transaction():
            await place(connection, a_wish(left, key=f"new{left}"), partitions=4, most=10)
        assert await connection.fetchval("SELECT count(*) FROM backfill_requests") == left


async def test_no_statement_reads_a_large_table_whole(connection: asyncpg.Connection[Any]) -> None:
    """With 10^5 jobs, keys, acts and changes of the universe, whichever state most jobs are in."""
    for number, (state, count) in enumerate(
        (("dead", 30_000), ("done", 30_000), ("queued", 39_000), ("unrecoverable", 1_000))
    ):
        await filled(connection, state, count, first=number * 40_000)  # type: ignore[arg-type]
    await connection.execute(
        "INSERT INTO backfill_requests SELECT 'ann', 'k' || n, '', '', now() - n * interval '1 minute' FROM generate_series(1, 100000) n"
    )
    await connection.execute(
        "INSERT INTO audit_acts (acted_time, actor, act, subject, detail) SELECT now(), 'ann', 'backfill.requeue', lpad(to_hex(n), 16, '0'), '{}' FROM generate_series(1, 100000) n"
    )
    await connection.execute(
        "INSERT INTO universe_changes SELECT n, 'S' || n, 'T1', '{bars}', '', now(), 'test' FROM generate_series(1, 20000) n"
    )
    await connection.execute("ANALYZE")
    homes = {"acts": backfill_acts, "listing": backfill_listing, "queue": backfill_queue}
    for name, values in ASKED.items():
        home, _, constant = name.partition(".")
        statement = NEWEST if home == "universe" else getattr(homes[home], constant)
        for each in values:
            undone = connection.transaction()
            await undone.start()
            plan = await plan_of(connection, statement, each)
            await undone.rollback()
            assert plan.is_bounded, (name, each, plan)
