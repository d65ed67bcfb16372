"""The universe of a real PostgreSQL, followed by producers."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from infra.runtime.lifecycle import Health
from producers.plan.shell.universe import PART, UniverseFollower
from schemas.errors import ConfigurationError
from schemas.universe import Member, Universe
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.universes import adding, store_of

WITHIN_S = 20.0


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
