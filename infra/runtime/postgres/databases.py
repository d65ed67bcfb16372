"""Databases of a server: their names in a DSN, and making one that is not there."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from infra.runtime.postgres.errors import Connection, StoreError, needs_operator, operator_needed
from schemas.errors import StoreUnavailable

CONNECT_TIMEOUT_S = 10.0
EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
QUOTED = "SELECT format('CREATE DATABASE %I', $1::text)"


def with_database(dsn: str, name: str) -> str:
    """Return the DSN of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def create_where_missing(dsn: str, name: str) -> bool:
    """Create a database on the server of `dsn` unless it is there; return whether it was made.

    Raises StoreUnavailable where the server does not answer, ConfigurationError where the role may not.
    """
    try:
        connection: Connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
        try:
            if await connection.fetchval(EXISTS, name):
                return False
            await connection.execute(await connection.fetchval(QUOTED, name))
            return True
        finally:
            connection.terminate()
    except (OSError, TimeoutError, StoreError) as error:
        if needs_operator(error):
            raise operator_needed(error, f"create the database {name} yourself and name it again") from error
        raise StoreUnavailable(f"PostgreSQL does not answer: {error}; is it up? (`mds up`)") from error
