"""Databases beside the live one: named, made, dropped, and filled by a replay that keeps in them how far it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from infra.runtime.postgres import session
from infra.runtime.postgres.errors import Connection, StoreError, needs_operator, operator_needed
from infra.runtime.postgres.pool import CONNECT_TIMEOUT_S
from schemas.errors import ConfigurationError, StoreUnavailable

# In a table of its own, which no migration makes: it is there as long as the database is filled in part.
MADE = "CREATE TABLE IF NOT EXISTS replay_plan (plan text NOT NULL)"
KEPT = "INSERT INTO replay_plan VALUES ($1)"
THERE = "SELECT to_regclass('replay_plan') IS NOT NULL"
PLAN = "SELECT plan FROM replay_plan"
# Nobody reads its positions, or publishes what a live sink would have.
FINISHED = "DELETE FROM sink_offsets; DELETE FROM outbox; DROP TABLE replay_plan"
WITHIN_S = 30.0
MAX_NAME_BYTES = 63
PLACE = (
    "SELECT pg_postmaster_start_time()::text, oid::bigint FROM pg_database WHERE datname = current_database()"
)
EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
QUOTED = "SELECT format('CREATE DATABASE %I', $1::text)"
DROPPED = "SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)"


def with_database(dsn: str, name: str) -> str:
    """Return the DSN of another database on the same server; raise ConfigurationError where that is no name of one."""
    # PostgreSQL cuts a longer name off, and `host=h dbname=d` is meant for a DSN
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES or "=" in name:
        raise ConfigurationError(
            f"{name!r} is no name of a database",
            remedy=f"give one of 1 to {MAX_NAME_BYTES} bytes without `=`; a DSN begins with postgresql://",
        )
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(name, safe='')}"))


async def is_same(dsn: str, other: str) -> bool:
    """Whether two DSNs lead to one database, however they are spelt; where one of them cannot be asked they do not."""
    if dsn == other:
        return True
    places = []
    for each in (dsn, other):
        try:
            connection: Connection = await asyncpg.connect(each, timeout=CONNECT_TIMEOUT_S)
            try:
                places.append([tuple(row) for row in await connection.fetch(PLACE)])
            finally:
                connection.terminate()
        except (OSError, TimeoutError, StoreError):
            return False
    return places[0] == places[1]


async def create_where_missing(dsn: str, name: str) -> bool:
    """Create a database on the server of `dsn` unless it is there; return whether it was made.

    Raises StoreUnavailable where the server does not answer, ConfigurationError where the role may not.
    """
    async with _server(dsn, f"create the database {name} yourself and name it again") as connection:
        if await connection.fetchval(EXISTS, name):
            return False
        await connection.execute(await connection.fetchval(QUOTED, name))
        return True


async def drop_database(dsn: str, name: str) -> None:
    """Drop a database on the server of `dsn`, if it is there; raises like `create_where_missing`."""
    async with _server(dsn, f"drop the database {name} yourself") as connection:
        await connection.execute(await connection.fetchval(DROPPED, name))


@asynccontextmanager
async def _server(dsn: str, remedy: str) -> AsyncIterator[Connection]:
    """Connect to a server; what its role may not do is for an operator."""
    try:
        connection: Connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
        try:
            yield connection
        finally:
            connection.terminate()
    except (OSError, TimeoutError, StoreError) as error:
        if needs_operator(error):
            raise operator_needed(error, remedy) from error
        raise StoreUnavailable(f"PostgreSQL does not answer: {error}; is it up? (`mds up`)") from error


async def plan_in(dsn: str) -> bytes | None:
    """Return the plan of the replay that fills a database, None where none does; raises like a session."""
    async with (
        session.open_connection(dsn, service="replay") as connection,
        session.deadline(connection, within_s=WITHIN_S),
    ):
        if not await connection.fetchval(THERE):
            return None
        plan = await connection.fetchval(PLAN)
        return None if plan is None else str(plan).encode()


async def keep_plan(dsn: str, plan: bytes) -> None:
    """Keep the plan of a replay in the empty, migrated database it is to fill; raises like a session."""
    async with (
        session.open_connection(dsn, service="replay") as connection,
        session.deadline(connection, within_s=WITHIN_S),
        connection.transaction(),
    ):
        await connection.execute(MADE)
        if await connection.fetchval(PLAN) is not None:
            raise ConfigurationError("another replay just began to fill this database", remedy="name another")
        await connection.execute(KEPT, plan.decode())


async def finish(dsn: str) -> None:
    """Take out of a database what only an unfinished replay needs: from now on it is as if filled at once."""
    async with (
        session.open_connection(dsn, service="replay") as connection,
        session.deadline(connection, within_s=WITHIN_S),
        connection.transaction(),
    ):
        await connection.execute(FINISHED)
