"""Forward-only migrations: plain SQL files in name order, once each, under one lock.

`psql -f` runs the same files: each records itself. A published file never changes; its SHA-256 is checked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg

from infra.runtime.postgres.errors import Connection, StoreError
from schemas.errors import ConfigurationError, StoreUnavailable

DIRECTORY = Path(__file__).parent.parent.parent / "migrations"
LOCK_KEY = 0x6D6473  # "mds"
CONNECT_TIMEOUT_S = 10.0

LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name text PRIMARY KEY, sha256 text, applied_at timestamptz NOT NULL DEFAULT now())
"""


async def migrate(dsn: str, directory: Path = DIRECTORY) -> list[str]:
    """Apply what is missing, each file in its own transaction, and return the names applied.

    Raises ConfigurationError where an applied file was edited or the database is newer than this code.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, StoreError) as error:
        raise StoreUnavailable(
            f"cannot migrate, PostgreSQL does not answer: {error}; is it up? (`mds up`)"
        ) from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await connection.execute(LEDGER)
        return await _apply(connection, _files(directory))
    finally:
        await connection.close()


def _files(directory: Path) -> list[tuple[str, str]]:
    return [(file.stem, file.read_text("utf-8")) for file in sorted(directory.glob("[0-9]*.sql"))]


async def _apply(connection: Connection, files: list[tuple[str, str]]) -> list[str]:
    known = {
        row["name"]: row["sha256"]
        for row in await connection.fetch("SELECT name, sha256 FROM schema_migrations")
    }
    if newer := sorted(set(known) - {name for name, _ in files}):
        raise ConfigurationError(
            f"the database has migration {newer[-1]}, which this version lacks",
            remedy="run the newer version",
        )
    applied = []
    for name, text in files:
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in known:
            if known[name] not in (None, digest):
                raise ConfigurationError(
                    f"migration {name} was edited after it was applied",
                    remedy="restore it and add a new file",
                )
            continue
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute("UPDATE schema_migrations SET sha256 = $2 WHERE name = $1", name, digest)
        applied.append(name)
    return applied
