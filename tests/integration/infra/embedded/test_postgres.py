"""The embedded database is real PostgreSQL whose data survives a stop and a kill, as root too."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.embedded.postgres import EmbeddedPostgres
from infra.embedded.process_table import identify, working_in
from schemas.errors import ConfigurationError
from tests.conftest import free_port
from tests.support.eventually import eventually


@pytest.fixture
def home(open_path: Path) -> Path:
    """The home folder of this test."""
    return open_path / "home"


@pytest.fixture
def database(home: Path) -> Iterator[EmbeddedPostgres]:
    """A database of this test alone, started."""
    with EmbeddedPostgres(home, port=free_port()) as server:
        yield server


def ask(server: EmbeddedPostgres, statement: str) -> list[Any]:
    """Run one statement in a session of its own and return the first column."""

    async def session() -> list[Any]:
        connection = await asyncpg.connect(server.dsn, timeout=10)
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(session())


def test_committed_rows_survive_kill_and_stop(database: EmbeddedPostgres) -> None:
    """Nothing committed is lost by kill -9 of the postmaster, and a clean stop changes nothing."""
    ask(database, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    database.kill()
    assert database.pid is None
    database.start().wait_ready()
    assert ask(database, "SELECT count(*) FROM t") == [1000]
    assert database.stop(), "it had to be killed"
    database.start().wait_ready()
    assert ask(database, "SELECT sum(n) FROM t") == [500_500]


async def test_a_frozen_backend_does_not_block_the_restart_after_a_kill(home: Path) -> None:
    """A backend of the dead postmaster that cannot end by itself is ended before the new one starts."""
    server = EmbeddedPostgres(home, port=free_port())
    try:
        server.start().wait_ready()
        connection = await asyncpg.connect(server.dsn)
        backend = connection.get_server_pid()
        os.kill(backend, signal.SIGSTOP)
        server.kill()
        connection.terminate()
        await eventually(lambda: working_in("postgres", home / "postgres" / "data") == [backend], within_s=10)
        server.start().wait_ready()
        assert identify(backend) is None
        again = await asyncpg.connect(server.dsn)
        assert await again.fetchval("SELECT 1") == 1
        await again.close()
    finally:
        server.stop()


def test_a_stranger_with_the_recorded_pid_does_not_block_the_start(
    database: EmbeddedPostgres, home: Path
) -> None:
    """In a container a pid is soon another's; the pid file of a dead postmaster must not name a live stranger."""
    database.kill()
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    database.start().wait_ready()
    assert ask(database, "SELECT 1") == [1]


def test_only_the_password_opens_it_and_only_on_this_machine(database: EmbeddedPostgres) -> None:
    """A wrong password is refused; nothing listens beyond the loopback interface; no trust rule is left."""
    wrong = database.dsn.replace("mds:mds@", "mds:guess@")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(wrong, timeout=10))
    assert ask(database, "SHOW listen_addresses") == ["127.0.0.1"]
    assert set(ask(database, "SELECT auth_method FROM pg_hba_file_rules")) == {"scram-sha-256"}


def test_it_is_durable_unless_a_test_says_otherwise(database: EmbeddedPostgres, open_path: Path) -> None:
    """Without fsync only where that was asked for; btree_gist is there."""
    assert ask(database, "SHOW fsync") == ["on"]
    assert ask(database, "SHOW server_version_num")[0].startswith("18")
    assert ask(database, "CREATE EXTENSION btree_gist") == []
    with EmbeddedPostgres(open_path / "other", port=free_port(), durable=False) as careless:
        assert ask(careless, "SHOW fsync") == ["off"]


def test_data_of_another_major_is_refused(database: EmbeddedPostgres, home: Path) -> None:
    """The sentence names both majors and how to move on."""
    database.stop()
    (home / "postgres" / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 15, this version runs 18.*mv "):
        database.start()


def test_an_interrupted_creation_is_made_anew(home: Path) -> None:
    """A draft is not a database."""
    draft = home / "postgres" / "draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    (home / "VERSION").write_text("1\n")
    with EmbeddedPostgres(home, port=free_port(), durable=False) as server:
        assert ask(server, "SELECT 1") == [1]


def test_a_taken_port_is_one_sentence(home: Path) -> None:
    """It names the port, the setting and the process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .*\(pid \d+\).*MDS_POSTGRES_PORT"):
            EmbeddedPostgres(home, port=port).start()
