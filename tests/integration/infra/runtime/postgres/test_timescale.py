"""The move to TimescaleDB where there is none; the move itself is in tests/timescale, on a server that has it."""

from __future__ import annotations

import asyncpg
import pytest

from infra.runtime.postgres.migrate import LOCK_KEY
from infra.runtime.postgres.timescale import migrate_to_timescale
from schemas.errors import ConfigurationError, StoreUnavailable
from tests.support.sink_records import query


async def test_a_server_without_the_extension_is_refused_with_the_remedy(database: str) -> None:
    """And nothing is changed there."""
    with pytest.raises(
        ConfigurationError, match="no TimescaleDB; install TimescaleDB on its server, or stay with"
    ):
        await migrate_to_timescale(database, print)

    assert await query(database, "SELECT FROM pg_tables WHERE tablename LIKE 'timescale%'") == []


async def test_two_migrations_at_once_are_one_too_many(database: str) -> None:
    """The second is told so; it waits for nothing."""
    first = await asyncpg.connect(database)
    try:
        await first.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
        with pytest.raises(StoreUnavailable, match="another migration of this database runs"):
            await migrate_to_timescale(database, print)
    finally:
        await first.close()


async def test_a_server_that_does_not_answer_is_said_so() -> None:
    """With what to do."""
    with pytest.raises(StoreUnavailable, match=r"is it up\? \(`mds up`\)"):
        await migrate_to_timescale("postgresql://nobody@127.0.0.1:1/none", print)
