"""Shared resources of the suite: the real broker and database, once a session; names and databases, once a test."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from hypothesis import settings

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.kafka.topics import Topics, ensure_topics
from tests.support.databases import TIMESCALE_SERVER, execute, lay_out, with_database
from tests.support.folders import server_folder
from tests.support.requirements import AT_START, absent

# A loaded machine is no fault of the code: what is slow has a deadline of its own.
settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1_000)  # of `make soak`
settings.load_profile("unhurried")

ROOT = Path(__file__).parent.parent
CHECKED = frozenset({"unit", "architecture"})  # by `make check`, but for what is slow
DELETED_WITHIN_S = 30.0
READY_WITHIN_S = 180.0
TEMPLATE = "mds_template"
FIRST_PORT, LAST_PORT, LANES = 20_000, 32_000, 4
_LANE_PORTS = (LAST_PORT - FIRST_PORT) // LANES
# sessions beside this one start elsewhere
_steps = itertools.count(random.SystemRandom().randrange(_LANE_PORTS // 2))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give workers beside each other the longest first, and leave out what `make check` runs where it has just run.

    MDS_TEST_CHECKED says that it has: CI runs each test once.
    """
    if hasattr(config, "workerinput"):
        ranks: dict[Path, int] = {}
        for item in items:
            ranks[item.path] = min(_rank(item), ranks.get(item.path, _rank(item)))
        items.sort(key=lambda item: ranks[item.path])  # files stay whole, and so do the fixtures of a module
    if not AT_START.get("MDS_TEST_CHECKED"):
        return
    checked = [item for item in items if _is_checked(item.path.relative_to(ROOT / "tests").parts[0], item)]
    if checked:
        config.hook.pytest_deselected(items=checked)
        left_out = set(checked)
        items[:] = [item for item in items if item not in left_out]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Do not even read a file of which `make check` has run everything: reading them all takes half a minute."""
    if not AT_START.get("MDS_TEST_CHECKED") or not collection_path.match("test_*.py"):
        return None
    folder = collection_path.relative_to(ROOT / "tests").parts[0]
    return True if folder in CHECKED and b"mark.slow" not in collection_path.read_bytes() else None


def _rank(item: pytest.Item) -> int:
    """Return 0 of a test that may take longer than others, 1 of one that takes seconds, 2 of the rest."""
    return next((rank for rank, mark in enumerate(("timeout", "slow")) if item.get_closest_marker(mark)), 2)


def _is_checked(folder: str, item: pytest.Item) -> bool:
    return folder in CHECKED and item.get_closest_marker("slow") is None


def pytest_collection_finish() -> None:
    """Take what thousands of collected tests hold out of the collector's sight."""
    # it lives until the end, and walking it takes most of a second each time
    gc.collect()
    gc.freeze()


def free_port() -> int:
    """Return a loopback port nobody listens on now, with a free one after it; never the same twice in a row of many.

    Below those that systems give to outgoing connections, and from a range of this worker alone: what is free when it
    is returned is still free when a process that has yet to start takes it.
    """
    for _ in range(_LANE_PORTS // 2):
        port = _lane_start() + next(_steps) * 2 % _LANE_PORTS
        if _is_free(port) and _is_free(port + 1):
            return port
    raise AssertionError("no free port is left for tests")


def _lane_start() -> int:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return FIRST_PORT + int(worker) % LANES * _LANE_PORTS


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The real market data beside the checkout; CI has it, a user's clone need not."""
    for candidate in (ROOT.parent / "shared" / "data", ROOT / "shared" / "data"):
        if candidate.is_dir():
            return candidate
    return absent("no ../shared/data beside this checkout")


@pytest.fixture(scope="session")
def kcat() -> str:
    """The kcat on this machine; CI installs it, a user need not have it."""
    return shutil.which("kcat") or absent("no kcat on this machine")


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A folder for servers: PostgreSQL's own user must reach it, and pytest closes its folder at every start."""
    with server_folder() as folder:
        yield Path(folder)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder of this test alone like `server_home`: another pytest may start while the test runs."""
    with server_folder() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def kafka_bootstrap(server_home: Path) -> Iterator[str]:
    """Bootstrap servers of a real broker of this session, or of the one MDS_TEST_KAFKA names."""
    if given := os.environ.get("MDS_TEST_KAFKA"):
        yield given
        return
    with EmbeddedKafka(
        server_home / "broker", port=free_port(), controller_port=free_port(), short_lived=True
    ) as broker:
        broker.wait_ready(READY_WITHIN_S)
        yield broker.bootstrap_servers
        broker.kill()  # nothing is to be kept: a clean stop after hundreds of topics takes ten seconds and more


@contextmanager
def own_prefix(bootstrap: str) -> Iterator[str]:
    """Give a prefix nobody used; what is made under it, and under longer ones, is deleted in the end."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    yield prefix
    made = [name for name in Topics(bootstrap, "test").partition_counts() if name.startswith(prefix)]
    if made:
        # Each answer is awaited: a client that goes sends nothing more, and a broker that keeps every test's partitions
        # maps files until the kernel has no more to give.
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for deleted in admin.delete_topics(made).values():
            try:
                deleted.result(DELETED_WITHIN_S)
            except KafkaException as error:  # the metadata lags behind what a test deletes itself
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise


@pytest.fixture
def topic_prefix(kafka_bootstrap: str) -> Iterator[str]:
    """A prefix of this test alone under which every declared topic exists, until the test is over."""
    with own_prefix(kafka_bootstrap) as prefix:
        ensure_topics(kafka_bootstrap, prefix=prefix)
        yield prefix


@pytest.fixture
def bare_prefix(kafka_bootstrap: str) -> Iterator[str]:
    """Another prefix of this test alone, under which nothing exists yet."""
    with own_prefix(kafka_bootstrap) as prefix:
        yield prefix


@pytest.fixture(scope="session")
def postgres_admin(server_home: Path) -> Iterator[str]:
    """DSN with the right to create databases, on a real server of this session holding a migrated template.

    MDS_TEST_POSTGRES names a server that runs already, MDS_TEST_TIMESCALE_DSN one with TimescaleDB.
    """
    if given := TIMESCALE_SERVER or os.environ.get("MDS_TEST_POSTGRES"):
        asyncio.run(_make_template(given))
        yield given
        return
    with EmbeddedPostgres(server_home / "database", port=free_port(), durable=False) as server:
        server.wait_ready(READY_WITHIN_S)
        asyncio.run(_make_template(server.dsn))
        yield server.dsn


@contextmanager
def own_database(admin: str) -> Iterator[str]:
    """Give a migrated database that nobody else uses, cloned from the template of this session."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(admin, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}_{os.getpid()}"))
    yield with_database(admin, name)
    asyncio.run(execute(admin, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database(postgres_admin: str) -> Iterator[str]:
    """DSN of a fresh, migrated database of this test alone, cloned from the template."""
    with own_database(postgres_admin) as dsn:
        yield dsn


@pytest.fixture
def second_database(postgres_admin: str) -> Iterator[str]:
    """DSN of another one."""
    with own_database(postgres_admin) as dsn:
        yield dsn


async def _make_template(dsn: str) -> None:
    name = f"{TEMPLATE}_{os.getpid()}"
    await execute(dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await execute(dsn, f"CREATE DATABASE {name}")
    await lay_out(with_database(dsn, name))
    if TIMESCALE_SERVER:
        # Its workers would keep the template busy; a database that is cloned from it has workers of its own again.
        await execute(with_database(dsn, name), "SELECT timescaledb_pre_restore()")
