"""Partitions are made before the rows that go into them, each time for itself, and once."""

from __future__ import annotations

from typing import Any

import pytest

from infra.runtime.clock import wall_us
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.errors import Connection
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import TRADE_STREAM
from sinks.batch.batch import Rows, assemble
from sinks.store.shell.partitions import MAKE_PARTITIONS, TimePartitions
from sinks.store.shell.retention import Retention
from sinks.store.shell.session import open_connection
from tests.support.builders import NINE_THIRTY, a_bar, a_trade
from tests.support.received import a_part
from tests.support.sink_writers import a_batch, a_writer

MOST_OF_DAYS, MOST_OF_MONTHS = 1_400, 700
PARTS = "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass"


def trades_on(days: int) -> Rows:
    """Return a trade on each of the last so many days."""
    now = wall_us()
    records: list[Any] = [a_trade(event_time=now - day * DAY_US, index=day) for day in range(days)]
    return assemble([a_part(records)])[0].rows[0]


async def made(connection: Connection, table: str) -> int:
    """Return the number of partitions of a table."""
    return int(await connection.fetchval(PARTS, table))


async def test_every_day_of_a_batch_has_its_partition_afterwards(database: str) -> None:
    """However many, in calls of a bounded size; a second batch of the same days asks nothing."""
    async with open_connection(database) as connection:
        partitions = TimePartitions()
        await partitions.make(connection, [trades_on(70)], within_s=60.0)
        assert await made(connection, "trades") == 70
        await connection.execute("DROP FUNCTION make_partitions(text, timestamptz[], timestamptz)")
        await partitions.make(connection, [trades_on(70)], within_s=60.0)


async def test_both_tables_of_slots_are_made_and_others_are_left_alone(database: str) -> None:
    """A correction may come at any time; what is not cut by time has no partitions."""
    bars: list[Any] = [a_bar(event_time=NINE_THIRTY + n * MINUTE_US) for n in range(3)]
    async with open_connection(database) as connection:
        await TimePartitions().make(connection, assemble([a_part(bars)])[0].rows, within_s=60.0)

        assert [await made(connection, name) for name in ("bars", "bars_superseded", "trades")] == [1, 1, 0]
        assert await connection.fetchval(MAKE_PARTITIONS, "gaps", [NINE_THIRTY], NINE_THIRTY) == 0


@pytest.mark.parametrize("moment", [-1, 0, DAY_US - 1, DAY_US])
async def test_a_day_begins_at_midnight_utc(database: str, moment: int) -> None:
    """Whatever zone and style of dates the database has; in this one `IST` is written and read as another zone."""
    async with open_connection(database) as connection:
        await connection.execute("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'")
        await connection.fetchval(MAKE_PARTITIONS, "trades", [moment], moment)
        edges = [moment // DAY_US * DAY_US, moment // DAY_US * DAY_US + DAY_US - 1]
        row = "INSERT INTO trades VALUES (1, $1::timestamptz, 1, 1, 1, now(), now(), 0, NULL, '', '')"
        await connection.executemany(row, [[edge] for edge in edges])
        (name,) = await connection.fetchrow(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
        )

    assert name == {-1: "trades_19691231", DAY_US: "trades_19700102"}.get(moment, "trades_19700101")


async def test_a_partition_is_vacuumed_by_what_came_not_by_its_share(database: str) -> None:
    """Of a billion rows a fifth would be years; only then are index-only scans and freezing late, too."""
    async with open_connection(database) as connection:
        await connection.execute("SELECT make_partitions('trades', ARRAY[now()])")
        options = await connection.fetchval(
            "SELECT reloptions FROM pg_class WHERE relispartition AND relkind = 'r'"
        )

    assert {"autovacuum_vacuum_insert_scale_factor=0", "autovacuum_vacuum_insert_threshold=1000000"} <= set(
        options
    )


YEAR_US = 365 * DAY_US
EDGES = (
    "SELECT c.relname, (regexp_matches(pg_get_expr(c.relpartbound, c.oid), '\\d{4}-\\d\\d-\\d\\d', 'g'))[1] "
    "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = $1::regclass ORDER BY 2"
)


@pytest.mark.parametrize(
    ("table", "years_from_now", "name"),
    [
        ("trades", 0, "trades_20131007"), ("trades", -1.9, "trades_20111114"), ("trades", -2.1, "trades_201109"),
        ("trades", 0.5, "trades_201404"), ("trades", -29.9, "trades_198311"), ("trades", -31, "trades_1982"),
        ("trades", 1.5, "trades_2015"), ("trades", 180, "trades_2193"),
        ("bars", 0, "bars_201310"), ("bars", -2.1, "bars_201109"), ("bars", -31, "bars_1982"), ("bars", 2, "bars_2015"),
    ],
)  # fmt: skip
async def test_a_partition_is_as_wide_as_it_is_far_from_now(
    database: str, table: str, years_from_now: float, name: str
) -> None:
    """Days, or months of bars, where rows are expected."""
    moment = NINE_THIRTY + int(years_from_now * YEAR_US)
    async with open_connection(database) as connection:
        for made_now in (1, 0):
            assert await connection.fetchval(MAKE_PARTITIONS, table, [moment], NINE_THIRTY) == made_now
        (found,) = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
        )
        # whatever the clock says later, what is there is used
        assert await connection.fetchval(MAKE_PARTITIONS, table, [moment], moment) == 0

    assert found["relname"] == name


