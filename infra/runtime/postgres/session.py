"""One connection of one's own that writes: opened, bounded by deadlines that hold on a frozen server, filled by COPY."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from infra.runtime.clock import monotonic_s
from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.errors import (
    Connection,
    StoreError,
    is_overrun,
    is_unwritable,
    needs_operator,
    not_now,
    operator_needed,
    took_too_long,
)
from infra.runtime.postgres.pool import CONNECT_TIMEOUT_S, IDLE_TRANSACTION_S, SERVER_SETTINGS
from schemas.errors import StoreUnavailable

COPY_CHUNK_BYTES = 262_144
CLOSE_TIMEOUT_S = 1.0


@asynccontextmanager
async def open_connection(
    dsn: str, *, service: str, connection_class: type[Connection] | None = None
) -> AsyncIterator[Connection]:
    """Open a connection; raise StoreUnavailable, or ConfigurationError where waiting cannot help.

    Times pass as µs since the Unix epoch both ways. `connection_class` replaces asyncpg's own.
    """
    settings = {**SERVER_SETTINGS, "application_name": f"mds-{service}"}
    try:
        opened = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            server_settings=settings,
            connection_class=connection_class or asyncpg.Connection,
        )
    except Exception as error:
        if needs_operator(error):
            raise operator_needed(error, "correct MDS_POSTGRES_DSN") from error
        if is_unwritable(error, closed=True):
            problem = f"PostgreSQL does not answer: {type(error).__name__}; is it up?"
            raise StoreUnavailable(problem) from error
        raise
    try:
        await register_times(opened)
        yield opened
    finally:
        await _close(opened)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, StoreError):
        connection.terminate()


@asynccontextmanager
async def deadline(connection: Connection, *, within_s: float) -> AsyncIterator[None]:
    """Terminate the connection where the work inside takes longer, and raise StoreOverrun.

    Raises StoreUnavailable for all else that means "not now", ConfigurationError for what an operator must change;
    other errors pass. asyncpg's own timeouts wait for a cancel request that a frozen server never answers.
    """
    over, began_s = False, monotonic_s()

    def cut_off() -> None:
        nonlocal over
        over = True
        connection.terminate()

    watchdog = asyncio.get_running_loop().call_later(within_s, cut_off)
    try:
        yield
    except Exception as error:
        if needs_operator(error):
            raise operator_needed(error, "run `mds migrate` on this database") from error
        if is_unwritable(error, closed=connection.is_closed()):
            connection.terminate()
            # The server ends a transaction that idles; asyncpg then only says that the connection is closed.
            over = over or is_overrun(error) or monotonic_s() - began_s > IDLE_TRANSACTION_S
            raise (took_too_long(error, within_s) if over else not_now(error)) from error
        raise
    finally:
        watchdog.cancel()


async def copy(connection: Connection, table: str, columns: Sequence[str], data: bytes) -> None:
    """Store rows encoded in COPY's binary format; the input is complete before COPY begins."""

    async def source() -> AsyncIterator[Any]:
        for chunk in chunks(data, COPY_CHUNK_BYTES):
            yield chunk

    await connection.copy_to_table(table, source=source(), columns=list(columns), format="binary")


def chunks(data: bytes, size: int) -> Sequence[memoryview]:
    """Return `data` cut into pieces of at most `size` bytes, without copying."""
    view = memoryview(data)
    return [view[start : start + size] for start in range(0, len(view), size)]
