"""Cursors of series of a real database."""

from __future__ import annotations

from gateway.database.shell.cursors import series_cursor
from infra.runtime.postgres.pool import connection, pool
from schemas.identity import stream_of
from schemas.intervals import MINUTE_US
from tests.support.builders import NINE_THIRTY
from tests.support.sink_writers import a_minute, store


async def test_a_cursor_reaches_to_the_first_minute_that_lacks(database: str) -> None:
    """Of a series without rows there is none."""
    minutes = [a_minute(number) for number in (0, 1, 3)]
    await store(database, minutes)
    stream = stream_of(f"bars.1m:{minutes[0].provider}:SPY")
    async with pool(database, service="test", size=1) as opened, connection(opened, within_s=10) as borrowed:
        found = await series_cursor(borrowed, stream)
        nothing = await series_cursor(borrowed, stream_of(f"bars.1h:{minutes[0].provider}:SPY"))

    assert found is not None
    assert (found.start_time, found.last_seen) == (NINE_THIRTY, NINE_THIRTY + 3 * MINUTE_US)
    assert nothing is None
