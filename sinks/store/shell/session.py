"""The connection a sink writes with: ours alone, with the tables it stages rows in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.runtime.postgres import session
from infra.runtime.postgres.errors import Connection
from sinks.store.statements import STAGING

STAGED_WITHIN_S = 5.0


@asynccontextmanager
async def open_connection(
    dsn: str, *, connection_class: type[Connection] | None = None
) -> AsyncIterator[Connection]:
    """Open the connection; raise StoreUnavailable, or ConfigurationError where waiting cannot help."""
    async with session.open_connection(dsn, service="sinks", connection_class=connection_class) as connection:
        async with session.deadline(connection, within_s=STAGED_WITHIN_S):
            await connection.execute(STAGING)
        yield connection
