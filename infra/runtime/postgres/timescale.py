"""Moving a database to TimescaleDB: its tables into hypertables, by pieces, then compression, aggregates and retention.

The work is done by SQL of `infra/migrations/timescale`, numbered on its own: `pre` comes before the tables move, `post`
after. Every step is a transaction of its own, so that a move which was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from infra.runtime.postgres.conversion import refuse_half_converted
from infra.runtime.postgres.errors import Connection, StoreError, is_unavailable
from infra.runtime.postgres.files import Migration, Phase, migrations
from infra.runtime.postgres.migrate import CONNECT_TIMEOUT_S, DIRECTORY, LOCK_KEY
from infra.runtime.postgres.pool import SERVER_SETTINGS
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.streams import STREAMS, Stream
from schemas.tables import tables

FILES = DIRECTORY / "timescale"
OLDEST = (2, 23)  # nothing older was tried
PAGES = 2_000  # of 8 KiB in one transaction: about 100,000 bars
CHUNKS = {"slots": "7 days", "latest": "1 day", "occurrences": "1 day", "entries": "7 days"}
LEDGER = """
    CREATE TABLE IF NOT EXISTS timescale_migrations (
        name text PRIMARY KEY, sha256 text, applied_at timestamptz NOT NULL DEFAULT now())"""
EXTENSION = """
    SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS available,
        current_setting('timescaledb.license', true) AS license"""
PARTITIONED = "SELECT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass($1))"

Tell = Callable[[str], None]


async def migrate_to_timescale(dsn: str, tell: Tell) -> None:
    """Bring a migrated database to TimescaleDB, or on to what this version has there; `tell` hears each step.

    Raises ConfigurationError where that cannot be, StoreUnavailable where the server does not answer or a lock is held.
    """
    settings = {**SERVER_SETTINGS, "application_name": "mds-migrate", "statement_timeout": "0"}
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=settings)
    except (OSError, TimeoutError, StoreError) as error:
        raise StoreUnavailable(
            f"cannot migrate, PostgreSQL does not answer: {error}; is it up? (`mds up`)"
        ) from error
    try:
        await move_database(connection, tell)
    except Exception as error:
        if not is_unavailable(error, closed=connection.is_closed()):
            raise
        raise StoreUnavailable(
            f"the move to TimescaleDB stopped: {type(error).__name__}: {error}; "
            "run `mds migrate --timescale` again, it goes on where it was"
        ) from error
    finally:
        connection.terminate()


async def move_database(connection: Connection, tell: Tell, *, pages: int = PAGES) -> None:
    """Do so over a connection; `pages` are copied in one transaction."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        raise StoreUnavailable("another migration of this database runs; run this one when it has ended")
    await _check(connection)
    await connection.execute(LEDGER)
    await _apply(connection, "pre", tell)
    for stream in STREAMS:
        await _move(connection, stream, pages, tell)
    await _apply(connection, "post", tell)


async def _check(connection: Connection) -> None:
    found = await connection.fetchrow(EXTENSION)
    if found is None or found["installed"] is None:
        raise ConfigurationError(
            "the database has no TimescaleDB",
            remedy="run `CREATE EXTENSION timescaledb` in it, as a superuser or its owner"
            if found is not None and found["available"]
            else "install TimescaleDB on its server, or stay with plain PostgreSQL: nothing else needs it",
        )
    if tuple(map(int, found["installed"].partition("-")[0].split(".")[:2])) < OLDEST:
        raise ConfigurationError(
            f"TimescaleDB {found['installed']} is older than {'.'.join(map(str, OLDEST))}",
            remedy="install a newer one, then run `ALTER EXTENSION timescaledb UPDATE` first in a new session",
        )
    if found["license"] != "timescale":
        raise ConfigurationError(
            f"TimescaleDB runs under the license {found['license']!r}, which has neither compression nor jobs",
            remedy="install its community edition and set timescaledb.license = 'timescale'",
        )
    if not await connection.fetchval("SELECT to_regclass('streams') IS NOT NULL"):
        raise ConfigurationError(
            "the database has no tables of this version", remedy="run `mds migrate` first"
        )
    await refuse_half_converted(connection)


async def _apply(connection: Connection, phase: Phase, tell: Tell) -> None:
    for migration in migrations(FILES):
        if migration.phase == phase and not await _is_applied(connection, migration):
            async with connection.transaction():
                await connection.execute(migration.text)
                await connection.execute(
                    "UPDATE timescale_migrations SET sha256 = $2 WHERE name = $1",
                    migration.name,
                    migration.sha256,
                )
            tell(f"applied timescale/{migration.name}")


async def _is_applied(connection: Connection, migration: Migration) -> bool:
    applied = await connection.fetchrow(
        "SELECT sha256 FROM timescale_migrations WHERE name = $1", migration.name
    )
    if applied is not None and applied["sha256"] not in (None, migration.sha256):
        raise ConfigurationError(
            f"migration timescale/{migration.name} was edited after it was applied",
            remedy="restore it and add a new file",
        )
    return applied is not None


async def _move(connection: Connection, stream: Stream, pages: int, tell: Tell) -> None:
    """Move the tables of a stream; they change places together."""
    plain = [name for name in tables(stream).timed if await connection.fetchval(PARTITIONED, name)]
    for name in plain:
        await connection.fetchval("SELECT begin_move($1, $2::text::interval)", name, CHUNKS[stream.versions])
    for name in plain:
        rows = 0
        while (copied := await connection.fetchval("SELECT move_rows($1, $2)", name, pages)) is not None:
            rows += copied
            tell(f"moving {name}: {rows:,} rows")
    if plain:
        await connection.fetchval("SELECT finish_move($1::text[])", plain)
        tell(f"moved {', '.join(plain)}")
