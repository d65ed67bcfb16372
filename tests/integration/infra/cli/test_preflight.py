"""`mds preflight` on the real broker and database: ready, then each thing broken in turn."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from infra.preflight.checks import Preflight
from infra.preflight.findings import Checked, Finding, verdict
from infra.preflight.machine import GB, Machine, OpenFileLimits
from infra.runtime.clock import wall_us
from infra.runtime.kafka.probing import GROUP
from infra.runtime.kafka.topics import Topics
from infra.runtime.postgres.files import migrations
from infra.runtime.postgres.migrate import DIRECTORY
from schemas.clocks import WallTime
from schemas.topics import BARS, CONFIGURATION, GAPS, RAW_BARS, RAW_QUOTES, dead
from tests.conftest import ROOT, free_port
from tests.support.databases import execute, of_partitions
from tests.support.embedded_cli import Cli
from tests.support.eventually import eventually
from tests.support.silent_servers import silent_server

FILE = """
symbols: [SPY, BTC-USD]
streams: {quotes: {providers: [yahoo]}}
"""
LAST = migrations(DIRECTORY)[-1].name
TOPIC_CHECKS = {
    "topics",
    "topic-timestamps",
    "topic-cleanup",
    "topic-retention",
    "topic-replicas",
    "topic-rights",
}
KAFKA_CHECKS = TOPIC_CHECKS | {"broker", "broker-version", "transactions", "broker-clock", "reading"}
DATABASE_CHECKS = {"postgres", "btree-gist", "timescaledb", "migrations", "reader-role", "postgres-clock"}
MACHINE = Machine(free_bytes=lambda _: 100 * GB, file_limits=lambda: OpenFileLimits(soft=20_000, hard=20_000))
SECOND_US = 1_000_000
FROZEN_FOR_AT_MOST_S = 60.0
SHOWN_WITHIN_S = 15.0


@dataclass
class Place:
    """A system that is ready, and how to break it."""

    kafka: str
    prefix: str
    dsn: str
    folder: Path
    env: dict[str, str]
    given: dict[str, Any] = field(default_factory=dict)  # of the preflight

    async def look(self) -> dict[str, Finding]:
        """Return what every check finds."""
        return {each.name: each.finding for each in await self.checked()}

    async def checked(self) -> list[Checked]:
        """Return the same, in order."""
        return await Preflight(env=self.env, **{"machine": MACHINE, **self.given}).run()

    async def set(self, name: str, key: str, value: str) -> None:
        """Change a setting of a topic, and wait until the broker shows it."""
        broker, topic = Topics(self.kafka, "test"), self.prefix + name
        await asyncio.to_thread(broker.change, [topic], key, value)

        def shown() -> bool:
            return broker.settings([topic], key)[topic] == value

        await eventually(lambda: asyncio.to_thread(shown), within_s=SHOWN_WITHIN_S)

    async def sql(self, statement: str) -> None:
        """Change the database."""
        await execute(self.dsn, statement)

    async def shown(self, holds: Callable[[Mapping[str, int]], bool]) -> None:
        """Wait until the broker shows a change of its topics."""
        broker = Topics(self.kafka, "test")
        await eventually(
            lambda: asyncio.to_thread(lambda: holds(broker.partition_counts())), within_s=SHOWN_WITHIN_S
        )


@pytest.fixture
def place(kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path) -> Place:
    """A ready system of this test alone."""
    (tmp_path / "mds.yaml").write_text(FILE)
    keys = tmp_path / "keys.yaml"
    keys.touch(mode=0o600)
    env = {
        "MDS_KAFKA": kafka_bootstrap,
        "MDS_TOPIC_PREFIX": topic_prefix,
        "MDS_POSTGRES_DSN": database,
        "MDS_CONFIG": str(tmp_path / "mds.yaml"),
        "MDS_HOME": str(tmp_path / "home"),
        "GATEWAY_KEYS_FILE": str(keys),
    }
    return Place(kafka=kafka_bootstrap, prefix=topic_prefix, dsn=database, folder=tmp_path, env=env)


async def test_a_system_that_is_ready_is_ready(place: Place) -> None:
    """Every check was made, and each of them is well."""
    found = await place.checked()

    assert {each.name: each.finding for each in found if each.finding.result != "ok"} == {}
    assert {each.name for each in found} >= KAFKA_CHECKS | DATABASE_CHECKS
    assert verdict(found) == 0


async def no_topic(place: Place) -> None:
    """Delete a topic."""
    name = place.prefix + dead(RAW_QUOTES)
    admin = AdminClient({"bootstrap.servers": place.kafka})  # held: what it was asked ends with it
    admin.delete_topics([name])[name].result(SHOWN_WITHIN_S)
    await place.shown(lambda counts: name not in counts)


async def more_partitions(place: Place) -> None:
    """Give a topic another partition."""
    name = place.prefix + BARS
    count = Topics(place.kafka, "test").partition_counts()[name] + 1
    admin = AdminClient({"bootstrap.servers": place.kafka})  # held: what it was asked ends with it
    admin.create_partitions([NewPartitions(name, count)])[name].result(SHOWN_WITHIN_S)
    await place.shown(lambda counts: counts[name] == count)


def setting(name: str, key: str, value: str) -> Callable[[Place], Awaitable[None]]:
    """Return what changes a setting of a topic."""
    return lambda place: place.set(name, key, value)


def statement(text: str) -> Callable[[Place], Awaitable[None]]:
    """Return what changes the database."""
    return lambda place: place.sql(text)


def variable(name: str, value: str) -> Callable[[Place], Awaitable[None]]:
    """Return what changes the environment."""

    async def change(place: Place) -> None:
        place.env[name] = value

    return change


def told(**given: Any) -> Callable[[Place], Awaitable[None]]:
    """Return what tells the preflight something else."""

    async def change(place: Place) -> None:
        place.given |= given

    return change


def file(text: str) -> Callable[[Place], Awaitable[None]]:
    """Return what changes the configuration."""

    async def change(place: Place) -> None:
        await asyncio.to_thread((place.folder / "mds.yaml").write_text, text)

    return change


async def open_keys(place: Place) -> None:
    """Let others read the keys."""
    await asyncio.to_thread(Path(place.env["GATEWAY_KEYS_FILE"]).chmod, 0o644)


def later_by(seconds: float) -> Callable[[], WallTime]:
    """Return a clock that is ahead."""
    return lambda: WallTime(wall_us() + int(seconds * SECOND_US))


BREAKS = [
    pytest.param(no_topic, {"topics": "failed"}, "are missing: ", "run `mds topics apply`", 2, id="topic-missing"),
    pytest.param(more_partitions, {"topics": "failed"}, "share one partition count", "mds topics move", 2, id="partitions"),
    pytest.param(setting(BARS, "message.timestamp.type", "CreateTime"), {"topic-timestamps": "failed"}, "not LogAppendTime", "message.timestamp.type=LogAppendTime", 2, id="stamps"),
    pytest.param(setting(RAW_BARS, "cleanup.policy", "compact"), {"topic-cleanup": "failed"}, "cleanup.policy differs", "cleanup.policy=delete", 2, id="policy"),
    pytest.param(setting(RAW_BARS, "retention.ms", "3600000"), {"topic-retention": "warning"}, "shorter than declared", "14 days", 1, id="retention"),
    pytest.param(setting(GAPS, "max.message.bytes", "1000"), {"topic-retention": "failed"}, "max.message.bytes is less", "max.message.bytes=2097152", 2, id="sizes"),
    pytest.param(setting(GAPS, "min.insync.replicas", "2"), {"topic-replicas": "failed"}, "nothing can be written", "min.insync.replicas=1", 2, id="copies"),
    pytest.param(setting(dead(CONFIGURATION), "message.timestamp.type", "CreateTime"), {"topic-timestamps": "failed", "broker-clock": "unknown"}, "not LogAppendTime", "LogAppendTime", 2, id="stamps-of-the-probe"),
    pytest.param(told(kafka_version="4.3.0"), {"broker-version": "failed"}, "4.3.0", "4.2.2", 2, id="release"),
    pytest.param(told(kafka_version="4.4"), {"broker-version": "unknown"}, "4.4.x", "--kafka-version", 3, id="release-in-doubt"),
    pytest.param(statement("DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations)"), {"migrations": "failed"}, LAST, "mds migrate", 2, id="pending"),
    pytest.param(statement("INSERT INTO schema_migrations VALUES ('9999_pre_future', 'x')"), {"migrations": "failed"}, "9999_pre_future", "newer version", 2, id="newer"),
    pytest.param(statement("UPDATE schema_migrations SET sha256 = 'x' WHERE name = (SELECT max(name) FROM schema_migrations)"), {"migrations": "failed"}, "was edited", "restore it", 2, id="edited"),
    pytest.param(statement("DROP EXTENSION btree_gist CASCADE"), {"btree-gist": "failed"}, "lacks the extension", "CREATE EXTENSION btree_gist", 2, id="extension"),
    pytest.param(statement("REVOKE SELECT ON v_bars FROM mds_reader"), {"reader-role": "warning"}, "may not read v_bars", "GRANT SELECT ON v_bars", 1, id="reader"),
    pytest.param(open_keys, {"secret-files": "failed"}, "mode 0644", "chmod", 2, id="open-keys"),
    pytest.param(variable("GATEWAY_KEYS_FILE", "/absent/keys.yaml"), {"secret-files": "failed"}, "cannot be read", "chmod", 2, id="no-keys-file"),
    pytest.param(file(FILE + "provders: {}\n"), {"configuration": "failed", "provider-keys": "unknown", "calendars": "unknown"}, "mds.yaml:4", "providers", 2, id="unknown-key"),
    pytest.param(file(FILE + "providers: {finnhub: {}}\n"), {"provider-keys": "warning"}, "finnhub", "PRODUCERS_FINNHUB_TOKEN", 1, id="no-provider-key"),
    pytest.param(told(now=later_by(5)), {"broker-clock": "failed", "postgres-clock": "failed"}, " s behind this", "NTP", 2, id="clock-ahead"),
    pytest.param(told(now=later_by(-5)), {"broker-clock": "failed", "postgres-clock": "failed"}, "s ahead of", "NTP", 2, id="clock-behind"),
    pytest.param(told(machine=Machine(free_bytes=lambda _: 100 * GB, file_limits=lambda: OpenFileLimits(soft=256, hard=256))), {"open-files": "failed"}, "256 files", "ulimit -n", 2, id="files"),
    pytest.param(told(machine=Machine(free_bytes=lambda _: 1_000_000, file_limits=MACHINE.file_limits)), {"disk": "failed"}, "MDS_HOME 0.0 GB", "MDS_HOME", 2, id="disk"),
    pytest.param(told(gateways=2), {"page-token-key": "failed"}, "2 gateways", "openssl rand -hex 32", 2, id="page-token-key"),
    pytest.param(variable("GATEWAY_PAGE_TOKEN_KEY", "x7x7x7"), {"page-token-key": "failed"}, "shorter than 32", "openssl", 2, id="short-page-token-key"),
]  # fmt: skip


@of_partitions
@pytest.mark.parametrize(("break_it", "changed", "says", "remedy", "code"), BREAKS)
async def test_what_is_broken_is_found_and_nothing_else(
    break_it: Callable[[Place], Awaitable[None]],
    changed: dict[str, str],
    says: str,
    remedy: str,
    code: int,
    place: Place,
) -> None:
    """The check that is about it says so with the remedy; all others are as before."""
    await break_it(place)
    found = await place.checked()
    first = next(each.finding for each in found if each.name in changed)

    assert {each.name: each.finding.result for each in found if each.finding.result != "ok"} == changed
    assert says in first.says
    assert remedy in first.remedy
    assert verdict(found) == code


@asynccontextmanager
async def stopped_database(place: Place) -> AsyncIterator[None]:
    """Freeze the real server: the kernel still takes connections for it."""
    connection = await asyncpg.connect(place.dsn)
    folder = await connection.fetchval("SHOW data_directory")
    await connection.close()
    pid_file = Path(folder) / "postmaster.pid"
    pid = int((await asyncio.to_thread(pid_file.read_text)).splitlines()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def nobody(place: Place, name: str, address: str) -> AsyncIterator[None]:
    """Name a server that is not there."""
    place.env[name] = address.format(free_port())
    yield


@asynccontextmanager
async def silence(place: Place, name: str, address: str) -> AsyncIterator[None]:
    """Name a server that takes connections and never answers."""
    async with silent_server() as port:
        place.env[name] = address.format(port)
        yield


DSN, SERVERS = "postgresql://mds:hunter22222@127.0.0.1:{}/mds", "127.0.0.1:{}"


@pytest.mark.parametrize(
    ("away", "unknown", "remedy"),
    [
        pytest.param(lambda place: nobody(place, "MDS_KAFKA", SERVERS), KAFKA_CHECKS, "set MDS_KAFKA", id="no-broker"),
        pytest.param(lambda place: silence(place, "MDS_KAFKA", SERVERS), KAFKA_CHECKS, "set MDS_KAFKA", id="frozen-broker"),
        pytest.param(lambda place: nobody(place, "MDS_POSTGRES_DSN", DSN), DATABASE_CHECKS, "set MDS_POSTGRES_DSN", id="no-database"),
        pytest.param(lambda place: silence(place, "MDS_POSTGRES_DSN", DSN), DATABASE_CHECKS, "set MDS_POSTGRES_DSN", id="silent-database"),
        pytest.param(stopped_database, DATABASE_CHECKS, "set MDS_POSTGRES_DSN", id="frozen-database"),
    ],
)  # fmt: skip
async def test_a_server_that_does_not_answer_holds_nobody_up_and_hides_nothing(
    away: Callable[[Place], Any], unknown: set[str], remedy: str, place: Place
) -> None:
    """What needs it could not be looked at, in a bounded time; the rest was."""
    async with away(place):
        began_s = time.monotonic()
        found = await place.checked()
        took_s = time.monotonic() - began_s

    assert {each.name for each in found if each.finding.result == "unknown"} == unknown
    assert {each.finding.result for each in found if each.name not in unknown} == {"ok"}
    first, *others = (each.finding for each in found if each.name in unknown)
    assert remedy in first.remedy
    assert {each.says.partition(": ")[0] for each in others} == {"not looked at"}
    assert verdict(found) == 3
    assert took_s < FROZEN_FOR_AT_MOST_S


async def test_a_password_that_is_wrong_is_a_failure_and_is_shown_to_nobody(place: Place) -> None:
    """The server answered: somebody must correct the address."""
    place.env["MDS_POSTGRES_DSN"] = place.dsn.replace(":mds@", ":hunter22222@")
    found = await place.checked()
    failure = next(each.finding for each in found if each.name == "postgres")

    assert (failure.result, failure.remedy) == ("failed", "correct MDS_POSTGRES_DSN")
    assert verdict(found) == 2
    assert "hunter22222" not in repr(found)


TABLES = """
    SELECT c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v') ORDER BY 1
