"""PostgreSQL as every service uses it: bounded pools, and deadlines that hold on a frozen server.

asyncpg's own timeouts do not: on a server that is frozen, not dead, they wait for a cancel request that nobody
answers (measured). Only terminating the connection ends the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.conversion import refuse_half_converted
from infra.runtime.postgres.errors import Connection, Pool, StoreError, is_unavailable, not_now
from schemas.errors import StoreUnavailable

CONNECT_TIMEOUT_S = 5.0
RELEASE_TIMEOUT_S = 1.0
IDLE_TRANSACTION_S = 30
CLIENT_CHECK_MS = "1000"
SERVER_SETTINGS = {
    "timezone": "UTC",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_S}s",
    "tcp_user_timeout": "10000",
    # A plan made for all values opens every partition, and sorts what an index would give in order.
    "plan_cache_mode": "force_custom_plan",
}


@asynccontextmanager
async def pool(
    dsn: str,
    *,
    service: str,
    size: int = 4,
    statement_timeout_ms: int = 30_000,
    refuse_unfinished: bool = False,
) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections; it may be entered while the database is down (connections are lazy).

    With `refuse_unfinished` whoever borrows a connection to a half-converted database gets ConfigurationError.
    """
    settings = {
        **SERVER_SETTINGS,
        "application_name": f"mds-{service}",
        "statement_timeout": str(statement_timeout_ms),
        # A statement whose caller is gone ends within so many ms, not when it has found what nobody reads.
        "client_connection_check_interval": CLIENT_CHECK_MS,
    }
    created = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        server_settings=settings,
        init=_refusing if refuse_unfinished else register_times,
    )
    opened = await created
    try:
        yield opened
    finally:
        opened.terminate()


@asynccontextmanager
async def connection(pool: Pool, *, within_s: float, or_else: str | None = None) -> AsyncIterator[Connection]:
    """Lend a connection for at most `within_s`; then it is terminated and StoreUnavailable raised.

    Errors that mean "not now" become StoreUnavailable; errors about the data pass unchanged, unless `or_else` says what
    their coming means ("budgets cannot be remembered"): then they become StoreUnavailable, too. A connection that saw any
    error is terminated rather than reused.
    """
    closed = True  # before one is lent, misuse can only be of a pool that is closing
    try:
        async with asyncio.timeout(within_s) as deadline:
            borrowed: Connection = await pool.acquire(timeout=CONNECT_TIMEOUT_S)  # type: ignore[assignment]
            watchdog = asyncio.get_running_loop().call_at(deadline.when() or 0.0, borrowed.terminate)
            try:
                yield borrowed
            except BaseException:
                closed = borrowed.is_closed()
                borrowed.terminate()
                raise
            finally:
                watchdog.cancel()
                await _release(pool, borrowed)
    except Exception as error:
        if is_unavailable(error, closed=closed):
            raise not_now(error) from error
        if or_else is None or not isinstance(error, StoreError):
            raise
        raise StoreUnavailable(f"{or_else}: {type(error).__name__}: {error}; run `mds migrate`") from error


async def _refusing(opened: Connection) -> None:
    await register_times(opened)
    await refuse_half_converted(opened)


async def _release(pool: Pool, borrowed: Connection) -> None:
    try:
        await pool.release(borrowed, timeout=RELEASE_TIMEOUT_S)  # type: ignore[arg-type]
    except (OSError, TimeoutError, asyncpg.InterfaceError, StoreError):
        borrowed.terminate()
