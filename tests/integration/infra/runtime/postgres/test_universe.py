"""The universe in a real PostgreSQL: changed whole, never rewritten, followed within seconds, handled by the command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from infra.runtime.clock import wall_us
from infra.runtime.lifecycle import Health
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.universe import LOCK, LOCK_KEY, Edit, UniverseStore
from producers.plan.shell.universe import PART, UniverseFollower
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.universe import Member, Universe, merged
from tests.conftest import ROOT, free_port
from tests.support.eventually import eventually

WITHIN_S = 20.0
DAY_US = 86_400_000_000
CSV = 'symbol,tier,streams,note\nBRK.B,T1,bars quotes trades,\nSPY,T0,bars quotes,"index, of 500"\n'

Command = Callable[..., subprocess.CompletedProcess[str]]


@asynccontextmanager
async def store_of(dsn: str) -> AsyncIterator[UniverseStore]:
    """Open a store on a database."""
    async with postgres.pool(dsn, service="test", size=2) as pool:
        yield UniverseStore(pool)


def adding(*members: Member) -> Edit:
    """Return an edit that adds or changes members."""
    return lambda before: merged(before, members)


@pytest.fixture
def mds(database: str, tmp_path: Path) -> Command:
    """Give the command line on a database of this test alone."""
    env = {"PATH": os.environ["PATH"], "MDS_POSTGRES_DSN": database, "MDS_HOME": str(tmp_path / "home")}

    def run(*arguments: str, given: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.cli", "universe", *arguments],
            cwd=ROOT,
            env=env | more,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


async def test_a_change_is_one_version_and_the_past_stays(database: str) -> None:
    """Every change is in force from its own time on; what was true at a moment is told the same for ever."""
    async with store_of(database) as store:
        empty = wall_us()
        one, _ = await store.change(adding(Member(symbol="A"), Member(symbol="B", tier="T2")), by="me")
        first = wall_us()
        two, moved = await store.change(adding(Member(symbol="B", tier="T0", note="hot")), by="you")
        second = wall_us()
        three, _ = await store.change(lambda members: members[1:], by="me")
        same, nothing = await store.change(lambda members: members, by="me")

        assert (one, two, three, same) == (1, 2, 3, 3)
        assert [change.kind for change in moved.changes] == ["moved"]
        assert nothing.changes == ()
        assert (await store.read(empty)).version == 0
        assert await store.read(first) == Universe(
            version=1, members=(Member(symbol="A"), Member(symbol="B", tier="T2"))
        )
        assert [each.tier for each in (await store.read(second)).members] == ["T1", "T0"]
        assert (await store.read()).members == (Member(symbol="B", tier="T0", note="hot"),)
        history = await store.history("A")
        assert [(each.version, each.changed_by, each.member) for each in history] == [
            (1, "me", Member(symbol="A")),
            (3, "me", None),
        ]
        with pytest.raises(ConfigurationError, match="still to come"):
            await store.read(wall_us() + DAY_US)


async def test_what_was_written_cannot_be_rewritten(database: str) -> None:
    """Neither changed nor deleted nor emptied, whoever tries."""
    async with store_of(database) as store:
        await store.change(adding(Member(symbol="A")), by="me")
    connection = await asyncpg.connect(database)
    for statement in (
        "UPDATE universe_changes SET tier = 'T2'",
        "DELETE FROM universe_changes",
        "TRUNCATE universe_changes",
    ):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await connection.execute(statement)
    await connection.close()


async def test_importers_at_once_lose_nothing_of_each_other(database: str) -> None:
    """Twenty edits of one universe at once are twenty versions, and all of them are in the last."""
    async with store_of(database) as one, store_of(database) as two:
        done = await asyncio.gather(
            *(
                store.change(adding(Member(symbol=f"S{number}{name}")), by=name)
                for number in range(10)
                for store, name in ((one, "A"), (two, "B"))
            )
        )
        final = await one.read()

    assert sorted(version for version, _ in done) == list(range(1, 21))
    assert len(final.members) == 20
    assert final.version == 20


async def test_a_look_at_the_past_waits_for_a_change_that_is_being_made(database: str) -> None:
    """Its time may be earlier than the moment asked for: an answer given now would change."""
    holder = await asyncpg.connect(database)
    async with store_of(database) as store, asyncio.TaskGroup() as tasks, holder.transaction():
        await holder.execute(LOCK, LOCK_KEY)
        looking = tasks.create_task(store.read(wall_us()))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

        async def is_waiting() -> bool:
            return bool(await holder.fetchval(waiting))

        await eventually(is_waiting, within_s=WITHIN_S)
        assert not looking.done()
    assert looking.result().version == 0
    await holder.close()


async def test_an_edit_that_fails_changes_nothing(database: str) -> None:
    """All of it or nothing; a database without the table says what to run."""

    def refuse(_: object) -> list[Member]:
        raise ConfigurationError("no", remedy="do not")

    async with store_of(database) as store:
        with pytest.raises(ConfigurationError, match="no; do not"):
            await store.change(refuse, by="me")
        assert await store.version() == 0
        connection = await asyncpg.connect(database)
        await connection.execute("DROP VIEW universe; DROP FUNCTION universe_at; DROP TABLE universe_changes")
        await connection.close()
        with pytest.raises(StoreUnavailable, match="run `mds migrate`"):
            await store.version()


async def test_twenty_thousand_symbols_are_imported_and_followed(database: str) -> None:
    """As many as a universe may have, in one version, within the store's own deadlines."""
    members = tuple(Member(symbol=f"S{number:05d}", tier="T2") for number in range(20_000))
    async with store_of(database) as store:
        version, found = await store.change(lambda _: members, by="me")

        assert (version, len(found.changes)) == (1, 20_000)
        assert (await store.read()).members == members


