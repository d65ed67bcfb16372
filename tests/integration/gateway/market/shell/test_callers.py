"""Callers that go away while the database works for them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.builders import a_bar
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest

WORKING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mds-test' AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("path", ["/stocks/SPY/history?period=max", "/gaps?symbol=SPY"])
async def test_the_database_stops_working_for_a_caller_that_is_gone(database: str, path: str) -> None:
    """Long before the deadline: ten clients that ask and go would hold all connections for its ten seconds."""
    async with rest(database) as gateway:
        await gateway.store(a_bar())
        blocked = gateway.database.transaction()
        await blocked.start()
        await gateway.database.execute("LOCK TABLE streams, gap_evidence IN ACCESS EXCLUSIVE MODE")

        async def working() -> int:
            await gateway.database.execute("SELECT pg_stat_clear_snapshot()")
            return int(await gateway.database.fetchval(WORKING))

        async def waits() -> bool:
            return await working() == 1

        async def ended() -> bool:
            return await working() == 0

        asking = asyncio.ensure_future(gateway.session.get(gateway.url + path))
        await eventually(waits, within_s=5)
        asking.cancel()
        await eventually(ended, within_s=5)
        await blocked.rollback()

        assert (await gateway.get("/stocks/SPY/history", period="max"))["data"]
