"""A state of a database that is compared for as long as it takes."""

from __future__ import annotations

import pytest

from infra.runtime.postgres.comparing import snapshot
from schemas.errors import StoreUnavailable
from tests.support.databases import execute

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mds-verify'"


async def test_a_server_that_goes_away_meanwhile_is_an_outage(database: str) -> None:
    """As it is for whoever else reads."""
    with pytest.raises(StoreUnavailable, match="PostgreSQL"):
        async with snapshot(database) as connection:
            await execute(database, OTHERS)
            await connection.fetchval("SELECT 1")
