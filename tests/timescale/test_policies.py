"""Compression and retention by the jobs that do them, run now."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from infra.runtime.clock import wall_us
from schemas.intervals import DAY_US, MINUTE_US
from sinks.store.shell.retention import DROP_BEFORE
from sinks.store.shell.rows import WritePath
from tests.support.builders import a_quote, a_trade
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge
from tests.support.timescale_rows import run_job, store, timescale_database, values

AGES = (1, 30, 400)  # days
COMPRESSED = """
    SELECT bool_and(is_compressed) FROM timescaledb_information.chunks
    WHERE hypertable_name = $1 AND range_start <= $2 AND range_end > $2"""
OLDEST = "SELECT min(event_time) FROM {}"


@pytest.fixture(scope="module")
def now_us(timescale_process: Bridge) -> int:
    """When the rows were stored that the jobs find: some of a day, a month and more than a year ago."""
    now = wall_us() // MINUTE_US * MINUTE_US

    async def fill() -> None:
        await timescale_database(timescale_process)
        for days in AGES:
            old = now - days * DAY_US
            minutes = [
                a_minute(0, event_time=old + at * MINUTE_US, raw_offset=days * 1_000 + at) for at in range(10)
            ]
            await store(timescale_process, minutes)
            fixed = [a_minute(0, event_time=old, close=9.0, raw_offset=days * 1_000 + 500)]
            await store(timescale_process, fixed, WritePath.STAGED)
            await store(timescale_process, [a_quote(event_time=old, raw_offset=days)])
            await store(timescale_process, [a_trade(event_time=old, raw_offset=days)])
        reached = "UPDATE streams SET start_time = $1::timestamptz, last_seen = $2::timestamptz"
        await values(timescale_process, reached, now - AGES[-1] * DAY_US, now - AGES[0] * DAY_US)

    asyncio.run(fill())
    return now


@pytest.mark.parametrize("table", ["bars", "bars_superseded", "quotes", "trades"])
async def test_what_is_older_than_two_weeks_is_compressed(
    timescale_process: Bridge, now_us: int, table: str
) -> None:
    """By series; what is younger stays as it was written."""
    await run_job(timescale_process, "policy_compression", table)

    found = [await values(timescale_process, COMPRESSED, table, now_us - days * DAY_US) for days in AGES]
    assert found == [[(False,)], [(True,)], [(True,)]]
    settings = "SELECT segmentby, orderby FROM timescaledb_information.hypertable_compression_settings WHERE hypertable = $1::regclass"
    assert await values(timescale_process, settings, table) == [("stream_id", 'event_time,"position"')]


async def test_bars_of_more_than_a_year_go_with_all_that_was_made_of_them(
    timescale_process: Bridge, now_us: int
) -> None:
    """Current and replaced versions and both aggregates at once; the floor says from when on there are any."""
    bridge: Any = timescale_process
    for name in ("bars_5m", "bars_30m"):
        await bridge.execute(f"CALL refresh_continuous_aggregate('{name}', NULL, NULL)")
    names = ("bars", "bars_superseded", "bars_5m", "bars_30m")
    before = [await bridge.fetchval(OLDEST.format(name)) for name in names]
    await run_job(bridge, "drop_old_bars")

    after = [await bridge.fetchval(OLDEST.format(name)) for name in names]
    floor = await bridge.fetchval("SELECT floor FROM retention_floors WHERE kind = 'bars'")
    assert all(oldest < now_us - 399 * DAY_US for oldest in before)
    assert all(floor <= oldest <= now_us - 30 * DAY_US for oldest in after)
    assert now_us - 400 * DAY_US < floor <= now_us - 365 * DAY_US
    assert await bridge.fetchval(OLDEST.format("trades")) < floor  # of those nobody said how long


async def test_other_streams_are_kept_for_as_long_as_the_setting_of_sinks_says(
    timescale_process: Bridge, now_us: int
) -> None:
    """Their statement is the one of plain PostgreSQL; asked again it drops nothing."""
    bridge: Any = timescale_process
    dropped = [await bridge.fetchval(DROP_BEFORE, "quotes", ["quotes"], now_us, 20.0) for _ in range(2)]

    assert dropped == [2, 0]
    assert await values(bridge, "SELECT event_time FROM v_quotes") == [(now_us - DAY_US,)]
    assert await values(bridge, "SELECT kind FROM retention_floors ORDER BY 1") == [("bars",), ("quotes",)]


async def test_each_table_has_its_policies_and_no_index_of_times_alone(
    timescale_process: Bridge, now_us: int
) -> None:
    """A policy of retention for each table would part versions from those that replaced them: there is none."""
    jobs = "SELECT proc_name, count(*) FROM timescaledb_information.jobs WHERE job_id >= 1000 GROUP BY 1 ORDER BY 1"
    assert await values(timescale_process, jobs) == [
        ("drop_old_bars", 1), ("policy_compression", 6), ("policy_refresh_continuous_aggregate", 2),
    ]  # fmt: skip
    indexes = (
        "SELECT count(*) FROM pg_indexes WHERE tablename IN ('bars', 'bars_superseded', 'quotes', 'trades')"
    )
    assert await values(timescale_process, indexes) == [
        (7,)
    ]  # a key each, and by knowledge but of what was replaced