async def test_a_wide_partition_fills_the_room_between_narrow_ones(database: str) -> None:
    """Days that were made in their time stay; nothing laps over and nothing is left out."""
    first = NINE_THIRTY - NINE_THIRTY % DAY_US - 6 * DAY_US  # the first of October 2013
    async with open_connection(database) as connection:
        await connection.fetchval(MAKE_PARTITIONS, "trades", [first + n * DAY_US for n in (4, 9)], first)
        later = first + 3 * YEAR_US
        days = [first + n * DAY_US for n in range(-1, 32)]
        made_later = await connection.fetchval(MAKE_PARTITIONS, "trades", days, later)
        names = sorted({row["relname"] for row in await connection.fetch(EDGES, "trades")})

    assert made_later == 5
    assert names == [
        "trades_201309", "trades_20131001_20131005", "trades_20131005", "trades_20131006_20131010", "trades_20131010",
        "trades_20131011_20131101", "trades_201311",
    ]  # fmt: skip


@pytest.mark.timeout(0)
async def test_ten_thousand_days_make_few_partitions(database: str) -> None:
    """Of any day a record may name, in any order: all rows are stored and read back, and retention works on them."""
    now, first, end = wall_us(), -70 * YEAR_US, 230 * YEAR_US - 60 * DAY_US
    step = (end - first) // 10_000
    scattered = [first + (n * 7_919 % 10_000) * step for n in range(10_000)]
    recent = [now - n * DAY_US for n in range(40)]
    records = [
        a_trade(event_time=t, raw_offset=n, trade_id=str(n)) for n, t in enumerate([*scattered, *recent])
    ]
    async with a_writer(database) as writer:
        await writer.write(a_batch(writer, *records))

    async with open_connection(database) as connection:
        assert await made(connection, "trades") <= MOST_OF_DAYS
        stored = await connection.fetch("SELECT event_time FROM v_trades ORDER BY event_time")
        assert [row["event_time"] for row in stored] == sorted([*scattered, *recent])
        of_a_day = "SELECT count(*) FROM v_trades WHERE event_time >= $1 AND event_time < $2"
        for moment in scattered[::500]:
            start = moment - moment % DAY_US
            expected = sum(start <= t < start + DAY_US for t in [*scattered, *recent])
            assert await connection.fetchval(of_a_day, start, start + DAY_US) == expected
        async with postgres.pool(database, service="test", size=1) as pool:
            retention = Retention(pool, days={}, keep_days={"trades": 30.0})
            while await retention.drop(TRADE_STREAM, now):
                continue
        left = [row["event_time"] for row in await connection.fetch("SELECT event_time FROM v_trades")]
        floor = await connection.fetchval("SELECT floor FROM retention_floors")

    kept = [t for t in [*scattered, *recent] if t >= floor]
    assert sorted(left) == sorted(kept)
    assert now - 32 * DAY_US < floor <= now - 30 * DAY_US


async def test_all_times_there_are_make_a_bounded_number(database: str) -> None:
    """Every day near now, some of every month before and after."""
    now = NINE_THIRTY + 13 * YEAR_US
    async with open_connection(database) as connection:
        for table, most in (("trades", MOST_OF_DAYS), ("bars", MOST_OF_MONTHS)):
            near = range(now // DAY_US - 3 * 365, now // DAY_US + 2 * 365)
            days = [*near, *range(-70 * 365, 84_000, 25)]
            await connection.fetchval(MAKE_PARTITIONS, table, [day * DAY_US for day in days[1::2]], now)
            await connection.fetchval(MAKE_PARTITIONS, table, [day * DAY_US for day in days[::2]], now)
            assert most - 100 < await made(connection, table) <= most