"""


async def everything(place: Place) -> dict[str, Any]:
    """Return whatever a preflight could have changed."""
    connection = await asyncpg.connect(place.dsn)
    database = {
        "tables": {
            name: await connection.fetchval(f'SELECT count(*) FROM "{name}"')  # noqa: S608 - PostgreSQL's own names
            for (name,) in await connection.fetch(TABLES)
        },
        "roles": [row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles ORDER BY 1")],
        "extensions": [row[0] for row in await connection.fetch("SELECT extname FROM pg_extension ORDER BY 1")],
    }  # fmt: skip
    await connection.close()
    return database | await asyncio.to_thread(_kept, place)


def _kept(place: Place) -> dict[str, Any]:
    broker = Topics(place.kafka, "test")
    counts = {name: n for name, n in broker.partition_counts().items() if name.startswith(place.prefix)}
    admin = AdminClient({"bootstrap.servers": place.kafka})
    listed = admin.list_consumer_groups().result(15)
    probed = place.prefix + dead(CONFIGURATION)
    partitions = [
        (name, number) for name, count in counts.items() for number in range(count) if name != probed
    ]
    return {
        "topics": counts,
        "settings": {key: broker.settings(counts, key) for key in ("retention.ms", "cleanup.policy")},
        "ends": {where: bounds[:2] for where, bounds in broker.bounds(partitions).items()},
        "groups": {each.group_id for each in listed.valid if each.group_id.startswith(place.prefix)},
        "files": {
            str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in place.folder.rglob("*")
        },
    }


async def test_nothing_is_changed_by_looking(place: Place) -> None:
    """Neither topics nor what they hold, nor groups, rows, roles or files; there is not even a home afterwards."""
    before = await everything(place)
    await place.checked()
    await eventually(lambda: no_group(place), within_s=SHOWN_WITHIN_S)
    after = await everything(place)

    assert after == before
    assert str(place.folder / "home") not in after["files"]


async def no_group(place: Place) -> bool:
    """Whether the group that was tried is gone."""
    admin = AdminClient({"bootstrap.servers": place.kafka})
    listed = await asyncio.to_thread(admin.list_consumer_groups().result, 15)
    assert not listed.errors
    return place.prefix + GROUP not in {each.group_id for each in listed.valid}


def ran(place: Place, *arguments: str) -> tuple[int, str, str]:
    """Run the command and return its exit code, its answer and what else it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **place.env},
        capture_output=True,
        text=True,
        timeout=FROZEN_FOR_AT_MOST_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


