"""Connections of ours to the real database: times are integers both ways."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.session import open_connection


@pytest.mark.parametrize("pooled", [True, False])
async def test_times_are_microseconds_both_ways(database: str, *, pooled: bool) -> None:
    """On every connection of ours, alone, absent and in arrays; nothing is lost to a float or a time zone."""
    moments = [-2_208_988_800_000_000, 0, 946_684_800_000_000, 1_772_461_800_000_001]
    async with AsyncExitStack() as opened:
        if pooled:
            pool = await opened.enter_async_context(postgres.pool(database, service="test", size=1))
            connection = await opened.enter_async_context(postgres.connection(pool, within_s=10))
        else:
            connection = await opened.enter_async_context(open_connection(database, service="test"))
        answers = [await connection.fetchval("SELECT $1::timestamptz", moment) for moment in moments]
        together = await connection.fetchval("SELECT $1::timestamptz[]", [*moments, None])
        absent = await connection.fetchval("SELECT NULL::timestamptz")
        named = await connection.fetchval("SELECT '2026-03-02T14:30:00.000001Z'::timestamptz")

    assert answers == moments
    assert together == [*moments, None]
    assert absent is None
    assert named == 1_772_461_800_000_001
