"""PostgreSQL as every service uses it: bounded pools, and deadlines that hold on a frozen server.

asyncpg's own timeouts do not: on a server that is frozen, not dead, they wait for a cancel request that nobody
answers (measured). Only terminating the connection ends the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from schemas.errors import StoreUnavailable

CONNECT_TIMEOUT_S = 5.0
RELEASE_TIMEOUT_S = 1.0
SERVER_SETTINGS = {
    "timezone": "UTC",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "30000",
    "tcp_user_timeout": "10000",
}
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg raises on an idle connection whose end it had not noticed
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What means "not now" rather than "not this data": pause, back off, try again."""


@asynccontextmanager
async def pool(
    dsn: str, *, service: str, size: int = 4, statement_timeout_ms: int = 30_000
) -> AsyncIterator[asyncpg.Pool]:
    """Open a pool of at most `size` connections; it may be entered while the database is down (connections are lazy)."""
    settings = {
        **SERVER_SETTINGS,
        "application_name": f"mds-{service}",
        "statement_timeout": str(statement_timeout_ms),
    }
    created = asyncpg.create_pool(
        dsn, min_size=0, max_size=size, timeout=CONNECT_TIMEOUT_S, server_settings=settings
    )
    opened = await created
    try:
        yield opened
    finally:
        opened.terminate()


@asynccontextmanager
async def connection(pool: asyncpg.Pool, *, within_s: float) -> AsyncIterator[Any]:
    """Lend a connection for at most `within_s`; then it is terminated and StoreUnavailable raised.

    Errors that mean "not now" become StoreUnavailable; errors about the data pass unchanged. A connection that saw
    any error is terminated rather than reused.
    """
    try:
        async with asyncio.timeout(within_s) as deadline:
            borrowed = await pool.acquire(timeout=CONNECT_TIMEOUT_S)
            watchdog = asyncio.get_running_loop().call_at(deadline.when() or 0.0, borrowed.terminate)
            try:
                yield borrowed
            except BaseException:
                borrowed.terminate()
                raise
            finally:
                watchdog.cancel()
                await _release(pool, borrowed)
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"PostgreSQL: {type(error).__name__}: {error}".rstrip(": ")) from error


async def _release(pool: asyncpg.Pool, borrowed: Any) -> None:
    try:
        await pool.release(borrowed, timeout=RELEASE_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError):
        borrowed.terminate()
