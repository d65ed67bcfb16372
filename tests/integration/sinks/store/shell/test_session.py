"""The connection a sink writes with: its deadline, its errors, and times as integers."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from infra.runtime.postgres.errors import refuses_data
from infra.runtime.postgres.session import copy, deadline
from schemas.errors import ConfigurationError, StoreOverrun, StoreUnavailable
from sinks.store.shell.session import open_connection
from tests.conftest import free_port
from tests.support.databases import with_database

LATE_US = 4_102_444_800_123_456  # 2100, with microseconds


@pytest.mark.parametrize("moment", [LATE_US, 0, -1, 1_381_152_600_000_001])
async def test_times_pass_to_the_microsecond_both_ways(database: str, moment: int) -> None:
    """As µs since the Unix epoch, also before it."""
    async with open_connection(database) as connection:
        back = await connection.fetchval("SELECT $1::timestamptz", moment)
        text = await connection.fetchval(
            "SELECT (extract(epoch FROM $1::timestamptz) * 1000000)::bigint", moment
        )

    assert (back, text) == (moment, moment)


async def test_what_takes_too_long_is_cut_off_and_is_an_outage(database: str) -> None:
    """The connection is of no more use: a frozen server would never answer a cancel request."""
    async with open_connection(database) as connection:
        with pytest.raises(StoreOverrun):
            async with deadline(connection, within_s=0.3):
                await connection.execute("SELECT pg_sleep(60)")
        assert connection.is_closed()


async def test_an_error_about_the_data_passes_and_leaves_the_connection(database: str) -> None:
    """The row it is about is looked for with the same connection."""
    async with open_connection(database) as connection:
        with pytest.raises(asyncpg.DataError):
            async with deadline(connection, within_s=10):
                await connection.fetchval("SELECT 'x'::text::integer")

        assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize(
    ("statement", "values", "data"),
    [
        pytest.param("SELECT $1::integer", ["x"], True, id="a value of another type"),
        pytest.param("SELECT $1::integer", [1 << 40], True, id="a value out of range"),
        pytest.param("SELECT $1::integer", [1, 2], False, id="too many values"),
        pytest.param("SELEC 1", [], False, id="no SQL"),
    ],
)
async def test_a_fault_of_our_own_passes_and_is_no_outage(
    database: str, statement: str, values: list[object], data: bool
) -> None:
    """A wrong number of arguments used to be waited for, for ever; a value no column takes is the record's matter."""
    async with open_connection(database) as connection:
        with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresError)) as raised:
            async with deadline(connection, within_s=10):
                await connection.fetch(statement, *values)

        assert refuses_data(raised.value) == data
        assert not connection.is_closed()


async def test_what_an_operator_must_change_is_told_as_such(database: str) -> None:
    """A database or a table that is not there does not come by waiting."""
    with pytest.raises(ConfigurationError, match="MDS_POSTGRES_DSN"):
        async with open_connection(with_database(database, "nosuch")):
            pass
    async with open_connection(database) as connection:
        with pytest.raises(ConfigurationError, match="mds migrate"):
            async with deadline(connection, within_s=10):
                await connection.execute("SELECT * FROM nosuch")


async def test_nobody_there_is_an_outage() -> None:
    """It is asked whether it is up."""
    with pytest.raises(StoreUnavailable, match="is it up"):
        async with open_connection(f"postgresql://mds:mds@127.0.0.1:{free_port()}/mds"):
            pass


async def test_a_copy_that_is_no_copy_is_refused_whole(database: str) -> None:
    """The input is complete before COPY begins; what is broken stores nothing."""
    async with open_connection(database) as connection:
        with pytest.raises(asyncpg.DataError):
            await copy(connection, "trades", ["venue"], b"PGCOPY but not quite")

        assert await connection.fetchval("SELECT count(*) FROM v_trades") == 0


async def test_the_staging_tables_are_this_connections_own(database: str) -> None:
    """Two sinks stage beside each other; rows live as long as their transaction."""
    async with open_connection(database) as first, open_connection(database) as second:
        async with first.transaction():
            await first.execute(
                "INSERT INTO staged_trades SELECT * FROM trades LIMIT 0; SELECT count(*) FROM staged_trades"
            )
        counts = await asyncio.gather(
            *(each.fetchval("SELECT count(*) FROM staged_trades") for each in (first, second))
        )

    assert counts == [0, 0]


async def test_who_only_reads_reads_the_views_and_no_table(database: str) -> None:
    """The role of the public contract; a table is private, and a view is read with its owner's rights."""
    async with open_connection(database) as connection:
        await connection.execute("SET ROLE mds_reader")
        for name in (
            "v_bars",
            "v_bars_all",
            "v_bars_forming",
            "v_quotes",
            "v_quotes_latest",
            "v_trades",
            "v_streams",
            "v_gaps",
        ):
            assert await connection.fetch(f"TABLE {name}") == []
        for name in ("bars", "streams", "gaps", "outbox"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"TABLE {name}")
