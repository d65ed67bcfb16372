"""Tables derived from the declarations are those the migrations made, and a database without one is refused."""

from __future__ import annotations

import asyncpg
import pytest

from schemas.errors import ConfigurationError
from schemas.streams import STREAMS, Stream
from schemas.tables import create_tables, tables
from sinks.store.shell.session import open_connection
from tests.support.sink_records import query

COLUMNS = """
    SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns
    WHERE table_schema = $1 AND table_name = $2
"""
KEY = """
    SELECT a.attname FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indisprimary AND i.indrelid = to_regclass($1) ORDER BY array_position(i.indkey::int2[], a.attnum)
"""


async def declared(dsn: str, schema: str, table: str) -> tuple[list[tuple[object, ...]], list[str]]:
    """Return the columns of a table, in any order, and its primary key."""
    columns = [tuple(row.values()) for row in await query(dsn, COLUMNS, schema, table)]
    key = [row["attname"] for row in await query(dsn, KEY, f"{schema}.{table}")]
    return sorted(columns, key=str), key


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
async def test_the_derived_tables_are_those_of_the_migrations(database: str, stream: Stream) -> None:
    """Columns, types, nulls, collations and keys: the SQL printed for a new stream makes what a sink needs."""
    await query(database, "CREATE SCHEMA derived")
    there = await asyncpg.connect(database, server_settings={"search_path": "derived, public"})
    await there.execute(create_tables(stream))
    await there.close()

    for table in tables(stream).all:
        found = await declared(database, "derived", table)

        assert found == await declared(database, "public", table)
        assert len(found[0]) > len(found[1]) > 0


async def test_a_sink_names_the_stream_whose_tables_a_database_lacks(database: str) -> None:
    """Before anything is read: with what is missing, and what to run."""
    await query(database, "ALTER TABLE bars_superseded DROP COLUMN vwap CASCADE")
    await query(database, "DROP TABLE quotes_latest CASCADE")

    with pytest.raises(ConfigurationError) as error:
        async with open_connection(database):
            pass

    assert "stream quotes has no table quotes_latest" in str(error.value)
    assert "stream bars has no column bars_superseded.vwap" in str(error.value)
    assert "mds migrate" in str(error.value)
    assert "trades" not in str(error.value)
