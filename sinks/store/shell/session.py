"""One database connection that writes, with deadlines that hold on a frozen server and times as integers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from infra.runtime.postgres.pool import CONNECT_TIMEOUT_S, SERVER_SETTINGS, UNAVAILABLE
from schemas.errors import ConfigurationError, StoreUnavailable
from sinks.columns.copy import POSTGRES_EPOCH_US, chunks
from sinks.columns.tables import TABLES, missing_columns
from sinks.store.versions import STAGING

COPY_CHUNK_BYTES = 262_144
CLOSE_TIMEOUT_S = 1.0
STORED_COLUMNS = """
    SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = current_schema()
"""
OPERATOR_NEEDED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
)
NOT_NOW = (*UNAVAILABLE, asyncpg.ReadOnlySQLTransactionError, asyncpg.PostgresIOError)
DATA_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a key too long for its index
)
"""What means "not this data": find the row and dead-letter it."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@asynccontextmanager
async def open_connection(
    dsn: str, *, connection_class: type[Connection] = asyncpg.Connection
) -> AsyncIterator[Connection]:
    """Open the connection a sink writes with; raise StoreUnavailable, or ConfigurationError where waiting cannot help.

    Times pass as µs since the Unix epoch both ways.
    """
    settings = {**SERVER_SETTINGS, "application_name": "mds-sinks"}
    try:
        connection = await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_S, server_settings=settings, connection_class=connection_class
        )
    except OPERATOR_NEEDED as error:
        raise ConfigurationError(
            f"PostgreSQL refuses us: {error}", remedy="correct MDS_POSTGRES_DSN"
        ) from error
    except NOT_NOW as error:
        raise StoreUnavailable(f"PostgreSQL does not answer: {type(error).__name__}; is it up?") from error
    try:
        async with deadline(connection, within_s=CONNECT_TIMEOUT_S):
            await connection.set_type_codec(
                "timestamptz", schema="pg_catalog", encoder=_encode_time, decoder=_decode_time, format="tuple"
            )
            await _check_tables(connection)
            await connection.execute(STAGING)
        yield connection
    finally:
        await _close(connection)


async def _check_tables(connection: Connection) -> None:
    stored: dict[str, set[str]] = {}
    for row in await connection.fetch(STORED_COLUMNS):
        stored.setdefault(row["table_name"], set()).add(row["column_name"])
    lacking = [
        f"stream {stream} has no {', no '.join(parts)}"
        for stream, parts in missing_columns(TABLES.values(), stored).items()
        if parts
    ]
    if lacking:
        raise ConfigurationError(
            f"the database does not hold every declared stream: {'; '.join(lacking)}",
            remedy="run `mds migrate` on this database; a new stream needs a migration, "
            "`python -m scripts.generate tables NAME` prints it",
        )


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (*NOT_NOW, asyncpg.PostgresError):
        connection.terminate()


@asynccontextmanager
async def deadline(connection: Connection, *, within_s: float) -> AsyncIterator[None]:
    """Terminate the connection where the work inside takes longer; raise StoreUnavailable for all that means "not now".

    asyncpg's own timeouts wait for a cancel request that a frozen server never answers.
    """
    watchdog = asyncio.get_running_loop().call_later(within_s, connection.terminate)
    try:
        yield
    except OPERATOR_NEEDED as error:
        raise ConfigurationError(
            f"PostgreSQL: {error}", remedy="run `mds migrate` on this database"
        ) from error
    except NOT_NOW as error:
        connection.terminate()
        raise StoreUnavailable(f"PostgreSQL: {type(error).__name__}: {error}".rstrip(": ")) from error
    finally:
        watchdog.cancel()


async def copy(connection: Connection, table: str, columns: Sequence[str], data: bytes) -> None:
    """Store encoded rows; the input is complete before COPY begins."""

    async def source() -> AsyncIterator[Any]:
        for chunk in chunks(data, COPY_CHUNK_BYTES):
            yield chunk

    await connection.copy_to_table(table, source=source(), columns=list(columns), format="binary")


def _encode_time(moment: int) -> tuple[int]:
    return (moment - POSTGRES_EPOCH_US,)


def _decode_time(parts: tuple[Any, ...]) -> int:
    return int(parts[0]) + POSTGRES_EPOCH_US
