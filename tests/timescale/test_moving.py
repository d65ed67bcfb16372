"""`mds migrate --timescale`: what it refuses, that a killed move goes on, and that nothing is told differently after it."""

# ruff: noqa: S608 - names of this file only
from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres.timescale import move_database
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, MINUTE_US
from sinks.store.shell.rows import WritePath
from tests.support.builders import NINE_THIRTY, a_quote, a_trade
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge, migrated
from tests.support.timescale_rows import VIEWS, plain_database, store, told, values

DAYS = 40  # of bars and trades, over the end of a month


class Killed(Exception):
    """The end of the process that moves a database."""


class Mortal:
    """A connection whose process is killed after some batches."""

    def __init__(self, bridge: Bridge, batches: int) -> None:
        """Live for so many batches."""
        self._bridge = bridge
        self._batches = batches

    def __getattr__(self, name: str) -> Any:
        """Do the rest as the connection does."""
        return getattr(self._bridge, name)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the value, or die."""
        if "move_rows" in query:
            if not self._batches:
                raise Killed
            self._batches -= 1
        return await self._bridge.fetchval(query, *args)


async def fill(bridge: Bridge) -> None:
    """Store two symbols' bars, some of them corrected or forming, quotes and trades, of days in two months."""
    moments = [(day * DAY_US + minute * MINUTE_US) for day in range(DAYS) for minute in range(3)]
    symbols = ("SPY", "IBM")
    bars = [
        a_minute(0, symbol=symbol, event_time=NINE_THIRTY + moment, raw_offset=at)
        for at, moment in enumerate(moments)
        for symbol in symbols
    ]
    await store(bridge, bars)
    corrected = [
        a_minute(0, event_time=NINE_THIRTY + moment, close=9.0, raw_offset=900 + at)
        for at, moment in enumerate(moments[:30])
    ]
    await store(bridge, corrected, WritePath.STAGED)
    await store(bridge, [a_minute(0, event_time=NINE_THIRTY + DAYS * DAY_US, final=False, raw_offset=2_000)])
    await store(
        bridge, [a_quote(event_time=NINE_THIRTY + moment, raw_offset=at) for at, moment in enumerate(moments)]
    )
    await store(
        bridge, [a_trade(event_time=NINE_THIRTY + moment, raw_offset=at) for at, moment in enumerate(moments)]
    )


async def test_what_cannot_move_is_refused_with_the_remedy(timescale_process: Bridge) -> None:
    """Without the extension, without our tables, and half way to the present layout."""
    bridge: Any = timescale_process
    bridge.open()
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION timescaledb"):
        await move_database(bridge, print)
    await bridge.execute("CREATE EXTENSION timescaledb")
    with pytest.raises(ConfigurationError, match="run `mds migrate` first"):
        await move_database(bridge, print)
    await migrated(bridge)
    await bridge.execute("CREATE TABLE old_bars ()")
    with pytest.raises(ConfigurationError, match="half converted"):
        await move_database(bridge, print)

    assert await values(bridge, "SELECT to_regclass('timescale_migrations') IS NULL") == [(True,)]


async def test_a_move_killed_again_and_again_loses_nothing(timescale_process: Bridge) -> None:
    """It goes on where it was; meanwhile readers read what they read before and writers are told to wait."""
    bridge: Any = timescale_process
    await plain_database(bridge)
    await fill(bridge)
    await bridge.execute(
        "CREATE ROLE sink; GRANT INSERT, SELECT ON bars TO sink; CREATE VIEW mine AS SELECT close FROM v_bars"
    )
    before, said, lives = await told(bridge), [], 0
    assert all(before[name] for name in VIEWS)
    while True:
        lives += 1
        try:
            await move_database(Mortal(bridge, batches=3), said.append, pages=1)  # type: ignore[arg-type]
        except Killed:
            assert await told(bridge) == before
        else:
            break
    assert lives > 3
    assert await told(bridge) == before

    hypertables = await values(
        bridge,
        "SELECT hypertable_name, time_interval::text FROM timescaledb_information.dimensions"
        " WHERE hypertable_schema = 'public' ORDER BY 1",
    )
    assert hypertables == [
        ("bars", "7 days"), ("bars_superseded", "7 days"), ("options", "7 days"), ("quotes", "1 day"), ("trades", "1 day"),
    ]  # fmt: skip
    assert await values(bridge, "SELECT count(*) FROM partition_widths") == [(0,)]
    left = "SELECT count(*) FROM pg_class WHERE relname ~ '_(moving|plain|20[0-9]+)' AND relnamespace = 'public'::regnamespace"
    assert await values(bridge, left) == [(0,)]
    assert await values(bridge, "SELECT has_table_privilege('sink', 'bars', 'INSERT')") == [(True,)]
    assert await values(bridge, "SELECT has_table_privilege('mds_reader', 'v_bars', 'SELECT')") == [(True,)]
    assert len(await values(bridge, "SELECT * FROM mine")) == len(before["v_bars"])
    said.clear()
    await move_database(bridge, said.append)
    assert said == []


async def test_who_writes_to_a_table_that_moves_is_told_to_wait(timescale_process: Bridge) -> None:
    """With the code of a lock that is not to be had; what slips in by a partition's own name stops the move."""
    bridge: Any = timescale_process
    await plain_database(bridge)
    await store(bridge, [a_trade(raw_offset=at) for at in range(10)])
    with pytest.raises(Killed):
        await move_database(Mortal(bridge, batches=0), print)  # type: ignore[arg-type]
    await bridge.fetchval("SELECT begin_move('trades', INTERVAL '1 day')")

    with pytest.raises(asyncpg.LockNotAvailableError, match="trades is being moved to TimescaleDB"):
        await store(bridge, [a_trade(raw_offset=20)])
    while await bridge.fetchval("SELECT move_rows('trades', 1000)") is not None:
        pass
    ((partition,),) = await values(
        bridge, "SELECT partition_name FROM timescale_moves WHERE table_name = 'trades'"
    )
    await bridge.execute(f"DELETE FROM {partition} WHERE position = (SELECT min(position) FROM trades)")
    with pytest.raises(asyncpg.RaiseError, match="10 rows of trades were copied and it has 9"):
        await move_database(bridge, print)
