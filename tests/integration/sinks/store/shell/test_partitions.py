"""Partitions are made before the rows that go into them, each time for itself, and once."""

from __future__ import annotations

from typing import Any

import pytest

from infra.runtime.postgres.errors import Connection
from schemas.intervals import DAY_US, MINUTE_US
from sinks.batch.batch import Rows, assemble
from sinks.store.shell.partitions import MAKE_PARTITIONS, TimePartitions
from sinks.store.shell.session import open_connection
from tests.support.builders import NINE_THIRTY, a_bar, a_trade
from tests.support.received import a_part

PARTS = "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass"


def trades_on(days: int) -> Rows:
    """Return a trade on each of so many days."""
    records: list[Any] = [a_trade(event_time=NINE_THIRTY + day * DAY_US, index=day) for day in range(days)]
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
        await connection.execute("DROP FUNCTION make_partitions")
        await partitions.make(connection, [trades_on(70)], within_s=60.0)


async def test_both_tables_of_slots_are_made_and_others_are_left_alone(database: str) -> None:
    """A correction may come at any time; what is not cut by time has no partitions."""
    bars: list[Any] = [a_bar(event_time=NINE_THIRTY + n * MINUTE_US) for n in range(3)]
    async with open_connection(database) as connection:
        await TimePartitions().make(connection, assemble([a_part(bars)])[0].rows, within_s=60.0)

        assert [await made(connection, name) for name in ("bars", "bars_superseded", "trades")] == [1, 1, 0]
        assert await connection.fetchval(MAKE_PARTITIONS, "gaps", [NINE_THIRTY]) == 0


@pytest.mark.parametrize("moment", [-1, 0, DAY_US - 1, DAY_US])
async def test_a_day_begins_at_midnight_utc(database: str, moment: int) -> None:
    """Whatever zone and style of dates the database has; in this one `IST` is written and read as another zone."""
    async with open_connection(database) as connection:
        await connection.execute("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'")
        await connection.fetchval(MAKE_PARTITIONS, "trades", [moment])
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