async def test_a_follower_waits_begins_and_is_told_of_every_newer_version(
    postgres_admin: str, database: str
) -> None:
    """While the database is away it says why; a refused version leaves the last one, with the reason."""
    health, told = Health(), list[Universe]()

    async def changed(universe: Universe) -> None:
        if len(universe.members) > 2:
            raise ConfigurationError("too many", remedy="remove one")
        told.append(universe)

    nowhere = UniverseFollower(f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent", changed, health=health)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await nowhere.begin()
    assert not health.parts[PART].ready
    assert "PostgreSQL" in health.parts[PART].detail["waiting_for"]

    follower = UniverseFollower(database, changed, health=health)
    async with store_of(database) as store:
        await store.change(adding(Member(symbol="A")), by="me")
        begun = await follower.begin()
        running = asyncio.ensure_future(follower.run())
        await store.change(adding(Member(symbol="B", tier="T0")), by="me")
        await eventually(lambda: len(told) == 1, within_s=WITHIN_S, what="the second version")
        await store.change(adding(Member(symbol="C")), by="me")
        await eventually(
            lambda: "too many" in health.parts[PART].detail["last_error"],
            within_s=WITHIN_S,
            what="the refusal",
        )
        await store.change(lambda members: members[2:], by="me")
        await eventually(lambda: len(told) == 2, within_s=WITHIN_S, what="the fourth version")
        assert health.parts[PART].detail == {"version": 4, "members": 1, "last_error": ""}
        connection = await asyncpg.connect(database)
        await connection.execute("DROP VIEW universe; DROP FUNCTION universe_at; DROP TABLE universe_changes")
        await connection.close()
        await eventually(
            lambda: "mds migrate" in health.parts[PART].detail["last_error"],
            within_s=WITHIN_S,
            what="the outage",
        )
        running.cancel()

    assert (begun.version, [each.version for each in told]) == (1, [2, 4])
    assert (health.parts[PART].ready, health.parts[PART].detail["members"]) == (True, 1)


def test_the_command_imports_exports_and_tells_what_changed(mds: Command, tmp_path: Path) -> None:
    """Out and in again is no change; a broken file changes nothing; every change is told and remembered."""
    file, out = tmp_path / "universe.csv", tmp_path / "out.csv"
    file.write_text(CSV, "utf-8")
    dry = mds("import", str(file), "--dry-run")
    first = mds("import", str(file))
    exported = mds("export", str(out))
    again = mds("import", str(out), "--replace")
    broken = mds("import", "-", "--replace", given="symbol,tier\nQQQ,T0\nIBM,T7\n,T1\n")

    assert dry.stdout.splitlines()[-1] == (
        "2 added, 0 removed, 0 moved, 0 changed, 0 unchanged; nothing was changed (--dry-run)"
    )
    assert first.stdout.splitlines() == [
        "added BRK.B (T1, bars quotes trades)",
        "added SPY (T0, bars quotes)",
        "2 added, 0 removed, 0 moved, 0 changed, 0 unchanged; version 1",
    ]
    assert (exported.returncode, out.read_text("utf-8")) == (0, CSV)
    assert again.stdout == "0 added, 0 removed, 0 moved, 0 changed, 2 unchanged; version 1\n"
    assert (broken.returncode, broken.stdout) == (2, "")
    assert "stdin:3: tier 'T7' is no tier; write T0, T1 or T2" in broken.stderr
    assert "stdin:4: symbol the symbol is missing" in broken.stderr
    assert mds("export").stdout == CSV


def test_a_change_that_nothing_collects_is_warned_of(mds: Command, tmp_path: Path) -> None:
    """A universe nobody asks for is written all the same; a question and no change are silent."""
    asking, other = tmp_path / "asking.yaml", tmp_path / "other.yaml"
    asking.write_text("universe: database\n", "utf-8")
    other.write_text("symbols: [SPY]\n", "utf-8")

    collected = mds("set", "SPY", MDS_CONFIG=str(asking))
    idle = mds("set", "SPY", MDS_CONFIG=str(other))
    listed = mds("list", MDS_CONFIG=str(other))
    written = mds("set", "QQQ", MDS_CONFIG=str(other))
    simulated = mds("set", "IWM", MDS_MARKET_CLOCK="simulator")

    assert [each.returncode for each in (collected, idle, listed, written, simulated)] == [0] * 5
    assert (collected.stderr, idle.stderr, listed.stderr) == ("", "", "")
    assert written.stderr.startswith(
        "warning: collected only where the configuration in force has `universe: database`"
    )
    assert f"{other} has not" in written.stderr
    assert "the simulator without MDS_CONFIG has not" in simulated.stderr


def test_the_command_sets_removes_and_looks_back(mds: Command) -> None:
    """What is not named stays; a symbol that names nothing is taken with a warning."""
    added = mds("set", "SPY", "IBM", "--tier", "T2", "--note", "tail")
    moved = mds("set", "SPY", "--tier", "T0")
    odd = mds("set", "no-such-thing")
    removed = mds("remove", "IBM", "GONE")
    listed = json.loads(mds("list", "--json").stdout)
    history = json.loads(mds("history", "IBM", "--json").stdout)
    then = mds("export", "--at", history[0]["time"])
    future = mds("export", "--at", "2999-01-01T00:00:00Z")

    assert added.returncode == 0
    assert moved.stdout.splitlines()[0] == "moved SPY (T2 -> T0, bars quotes trades)"
    assert odd.returncode == 0
    assert "warning: " in odd.stderr
    assert "not collected" in odd.stderr
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (1, "removed IBM")
    assert "GONE: not in the universe" in removed.stderr
    assert [(each["symbol"], each["tier"], each["note"]) for each in listed["members"]] == [
        ("SPY", "T0", "tail"), ("no-such-thing", "T1", ""),
    ]  # fmt: skip
    assert [(each["version"], each["tier"]) for each in history] == [(1, "T2"), (4, None)]
    assert "@" in history[0]["by"]
    assert [line.split(",")[:2] for line in then.stdout.splitlines()[1:]] == [["IBM", "T2"], ["SPY", "T2"]]
    assert (future.returncode, mds("history", "NOBODY").returncode) == (2, 1)
