"""Rows a second of the whole sink (consume, decode, write, positions) against bare binary COPY of the same rows.

Run: `python -m benchmarks sink`. The yardstick gets its rows as Python tuples in memory and fills the same indexed table
through asyncpg, its partitions made before; the sink also keeps newest values, series and positions, and reads Avro
from a broker.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
from confluent_kafka import Producer

from benchmarks.measure import RUNS, Row, database, middle, row, servers, topics
from infra.runtime.kafka.clients import producer_config
from infra.runtime.lifecycle import Health
from infra.runtime.postgres import pool as postgres
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, QUOTES, TRADES
from schemas.wire.codec import encode_events
from sinks.columns.tables import TABLES
from sinks.reading.shell.feed import feed_member, open_feed
from sinks.reading.shell.logs import TopicLogs
from sinks.service import Sink
from sinks.store.shell.outbox import Outbox, OutboxWriter
from sinks.store.shell.session import open_connection
from sinks.store.shell.writer import Store
from tests.support.stored_rows import stored_row

ROWS = 200_000
SYMBOLS = 500
COPY_ROWS = 20_000  # of one COPY of the yardstick: the sink's own batch
GOAL, FLOOR = 0.8, 0.5
DONE_WITHIN_S = 120.0
OPENING = 1_381_152_600_000_000  # 2013-10-07 09:30 in New York, µs
TOPICS = (QUOTES, TRADES, BARS, EVIDENCE, PROGRESS)
Value = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Series:
    """One measurement: records of a topic, in log order."""

    topic: str
    values: list[Value]


def _common(number: int) -> Value:
    return {
        "symbol": f"S{number % SYMBOLS:03}",
        "provider": "yahoo",
        "route": "primary",
        "received_time": OPENING + number,
        "known_from": OPENING + number,
        "raw_offset": number // 500,
        "index": number % 500,
        "simulated": True,
    }


def trades() -> Series:
    """Return trades of 500 symbols."""

    def value(number: int) -> Value:
        return _common(number) | {
            "event_time": OPENING + number * 100, "price": 100 + number % 97 / 8, "size": 100.0, "trade_id": None,
            "conditions": "@", "venue": "Q",
        }  # fmt: skip

    return Series(topic=TRADES, values=[value(number) for number in range(ROWS)])


def quotes() -> Series:
    """Return quotes of 500 symbols, each newer than the one before."""

    def value(number: int) -> Value:
        price = 100 + number % 97 / 8
        return _common(number) | {
            "event_time": OPENING + number * 100, "bid": price, "ask": price + 0.01, "bid_size": 300.0,
            "ask_size": 500.0, "last": price, "last_size": None, "volume": float(number), "previous_close": 99.5,
            "currency": "USD", "market_state": "regular", "delay_s": 0,
        }  # fmt: skip

    return Series(topic=QUOTES, values=[value(number) for number in range(ROWS)])


def bars() -> Series:
    """Return one-minute bars of 500 symbols, minute after minute."""

    def value(number: int) -> Value:
        price = 100 + number % 97 / 8
        return _common(number) | {
            "interval": "1m", "event_time": OPENING + number // SYMBOLS * MINUTE_US, "open": price, "high": price + 1,
            "low": price - 1, "close": price + 0.5, "volume": float(number), "vwap": None, "trade_count": None,
            "final": True, "session": "regular", "adjustment_state": "raw", "currency": "USD",
        }  # fmt: skip

    return Series(topic=BARS, values=[value(number) for number in range(ROWS)])


async def bare_copy(dsn: str, series: Series) -> float:
    """Return rows a second of asyncpg's binary COPY of ready tuples into the empty table."""
    table = TABLES[series.topic]
    rows = [tuple(stored_row(table.stream, value).values()) for value in series.values]
    moments = sorted({value["event_time"] // DAY_US * DAY_US for value in series.values})
    columns = list(table.column_names)
    async with database(dsn) as made, open_connection(made) as connection:
        await connection.execute("SELECT make_partitions($1, $2::timestamptz[])", table.name, moments)
        began_s = time.perf_counter()
        for start in range(0, len(rows), COPY_ROWS):
            chunk = rows[start : start + COPY_ROWS]
            await connection.copy_records_to_table(table.name, records=chunk, columns=columns)
        return len(rows) / (time.perf_counter() - began_s)


def _publish(bootstrap: str, prefix: str, series: Series) -> None:
    producer = Producer(producer_config(bootstrap, "bench-feeder", linger_ms=50))
    encoded = encode_events(series.topic, series.values, {})
    for value, data in zip(series.values, encoded, strict=True):
        partition = partition_of(value["symbol"], DEFAULT_PARTITIONS)
        while True:
            try:
                producer.produce(prefix + series.topic, data, value["symbol"], partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


async def whole_sink(bootstrap: str, dsn: str, prefix: str, series: Series) -> float:
    """Return rows a second from the first row stored to the last one committed, reading a topic filled before."""
    async with database(dsn) as made, postgres.pool(made, service="bench", size=2) as pool:
        table = TABLES[series.topic].name
        member = feed_member(bootstrap, prefix=f"{prefix}{uuid.uuid4().hex[:6]}.", session_timeout_s=10.0)
        logs = TopicLogs(bootstrap, prefix=prefix)
        async with open_feed(
            member, TOPICS, partitions=DEFAULT_PARTITIONS, prefix=prefix, batch_records=20_000, linger_s=0.005
        ) as feed:
            store = Store(made, write_within_s=60.0)
            outbox = Outbox(pool, partial(OutboxWriter, bootstrap, prefix=prefix), lambda: store.owned)
            sink = Sink(feed, store, logs, outbox, Health())
            async with asyncio.TaskGroup() as group:
                running = group.create_task(sink.run())
                rate = await _measure(pool, table)
                running.cancel()
    return rate


async def _measure(pool: asyncpg.Pool, table: str) -> float:
    """Time from the first batch seen committed to the last: rows of the first are not counted."""
    position = "SELECT coalesce(sum(next_offset), 0) FROM sink_offsets WHERE topic = $1"
    first, began_s = 0, 0.0
    deadline_s = time.perf_counter() + DONE_WITHIN_S
    while time.perf_counter() < deadline_s:
        stored = int(await pool.fetchval(position, f"{table}.v1"))
        now_s = time.perf_counter()
        if stored and not first:
            first, began_s = stored, now_s
        if stored >= ROWS:
            assert await pool.fetchval(f"SELECT count(*) FROM {table}") == ROWS
            return (stored - first) / (now_s - began_s)
        await asyncio.sleep(0.002)
    raise TimeoutError(f"{table}: not stored within {DONE_WITHIN_S} s")


async def measure(bootstrap: str, dsn: str) -> list[Row]:
    """Measure every table, sink and yardstick in turn."""
    makers: dict[str, Callable[[], Series]] = {"trades": trades, "quotes": quotes, "bars": bars}
    rows = []
    for name, make in makers.items():
        series, prefix = make(), f"bench{uuid.uuid4().hex[:8]}."
        await asyncio.to_thread(topics, bootstrap, prefix)
        await asyncio.to_thread(_publish, bootstrap, prefix, series)
        ours, bare = [], []
        for _ in range(RUNS):
            bare.append(await bare_copy(dsn, series))
            ours.append(await whole_sink(bootstrap, dsn, prefix, series))
        rate = middle(ours)
        rows.append(row(f"sink {name}", rate, "rows/s", yardstick=middle(bare), goal=GOAL, floor=FLOOR))
    return rows


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with servers() as own:
        return asyncio.run(measure(own.bootstrap, own.dsn))


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
