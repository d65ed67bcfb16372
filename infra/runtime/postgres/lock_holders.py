"""Sessions that keep a connection waiting for a lock, looked at from beside it: afterwards nobody can say who it was."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from infra.runtime.postgres.errors import ANSWERS, Connection

LOOK_EVERY_S = 0.2
CONNECT_TIMEOUT_S = 5.0
HOLDERS = """
    SELECT format('pid %s (%s, %s, its query began %s)', a.pid,
        coalesce(nullif(a.application_name, ''), 'no application_name'), coalesce(a.state, 'state unknown'),
        coalesce(to_char(a.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'at a time unknown')) AS holder
    FROM unnest(pg_blocking_pids($1)) blocking JOIN pg_stat_activity a ON a.pid = blocking
    ORDER BY a.query_start
"""


class LockHolders:
    """The sessions seen last, each as a text."""

    def __init__(self) -> None:
        """Have seen none."""
        self.seen: list[str] = []

    def __str__(self) -> str:
        """Return all of them for a message."""
        return ", ".join(dict.fromkeys(self.seen)) or "a session that nobody saw"


@asynccontextmanager
async def watched(dsn: str, pid: int) -> AsyncIterator[LockHolders]:
    """Watch the session `pid` while the block runs, over a connection of one's own; the watch is for the message only."""
    holders = LockHolders()
    watch = asyncio.ensure_future(_watch(dsn, pid, holders))
    try:
        yield holders
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _watch(dsn: str, pid: int, holders: LockHolders) -> None:
    await asyncio.sleep(LOOK_EVERY_S)  # most are done by then, and need no second connection
    with contextlib.suppress(OSError, TimeoutError, *ANSWERS):
        connection: Connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
        try:
            while True:
                found = [row["holder"] for row in await connection.fetch(HOLDERS, pid)]
                holders.seen = found or holders.seen
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            connection.terminate()
