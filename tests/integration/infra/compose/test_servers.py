"""Broker and database of the Compose file, on the servers of this machine: what they are set to is taken, and does."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from infra.compose.prepare import prepare
from infra.embedded.home import Home
from infra.embedded.jars import JarLock, cache_folder, class_path
from infra.embedded.kafka import java_command
from infra.embedded.postgres import program_folder
from infra.runtime.kafka.topics import Topics, ensure_topics
from infra.runtime.postgres.migrate import migrate
from schemas.errors import BrokerUnavailable
from tests.conftest import free_port
from tests.support.compose_file import FOLDER, Project, env_file
from tests.support.databases import execute, with_database
from tests.support.eventually import eventually

READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 60.0
PARTITIONS = 2


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the project of the demo."""
    prepare(tmp_path, "demo")
    return Project(env_file(tmp_path / ".env"), tmp_path)


def properties(project: Project, data: Path, ports: dict[str, int]) -> str:
    """Return what the image makes of the file and the variables, with places and ports of this machine."""
    environment = project.services["kafka"]["environment"]
    added = [
        f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={environment[name]}"
        for name in ("KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS")
    ]
    text = "\n".join([(FOLDER / "kafka" / "server.properties").read_text("utf-8"), *added])
    text = text.replace("/var/lib/kafka/data", str(data)).replace("kafka:9092", "127.0.0.1:9092")
    for port, mine in ports.items():
        text = re.sub(rf":{port}\b", f":{mine}", text)
    return text


@contextmanager
def broker(project: Project, folder: Path) -> Iterator[tuple[str, Path]]:
    """Run Kafka with the project's settings and give (address for clients of the machine, its log)."""
    ports = {port: free_port() for port in ("9092", "9093", "19092")}
    file, log, data = folder / "server.properties", folder / "log", folder / "data"
    file.write_text(properties(project, data, ports), "utf-8")
    java, *options = java_command(
        Home.open(folder), class_path(JarLock.read(), cache_folder()), short_lived=True
    )
    logging = project.services["kafka"]["environment"]["KAFKA_LOG4J_OPTS"].replace(
        "/mnt/shared/config", f"{FOLDER}/kafka"
    )
    options = [option for option in options if not option.startswith("-Dlog4j2.")] + [logging]
    options.insert(0, options.pop())
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    formatting = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(file)]
    subprocess.run([java, *options, *formatting], check=True, capture_output=True, timeout=READY_WITHIN_S)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [java, *options, "kafka.Kafka", str(file)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield f"127.0.0.1:{ports['19092']}", log
    finally:
        process.kill()
        process.wait(STOPPED_WITHIN_S)


async def test_the_broker_starts_and_holds_our_topics(project: Project, tmp_path: Path) -> None:
    """Whoever comes by the host's listener is led to it; a topic that nobody declared is not made."""
    with broker(project, tmp_path) as (address, log):
        topics = Topics(address, "test", within_s=2, tuning={"log_level": 0, "error_cb": lambda _: None})

        def is_ready() -> bool:
            try:
                return topics.brokers() > 0
            except BrokerUnavailable:
                return False

        await eventually(is_ready, within_s=READY_WITHIN_S)
        made = ensure_topics(address, partitions=PARTITIONS)
        there = topics.partition_counts()

        assert made
        assert set(made) <= there.keys()
    told = log.read_text("utf-8")
    assert re.search(r"^\d{4}-\d\d-\d\dT[\d:.]+Z INFO .*Kafka Server started", told, re.MULTILINE)
    assert "WARN" not in "\n".join(re.findall(r"^.*configuration.*$", told, re.MULTILINE | re.IGNORECASE))


@pytest.fixture
def roles(project: Project, postgres_admin: str) -> Iterator[tuple[str, str]]:
    """Run what the image runs once, under names of this test alone; give (DSN of the services, DSN of the reader)."""
    name = f"c_{uuid.uuid4().hex[:12]}"
    text = (FOLDER / "timescaledb" / "roles.sql").read_text("utf-8")
    text = re.sub(r"\bmds\b", name, re.sub(r"\bmds_reader\b", f"{name}_reader", text))
    given = project.services["timescaledb"]["environment"]
    asyncio.run(execute(postgres_admin, f"CREATE DATABASE {name}"))
    subprocess.run(
        [
            program_folder() / "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "--no-psqlrc",
            with_database(postgres_admin, name),
        ],
        input=text,
        env={**os.environ, **{each: given[each] for each in ("PASSWORD_SERVICES", "PASSWORD_READER")}},
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    address = postgres_admin.rpartition("@")[2].rpartition("/")[0]
    yield (
        f"postgresql://{name}:{given['PASSWORD_SERVICES']}@{address}/{name}",
        f"postgresql://{name}_reader:{given['PASSWORD_READER']}@{address}/{name}",
    )
    asyncio.run(execute(postgres_admin, f"DROP DATABASE {name} WITH (FORCE)"))
    asyncio.run(execute(postgres_admin, f"DROP ROLE {name}, {name}_reader"))


async def test_services_need_no_superuser(roles: tuple[str, str]) -> None:
    """Every migration runs as the owner of the database, who may make no role and read no file of the server."""
    await migrate(roles[0])
    connection = await asyncpg.connect(roles[0])
    try:
        rights = await connection.fetchrow(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    finally:
        await connection.close()

    assert not any(rights)


async def test_a_reader_reads_and_nothing_else(roles: tuple[str, str]) -> None:
    """The views it was granted, no table, and nothing is written."""
    services, reader = roles
    await migrate(services)
    name = reader.rpartition("/")[2]
    await execute(services, f"GRANT SELECT ON v_bars TO {name}_reader")
    connection = await asyncpg.connect(reader)
    try:
        assert await connection.fetch("SELECT * FROM v_bars LIMIT 1") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM bars LIMIT 1")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("CREATE TABLE mine (n int)")
    finally:
        await connection.close()


def test_the_check_of_the_database_is_one_that_its_program_takes(
    project: Project, postgres_admin: str
) -> None:
    """Ready where the server is, not where nobody listens."""
    form, program, *arguments = project.services["timescaledb"]["healthcheck"]["test"]
    port = postgres_admin.rpartition(":")[2].partition("/")[0]
    command = [program_folder() / program, *arguments, "--port"]

    ended = [
        subprocess.run([*command, each], check=False, timeout=60).returncode
        for each in (port, str(free_port()))
    ]

    assert form == "CMD"
    assert ended == [0, 2]
