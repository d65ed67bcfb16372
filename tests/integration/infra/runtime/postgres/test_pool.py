"""Deadlines and migrations on the real database."""

from __future__ import annotations

import time

import asyncpg
import pytest

from infra.runtime.postgres import pool as postgres
from schemas.errors import StoreUnavailable
from tests.support.eventually import eventually


async def test_a_statement_that_does_not_end_is_cut_at_the_deadline(database: str) -> None:
    """The deadline holds although the server never answers, and the pool goes on."""
    async with postgres.pool(database, service="test", size=1) as pool:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            async with postgres.connection(pool, within_s=0.5) as connection:
                await connection.execute("SELECT pg_sleep(30)")

        assert time.monotonic() - began < 10
        async with postgres.connection(pool, within_s=10) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_the_server_stops_for_a_caller_that_is_gone(database: str) -> None:
    """Its time limit is half a minute here: as long it would work for nobody, beside those that came in its place."""
    working = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name = 'mds-gone'"
    watching = await asyncpg.connect(database)

    async def stopped() -> bool:
        return await watching.fetchval(working) == 0

    async with postgres.pool(database, service="gone", size=1) as pool:
        with pytest.raises(StoreUnavailable):
            async with postgres.connection(pool, within_s=0.3) as connection:
                await connection.execute("SELECT pg_sleep(25)")
        await eventually(stopped, within_s=5)
    await watching.close()


async def test_an_error_about_the_data_is_not_disguised_as_an_outage(database: str) -> None:
    """Only "not now" becomes StoreUnavailable; the rest must reach the bisection."""
    async with postgres.pool(database, service="test", size=1) as pool:
        with pytest.raises(asyncpg.DataError):
            async with postgres.connection(pool, within_s=10) as connection:
                await connection.fetchval("SELECT 'x'::text::integer")


async def test_an_error_whose_meaning_is_given_is_an_outage_with_a_remedy(database: str) -> None:
    """Who only remembers something there can go on without, and says what is missing."""
    async with postgres.pool(database, service="test", size=1) as pool:
        with pytest.raises(
            StoreUnavailable, match=r"nothing is remembered: UndefinedTableError: .*mds migrate"
        ):
            async with postgres.connection(pool, within_s=10, or_else="nothing is remembered") as connection:
                await connection.fetchval("SELECT * FROM nosuch")


async def test_a_database_that_is_down_is_an_outage_at_once() -> None:
    """A pool may be opened while the database is away."""
    async with postgres.pool("postgresql://mds:mds@127.0.0.1:1/mds", service="test") as pool:
        with pytest.raises(StoreUnavailable):
            async with postgres.connection(pool, within_s=5) as connection:
                await connection.fetchval("SELECT 1")
