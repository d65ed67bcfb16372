"""The universe in a real PostgreSQL: changed whole, never rewritten, followed within seconds, handled by the command."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from infra.runtime.clock import wall_us
from infra.runtime.postgres.universe import LOCK, LOCK_KEY
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.universe import Member, Universe
from tests.support.eventually import eventually
from tests.support.universes import adding, store_of

WITHIN_S = 20.0


DAY_US = 86_400_000_000


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