# of the machine the suite runs on
OF_THE_MACHINE = {"disk", "open-files"}


@pytest.mark.parametrize(
    "program", [("infra.cli", "preflight"), ("scripts.pre_deploy",)], ids=lambda each: each[0]
)
def test_the_command_and_the_script_say_the_same(program: tuple[str, ...], place: Place) -> None:
    """As JSON with the exit code in it, or in words; secrets of the environment are in neither."""
    place.env |= {"PRODUCERS_FINNHUB_TOKEN": "c0ffee-and-milk", "MDS_API_KEY": "mds_longer_than_that"}
    code, printed, beside = ran(place, *program, "--json")
    document = orjson.loads(printed)
    results = {each["name"]: each["result"] for each in document["checks"]}

    assert {name for name, result in results.items() if result != "ok"} <= OF_THE_MACHINE
    assert code == document["exit_code"]
    place.env["MDS_POSTGRES_DSN"] = f"{place.dsn}_gone"
    code, printed, besides = ran(place, *program)
    assert code == 2
    assert "failed   postgres" in printed
    assert printed.splitlines()[-1].startswith("not ready: ")
    for secret in ("c0ffee-and-milk", "mds_longer_than_that", place.env["MDS_POSTGRES_DSN"]):
        assert secret not in printed + beside + besides


def test_where_nothing_runs_it_says_what_to_start(mds: Cli) -> None:
    """One line a check, and no trace of a look: the home stays as it was."""
    printed = mds("preflight", expect=3, MDS_MARKET_CLOCK="simulator")

    assert "start it with `mds up kafka`" in printed
    assert "start it with `mds up postgres`" in printed
    assert not mds.home.exists()
