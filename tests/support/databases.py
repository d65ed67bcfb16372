"""Databases of a PostgreSQL server: their names in a DSN, statements to the server itself, and our tables in them."""

from __future__ import annotations

import os

import asyncpg
import pytest

from infra.runtime.postgres.migrate import migrate
from infra.runtime.postgres.timescale import migrate_to_timescale

TIMESCALE_SERVER = os.environ.get("MDS_TEST_TIMESCALE_DSN", "")
"""A server with TimescaleDB that the suite is to run on, with the right to create databases there; empty without."""

of_partitions = pytest.mark.skipif(
    bool(TIMESCALE_SERVER), reason="is of range partitions; tests/timescale says what hypertables do"
)


def with_database(dsn: str, name: str) -> str:
    """Return the DSN with another database name."""
    return f"{dsn.rpartition('/')[0]}/{name}"


async def execute(dsn: str, statement: str) -> None:
    """Execute one statement over a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def lay_out(dsn: str) -> None:
    """Make our tables in an empty database; hypertables where the suite is to run on TimescaleDB."""
    await migrate(dsn)
    if TIMESCALE_SERVER:
        await execute(dsn, "CREATE EXTENSION IF NOT EXISTS timescaledb")
        await migrate_to_timescale(dsn, lambda _: None)


async def make(admin: str, name: str) -> str:
    """Make an empty database with our tables, in place of one of that name, and return its DSN."""
    await execute(admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await execute(admin, f"CREATE DATABASE {name}")
    dsn = with_database(admin, name)
    await lay_out(dsn)
    return dsn
