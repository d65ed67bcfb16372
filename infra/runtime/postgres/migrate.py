"""Forward-only migrations: plain SQL files in name order, once each, under one lock, around a rollout or all at once.

`psql -f` runs the same files: each records itself. A published file never changes; its SHA-256 is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from infra.runtime.postgres.errors import (
    ANSWERS,
    Connection,
    StoreError,
    is_unavailable,
)
from infra.runtime.postgres.files import Migration, Phase, due, migrations, statements
from infra.runtime.postgres.pool import SERVER_SETTINGS
from schemas.errors import ConfigurationError, StoreUnavailable

DIRECTORY = Path(__file__).parent.parent.parent / "migrations"
LOCK_KEY = 0x6D6473  # "mds"
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
TURN_EVERY_S = 0.2
LOOK_EVERY_S = 0.2
LOCKED = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name text PRIMARY KEY, sha256 text, applied_at timestamptz NOT NULL DEFAULT now())
"""
APPLIED = "SELECT name, sha256 FROM schema_migrations"
HOLDING = (
    "sink_offsets",
    "streams",
    "cursors",
    "old_cursors",
    "gaps",
)  # of any layout: none is empty once rows came
REMEMBER = "UPDATE schema_migrations SET sha256 = $2 WHERE name = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Bounds of waiting for a lock: while a migration waits, whoever comes after it waits, too."""

    lock_timeout_ms: int = 3_000
    attempts: int = 5
    pause_s: float = 2.0  # between attempts; those behind us go through


PATIENCE = Patience()


def _silent(_line: str) -> None:
    """Tell nobody."""


async def migrate(
    dsn: str,
    directory: Path = DIRECTORY,
    *,
    phase: Phase | None = None,
    patience: Patience = PATIENCE,
    tell: Callable[[str], None] = _silent,
) -> list[str]:
    """Apply what is missing, of one phase or of both in order, and return the names applied.

    `tell` is given lines about long work. Raises ConfigurationError where an applied file was edited, the database is
    newer than this code or a file of the other phase comes first; StoreUnavailable where the database does not answer or
    a lock is not to be had.
    """
    connection = await _connect(dsn, patience)
    try:
        connection.add_log_listener(lambda _, message: _tell(tell, message))
        await _turn(connection, tell)
        await connection.execute(LEDGER)
        chosen = due(await _pending(connection, migrations(directory)), phase)
        for migration in chosen:
            await _apply(connection, migration, dsn, patience)
    except Exception as error:
        if not is_unavailable(error, closed=connection.is_closed()):
            raise
        raise StoreUnavailable(
            f"PostgreSQL went away while it was migrated: {type(error).__name__}: {error}; run `mds migrate` again"
        ) from error
    finally:
        await _close(connection)
    return [migration.name for migration in chosen]


async def refuse_used(dsn: str) -> None:
    """Raise ConfigurationError where rows were ever stored in a database, StoreUnavailable where it does not answer.

    Asked before it is migrated: another one, named by mistake, stays as it is.
    """
    connection = await _connect(dsn, PATIENCE)
    try:
        for table in HOLDING:
            there = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table)
            if there and await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # noqa: S608
                raise ConfigurationError(
                    f"the database is not empty, {table} has rows; nothing was changed in it",
                    remedy="name another one, or a new name with `mds rebuild --into NAME`",
                )
    finally:
        await _close(connection)


async def refuse_unmigrated(dsn: str) -> None:
    """Raise ConfigurationError where a migration was not applied to a database, StoreUnavailable where it does not answer."""
    connection = await _connect(dsn, PATIENCE)
    try:
        if missing := await pending(connection):
            raise ConfigurationError(
                f"migration {missing[0].name} was not applied to the database",
                remedy="run `mds migrate`, then this again",
            )
    finally:
        await _close(connection)


async def pending(connection: Connection) -> Sequence[Migration]:
    """Return the migrations that were not applied, in order, changing nothing; raises ConfigurationError as `migrate`."""
    files = migrations(DIRECTORY)
    has_ledger = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    return await _pending(connection, files) if has_ledger else files


async def _connect(dsn: str, patience: Patience) -> Connection:
    settings = {
        **SERVER_SETTINGS, "application_name": "mds-migrate", "lock_timeout": str(patience.lock_timeout_ms),
        "statement_timeout": "0",
    }  # fmt: skip
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=settings)
    except (OSError, TimeoutError, StoreError) as error:
        raise StoreUnavailable(
            f"cannot migrate, PostgreSQL does not answer: {error}; is it up? (`mds up`)"
        ) from error


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, TimeoutError, *ANSWERS):
        connection.terminate()


def _tell(tell: Callable[[str], None], message: Any) -> None:
    """Pass on what a migration says on purpose; notices of PostgreSQL's own are of another severity."""
    if message.severity_en == "INFO":
        tell(message.message)


async def _turn(connection: Connection, tell: Callable[[str], None]) -> None:
    """Return once no other migration of this database runs.

    Asked for again and again: a session that waits for it inside the server would hold up what the other one waits for,
    an index that is made concurrently.
    """
    told = False
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        if not told:
            tell("another migration of this database runs; this one waits for it")
            told = True
        await asyncio.sleep(TURN_EVERY_S)


async def _pending(connection: Connection, files: Sequence[Migration]) -> list[Migration]:
    """Return the files that were not applied; raise ConfigurationError where history differs from the files."""
    known = {row["name"]: row["sha256"] for row in await connection.fetch(APPLIED)}
    if newer := sorted(set(known) - {file.name for file in files}):
        raise ConfigurationError(
            f"the database has migration {newer[-1]}, which this version lacks",
            remedy="run the newer version",
        )
    edited = [file.name for file in files if known.get(file.name) not in (None, file.sha256)]
    if edited:
        raise ConfigurationError(
            f"migration {edited[0]} was edited after it was applied", remedy="restore it and add a new file"
        )
    return [file for file in files if file.name not in known]


async def _apply(connection: Connection, migration: Migration, dsn: str, patience: Patience) -> None:
    """Run a file, again where a lock was not to be had: one transaction left nothing, single statements may be run again."""
    for attempt in range(1, patience.attempts + 1):
        async with watched(dsn, connection.get_server_pid()) as holders:
            try:
                await _run(connection, migration)
            except LOCKED as error:
                refused = error
            else:
                return
        if attempt < patience.attempts:
            await asyncio.sleep(patience.pause_s)
    raise StoreUnavailable(
        f"migration {migration.name} got no lock in {patience.attempts} attempts of "
        f"{patience.lock_timeout_ms / 1_000:g} s: {holders} has it; let that end, then run `mds migrate` again"
    ) from refused


async def _run(connection: Connection, migration: Migration) -> None:
    if migration.transactional:
        async with connection.transaction():
            await connection.execute(migration.unwrapped)
            await connection.execute(REMEMBER, migration.name, migration.sha256)
        return
    *work, recorded = statements(migration.text)
    for statement in work:
        await connection.execute(statement)
    async with connection.transaction():
        await connection.execute(recorded)
        await connection.execute(REMEMBER, migration.name, migration.sha256)


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
