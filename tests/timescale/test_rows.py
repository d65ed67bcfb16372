"""What a sink writes, with TimescaleDB: its own COPY bytes, and late rows of days that are compressed already."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres.timescale import move_database
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import Bar, Quote, Trade
from sinks.store.shell.rows import WritePath
from tests.support.builders import NINE_THIRTY, a_quote, a_trade
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge
from tests.support.timescale_rows import plain_database, run_job, store, timescale_database, told, values

Records = Sequence[Bar | Quote | Trade]
LIFTED = "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
COMPRESSED = "SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks WHERE hypertable_name = $1"


@pytest.fixture(scope="module")
def bridge(timescale_process: Bridge) -> Bridge:
    """A database with hypertables; each test here has symbols of its own."""
    asyncio.run(timescale_database(timescale_process))
    return timescale_process


async def test_the_bytes_of_a_copy_become_the_rows_they_say(bridge: Bridge) -> None:
    """20,000 bars of four symbols, encoded as a sink encodes them, read back as they were."""
    bars = [
        a_minute(0, symbol=f"C{number % 4}", event_time=NINE_THIRTY + number // 4 * MINUTE_US, raw_offset=number,
                 close=167.0 + number % 89, vwap=None if number % 3 else 1.5, trade_count=None if number % 5 else number)
        for number in range(20_000)
    ]  # fmt: skip
    stored = await store(bridge, bars)

    read = await values(
        bridge,
        "SELECT symbol, interval, event_time, open, high, low, close, volume, vwap, trade_count, final, session,"
        " adjustment_state, currency, simulated, provider, route, received_time, known_from, raw_offset, idx, revision"
        " FROM v_bars WHERE symbol LIKE 'C_' ORDER BY raw_offset",
    )
    assert sum(part.fast for part in stored) == len(bars)
    assert read == [
        (bar.symbol, bar.interval, bar.event_time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap,
         bar.trade_count, bar.final, bar.session, bar.adjustment_state, bar.currency, bar.simulated, bar.provider,
         bar.route, bar.received_time, bar.known_from, bar.raw_offset, bar.index, 0)
        for bar in bars
    ]  # fmt: skip


SYMBOLS, MINUTES = 400, 280  # 112,000 rows to unpack; 100,000 are allowed unless the session says otherwise
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
    await bridge.execute(LIFTED)
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


def first() -> list[Records]:
    """Return what is stored first: of each kind some, over a week, and a bar still forming."""
    moments = [NINE_THIRTY + day * DAY_US + minute * MINUTE_US for day in range(7) for minute in range(30)]
    bars = [a_minute(0, event_time=moment, raw_offset=at) for at, moment in enumerate(moments)]
    quotes = [a_quote(event_time=moment, raw_offset=at) for at, moment in enumerate(moments)]
    trades = [a_trade(event_time=moment, raw_offset=at) for at, moment in enumerate(moments)]
    forming = [a_minute(0, event_time=NINE_THIRTY + 8 * DAY_US, raw_offset=5_000, final=False)]
    return [bars, quotes, trades, forming]


def late() -> list[Records]:
    """Return what comes when those days are compressed: told again, corrected, twice at once, back again, and absent before."""
    moments = [
        NINE_THIRTY + day * DAY_US + minute * MINUTE_US for day in range(7) for minute in range(0, 40, 5)
    ]
    changes: list[dict[str, Any]] = [
        {},
        {"close": 9.0},
        {"close": 8.0},
        {},
        {"volume": 0.0, "session": "pre"},
    ]
    found: list[Records] = [
        [a_minute(0, event_time=m, raw_offset=10_000 * turn + at, **change) for at, m in enumerate(moments)]
        for turn, change in enumerate(changes, 1)
    ]
    found.append([record for group in found[:3] for record in group])
    found.append([a_quote(event_time=m, raw_offset=10_000 + at, bid=1.0) for at, m in enumerate(moments)])
    found.append([a_quote(event_time=m, raw_offset=20_000 + at, bid=1.0) for at, m in enumerate(moments)])
    found.append([a_trade(event_time=m, raw_offset=10_000 + at) for at, m in enumerate(moments)])
    found.append([a_trade(event_time=m, raw_offset=10_000 + at) for at, m in enumerate(moments)])
    return found


async def test_rows_late_for_compressed_days_are_stored_as_plain_postgresql_stores_them(
    timescale_process: Bridge,
) -> None:
    """Version by version, through every public view."""
    bridge: Any = timescale_process
    await plain_database(bridge)
    for records in first():
        await store(bridge, records)
    for records in late():
        await store(bridge, records, WritePath.STAGED)
    plain = await told(bridge)

    await plain_database(bridge)
    for records in first():
        await store(bridge, records)
    await move_database(bridge, print)
    await run_job(bridge, "policy_compression")
    for name in ("bars", "quotes", "trades"):
        ((compressed, chunks),) = await values(bridge, COMPRESSED, name)
        assert compressed == chunks > 0
    for records in late():
        await store(bridge, records, WritePath.STAGED)

    assert await told(bridge) == plain
    assert len(plain["v_bars_all"]) > 300
