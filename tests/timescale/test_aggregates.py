"""Bars of 5 and 30 minutes: equal to the same grouping of plain rows, at every moment of knowledge, refreshed or not."""

# ruff: noqa: S608 - names of this file only
from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from infra.runtime.clock import wall_us
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import BAR_STREAM, Bar
from schemas.tables import packed
from sinks.store.shell.rows import WritePath
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge
from tests.support.timescale_rows import run_job, store, timescale_database, values

MINUTES = {"5m": 5, "30m": 30}
SPAN = 120  # minutes of market
SYMBOLS = ("AAA", "BBB")
READY = "SELECT * FROM bars_of_minutes($1, 'yahoo', $2, $3::timestamptz, $4::timestamptz, $5::timestamptz)"
GROUPED = """
    SELECT to_timestamp(0) + floor(extract(epoch FROM event_time) / (60 * $2::int)) * (60 * $2::int) * interval '1 second' AS bucket,
        (flags & 255)::smallint, currency, (array_agg(open ORDER BY event_time))[1], max(high), min(low),
        (array_agg(close ORDER BY event_time DESC))[1], sum(volume), count(*), count(*) FILTER (WHERE flags & 1792 = 256),
        max(known_from), max(position)
    FROM (
        SELECT DISTINCT ON (event_time) r.*
        FROM (SELECT * FROM bars UNION ALL SELECT * FROM bars_superseded) r
        WHERE r.stream_id = stream_id_of('bars', '1m', 'yahoo', $1) AND r.known_from <= $5::timestamptz
          AND r.event_time >= $3::timestamptz AND r.event_time < $4::timestamptz
        ORDER BY event_time, r.position DESC
    ) known GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


@pytest.fixture(scope="module")
def start_us(timescale_process: Bridge) -> int:
    """The first minute of a market of three days ago: on a half hour, with holes, extended hours and two currencies."""
    start = (wall_us() - 3 * DAY_US) // (60 * MINUTE_US) * 60 * MINUTE_US
    chance = random.Random(1)

    async def fill() -> None:
        await timescale_database(timescale_process)
        for symbol in SYMBOLS:
            bars = [
                bar(start, symbol, number, chance)
                for number in range(SPAN)
                if symbol == "AAA" or chance.random() < 0.8
            ]
            await store(timescale_process, bars)
        await store(timescale_process, [bar(start, "STILL", number, chance) for number in range(SPAN)])
        hours = [
            a_minute(
                0,
                symbol="AAA",
                interval="1h",
                event_time=start,
                volume=1e9,
                known_from=start,
                raw_offset=9_000,
            )
        ]
        await store(timescale_process, hours)

    asyncio.run(fill())
    return start


def bar(start: int, symbol: str, number: int, chance: random.Random, **changes: Any) -> Bar:
    """Return the bar of a minute, known when it has ended."""
    low = 100 + chance.randrange(50) / 8
    given: dict[str, Any] = {
        "open": low + 1, "high": low + chance.randrange(2, 9), "low": low, "close": low + 0.5,
        "volume": float(chance.randrange(10_000)), "session": "pre" if number < 60 else "regular",
        "currency": "EUR" if symbol == "BBB" and number >= 70 else "USD", "raw_offset": number,
        "route": "shadow" if symbol == "BBB" and number % 50 == 0 else "primary",
        "known_from": start + (number + 1) * MINUTE_US, "received_time": start + (number + 1) * MINUTE_US,
    }  # fmt: skip
    return a_minute(0, symbol=symbol, event_time=start + number * MINUTE_US, **(given | changes))


async def refresh(bridge: Bridge) -> None:
    """Do what the policies do, in their order."""
    for name in ("bars_5m", "bars_30m"):
        job = await bridge.fetchval(
            "SELECT j.job_id FROM timescaledb_information.jobs j JOIN timescaledb_information.continuous_aggregates a"
            " ON a.materialization_hypertable_name = j.hypertable_name OR a.view_name = j.hypertable_name"
            " WHERE j.proc_name = 'policy_refresh_continuous_aggregate' AND a.view_name = $1",
            name,
        )
        await bridge.execute(f"CALL run_job({job})")


async def assert_equal(bridge: Bridge, start: int, as_of: int) -> None:
    """Assert that aggregates and rows say the same of a moment of knowledge."""
    for symbol in SYMBOLS:
        for interval, minutes in MINUTES.items():
            ready = await values(bridge, READY, symbol, interval, start, start + SPAN * MINUTE_US, as_of)
            grouped = await values(bridge, GROUPED, symbol, minutes, start, start + SPAN * MINUTE_US, as_of)
            assert ready == grouped, (symbol, interval)
            assert ready or as_of <= start


async def test_they_equal_the_grouping_of_rows_before_and_after_each_refresh(
    timescale_process: Bridge, start_us: int
) -> None:
    """Also of a moment at which some rows were not known yet, and while late rows wait for the next refresh."""
    chance = random.Random(2)
    latest = start_us + 2 * DAY_US
    moments = [start_us + 33 * MINUTE_US, start_us + DAY_US, latest]
    for turn in range(1, 3):
        for as_of in moments:
            await assert_equal(timescale_process, start_us, as_of)
        await refresh(timescale_process)
        for as_of in moments:
            await assert_equal(timescale_process, start_us, as_of)
        known = start_us + DAY_US + turn * MINUTE_US
        late = [
            bar(
                start_us,
                symbol,
                chance.randrange(SPAN),
                chance,
                raw_offset=1_000 * turn + number,
                known_from=known,
                currency=chance.choice(("USD", "EUR")),
            )
            for number in range(12)
            for symbol in SYMBOLS
        ]
        await store(timescale_process, late, WritePath.STAGED)
        moments += [known - 1, known]


async def test_what_is_whole_and_unchanged_is_read_from_the_aggregate(
    timescale_process: Bridge, start_us: int
) -> None:
    """Not from the rows: what is written into the aggregate alone is seen until a late row comes to its bucket."""
    bridge: Any = timescale_process
    await refresh(bridge)
    where = "event_time = $1::timestamptz AND stream_id = stream_id_of('bars', '1m', 'yahoo', 'STILL')"
    for interval, minute in (("5m", 40), ("30m", 60)):
        bucket = start_us + minute * MINUTE_US
        at = ("STILL", interval, bucket, bucket + MINUTE_US)
        table = await bridge.fetchval(
            "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
            " FROM timescaledb_information.continuous_aggregates WHERE view_name = $1",
            f"bars_{interval}",
        )
        known = await bridge.fetchval(f"SELECT known_from FROM {table} WHERE {where}", bucket)
        await bridge.fetch(f"UPDATE {table} SET high = 777 WHERE {where}", bucket)

        ((*_, high, _, _, _, minutes, _, _, _),) = await values(bridge, READY, *at, known)
        assert (high, minutes) == (777.0, MINUTES[interval])
        assert (await values(bridge, READY, *at, known - 1))[0][4] != 777.0
        correction = [
            bar(
                start_us,
                "STILL",
                minute,
                random.Random(3),
                raw_offset=90_000 + minute,
                known_from=known + DAY_US,
            )
        ]
        await store(bridge, correction, WritePath.STAGED)
        assert (await values(bridge, READY, *at, known))[0][4] != 777.0


async def test_no_series_of_another_interval_is_read(timescale_process: Bridge, start_us: int) -> None:
    """A bar of an hour begins where one of its minutes does."""
    of_hours = "SELECT count(*) FROM bars_5m WHERE volume = 1e9"
    bars = await values(
        timescale_process, READY, "AAA", "5m", start_us, start_us + DAY_US, start_us + 3 * DAY_US
    )

    assert await values(timescale_process, of_hours) == [(1,)]
    assert all(row[7] < 1e9 for row in bars)


async def test_the_bits_that_part_bars_are_those_of_the_declaration(
    timescale_process: Bridge, start_us: int
) -> None:
    """All but the route; of it the aggregates count the shadow polls."""
    bits = {each.name: each for each in packed(BAR_STREAM)}
    route = bits.pop("route")
    shadow = route.symbols.index("shadow") << route.shift
    ((definition,),) = await values(
        timescale_process,
        "SELECT view_definition FROM timescaledb_information.continuous_aggregates WHERE view_name = 'bars_5m'",
    )

    assert f"(flags)::integer & {sum(each.mask for each in bits.values())})" in definition
    assert f"(flags)::integer & {route.mask}) = {shadow})" in definition


async def test_compressed_aggregates_say_the_same(timescale_process: Bridge, start_us: int) -> None:
    """Their rows are compressed later than the rows beneath them."""
    bridge: Any = timescale_process
    await refresh(bridge)
    for name in ("bars_5m", "bars_30m"):
        await bridge.execute(f"SELECT compress_chunk(c) FROM show_chunks('{name}') c")

    await assert_equal(bridge, start_us, start_us + 2 * DAY_US)
    await run_job(bridge, "policy_refresh_continuous_aggregate")
    await assert_equal(bridge, start_us, start_us + 2 * DAY_US)
