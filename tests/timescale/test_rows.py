"""What a sink writes, with TimescaleDB: its own COPY bytes, and corrections of days that are compressed already."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest

from infra.runtime.postgres.migrate import DIRECTORY
from schemas.intervals import DAY_US, MINUTE_US
from sinks.store.shell.rows import WritePath
from sinks.store.shell.session import LIFT_DECOMPRESSION_LIMIT
from sinks.store.versions import STAGING
from tests.support.builders import NINE_THIRTY
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge
from tests.support.timescale_rows import run_job, store, timescale_database, values


@pytest.fixture(scope="module")
def bridge(timescale_process: Bridge) -> Bridge:
    """A database with hypertables; each test here has symbols of its own."""
    asyncio.run(timescale_database(timescale_process))
    return timescale_process


async def test_the_bytes_of_a_copy_become_the_rows_they_say(bridge: Bridge) -> None:
    """20,000 bars of four symbols, encoded as a sink encodes them, read back as they were."""
    bars = [
        a_minute(0, symbol=f"C{number % 4}", event_time=NINE_THIRTY + number // 4 * MINUTE_US, raw_offset=number,
                 close=167.0 + number % 89, vwap=None if number % 3 else 1.5, trade_count=None if number % 5 else number,
                 adjusted_through=None if number % 7 else 16_000 + number, adjustment_state="split")
        for number in range(20_000)
    ]  # fmt: skip
    stored = await store(bridge, bars)

    read = await values(
        bridge,
        "SELECT symbol, interval, event_time, open, high, low, close, volume, vwap, trade_count, final, session,"
        " adjustment_state, currency, simulated, provider, route, received_time, known_from, raw_offset, idx, revision,"
        " adjusted_through - DATE '1970-01-01'"
        " FROM v_bars WHERE symbol LIKE 'C_' ORDER BY raw_offset",
    )
    assert sum(part.fast for part in stored) == len(bars)
    assert read == [
        (bar.symbol, bar.interval, bar.event_time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap,
         bar.trade_count, bar.final, bar.session, bar.adjustment_state, bar.currency, bar.simulated, bar.provider,
         bar.route, bar.received_time, bar.known_from, bar.raw_offset, bar.index, 0, bar.adjusted_through)
        for bar in bars
    ]  # fmt: skip


STAGED = re.findall(r"CREATE TEMP TABLE (\w+)", STAGING)
BASIS = next(DIRECTORY.glob("0024_*.sql")).read_text("utf-8")


async def test_a_day_for_their_shares_comes_to_bars_that_are_compressed_already(bridge: Bridge) -> None:
    """The migration as it meets a database in use: what is stored has none, what corrects it brings its own."""
    moments = [NINE_THIRTY + day * DAY_US for day in range(3)]
    await store(bridge, [a_minute(0, symbol="E1", event_time=each, raw_offset=3) for each in moments])
    for table in ("bars", "bars_superseded", "bars_forming"):
        await bridge.execute(f"ALTER TABLE {table} DROP COLUMN adjusted_through CASCADE")
    await bridge.execute("SELECT compress_chunk(chunk) FROM show_chunks('bars') chunk")
    async with bridge.transaction():
        await bridge.execute(BASIS.partition("BEGIN;")[2].partition("INSERT INTO schema_migrations")[0])
    await bridge.execute("".join(f"DROP TABLE {each};" for each in STAGED) + STAGING)
    rebased = a_minute(
        0, symbol="E1", event_time=moments[0], raw_offset=4, close=9.0, low=9.0, adjustment_state="split", adjusted_through=16_230
    )  # fmt: skip
    await store(bridge, [rebased], WritePath.STAGED)

    told = "SELECT raw_offset, adjusted_through - DATE '1970-01-01' FROM {} WHERE symbol = 'E1' ORDER BY event_time, position"
    assert await values(bridge, told.format("v_bars")) == [(4, 16_230), (3, None), (3, None)]
    assert await values(bridge, told.format("v_bars_all")) == [(3, None), (4, 16_230), (3, None), (3, None)]


SYMBOLS, MINUTES = 400, 900  # 360,000 rows, of which more than the 100,000 allowed are unpacked
MANY = f"""
    INSERT INTO streams SELECT stream_id_of('bars', '1m', 'yahoo', 'D' || s), 'bars', '1m', 'yahoo', 'D' || s, 0
        FROM generate_series(1, {SYMBOLS}) s;
    INSERT INTO bars (stream_id, event_time, position, open, high, low, close, volume, received_time, known_from, revision,
        flags, currency)
    SELECT stream_id_of('bars', '1m', 'yahoo', 'D' || s), to_timestamp({NINE_THIRTY // 1_000_000}) + m * interval '1 minute',
        m, 1, 2, 0.5, 1.5, 100, now(), now(), 0, 3, 'USD'
    FROM generate_series(0, {MINUTES - 1}) m, generate_series(1, {SYMBOLS}) s"""  # noqa: S608 - numbers of this file


async def test_corrections_of_a_compressed_day_pass_however_many_symbols_they_are_of(bridge: Bridge) -> None:
    """With the limit lifted, as a sink's session does; without it they fail with 53400, which asks for less at once."""
    await bridge.execute(MANY)
    await run_job(bridge, "policy_compression", "bars")
    corrections = [
        a_minute(7, symbol=f"D{number}", close=9.0, raw_offset=1_000 + number)
        for number in range(1, SYMBOLS + 1)
    ]
    with pytest.raises(asyncpg.ConfigurationLimitExceededError) as refused:
        await store(bridge, corrections, WritePath.STAGED)
    await bridge.execute(LIFT_DECOMPRESSION_LIMIT)
    stored = await store(bridge, corrections, WritePath.STAGED)
    await bridge.execute("RESET timescaledb.max_tuples_decompressed_per_dml_transaction")

    assert refused.value.sqlstate == "53400"
    assert sum(part.versions for part in stored) == SYMBOLS
    corrected = (
        "SELECT count(*), min(close), max(revision) FROM v_bars WHERE symbol LIKE 'D%' AND raw_offset > 1000"
    )
    assert await values(bridge, corrected) == [(SYMBOLS, 9.0, 1)]
    replaced = "SELECT count(*) FROM bars_superseded r JOIN streams USING (stream_id) WHERE symbol LIKE 'D%'"
    assert await values(bridge, replaced) == [(SYMBOLS,)]
