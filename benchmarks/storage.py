"""Bytes a row on disk against the layout before, backfill against the live path, and 8,000 symbols' minutes sustained.

Run: `python -m benchmarks storage`. Rows arrive as a sink stores them: in log order, 20,000 a transaction, each
transaction series by series. No broker takes part: batches are assembled from encoded records and written by the sink's
own writer.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import numpy as np
import psutil

from benchmarks.measure import Row, database, middle, row, servers
from infra.runtime.postgres.migrate import DIRECTORY
from schemas.clocks import CanonicalOffset
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, QUOTES
from schemas.wire.codec import encode_events
from sinks.batch.batch import Batch, PartitionRecords, assemble
from sinks.store.shell.writer import Store, Writer
from tests.support.received import Message

ROWS = 1_000_000
SERIES = 2_500
BATCH_ROWS = 20_000
BEFORE = "0007"  # the first migration of the compact layout
OPENING = 1_718_631_000_000_000  # 2024-06-17 09:30 in New York, µs
GOALS = {"bars": 180.0, "trades": 185.0, "quotes": 230.0}  # bytes a row

PATH_ROWS = 300_000
PATH_SYMBOLS = 500
BACKFILL_GOAL = 0.6
RUNS = 3

SUSTAINED_SYMBOLS = 8_000
SUSTAINED_MINUTES = 20
QUOTES_A_MINUTE = 4
BATCH_P99_GOAL_MS = 1_000.0
CORE_SHARE_GOAL = 0.25

_TICK = "to_timestamp(1718631000) + i * interval '500 us'"
_MINUTE = f"to_timestamp(1718631000) + (i / {SERIES}) * interval '1 minute'"
_QUARTER = f"to_timestamp(1718631000) + (i / {SERIES}) * interval '15 s'"
_KNOWN = (
    f"to_timestamp(1718631061) + (i / {SERIES}) * interval '1 minute' + (i % {SERIES}) * interval '20 ms'"
)
_FROM = "FROM generate_series($1::bigint, $1::bigint + 19999) i"
_NAME = "'S' || lpad((i % 2500)::text, 4, '0')"
_NUMBER = "(i % 2500) * 7919 * 1000003"  # spread like a hash
# $1: the first of 20,000 rows.
OLD = {
    "bars": [
        f"""INSERT INTO bars SELECT {_NAME}, 'yahoo', '1m', {_MINUTE}, {_KNOWN}, i / 50, i % 50, 'primary', {_KNOWN},
            100 + i % 97, 101 + i % 97, 99 + i % 97, 100 + i % 97, i, NULL, NULL, true, 'regular', 'raw', 'USD', false
            {_FROM} ORDER BY i % {SERIES}""",
        f"""INSERT INTO bars_current SELECT {_NAME}, 'yahoo', '1m', {_MINUTE}, {_KNOWN}, i / 50, i % 50, 'primary', {_KNOWN},
            100 + i % 97, 101 + i % 97, 99 + i % 97, 100 + i % 97, i, NULL, NULL, true, 'regular', 'raw', 'USD', false, 0
            {_FROM} ORDER BY i % {SERIES}""",
    ],
    "trades": [
        f"""INSERT INTO trades SELECT {_NAME}, 'finnhub', {_TICK}, {_TICK}, i / 50, i % 50, 'primary', {_TICK}, 100 + i % 97, 100,
            NULL, '@', 'Q', false {_FROM} ORDER BY i % {SERIES}"""
    ],
    "quotes": [
        f"""INSERT INTO quotes SELECT {_NAME}, 'yahoo', {_QUARTER}, {_KNOWN}, i / 50, i % 50, 'primary', {_KNOWN}, 100, 101, 3, 5,
            100.5, NULL, i, 99.5, 'USD', 'regular', 0, false {_FROM} ORDER BY i % {SERIES}"""
    ],
}
NEW = {
    "bars": f"""INSERT INTO bars SELECT {_NUMBER}, {_MINUTE}, i / 50 * 65536 + i % 50, 100 + i % 97, 101 + i % 97, 99 + i % 97,
        100 + i % 97, i, NULL, NULL, {_KNOWN}, {_KNOWN}, 0, 3, 'USD' {_FROM} ORDER BY i % {SERIES}""",
    "trades": f"""INSERT INTO trades SELECT {_NUMBER}, {_TICK}, i / 50 * 65536 + i % 50, 100 + i % 97, 100, {_TICK}, {_TICK}, 0,
        NULL, '@', 'Q' {_FROM} ORDER BY i % {SERIES}""",
    "quotes": f"""INSERT INTO quotes SELECT {_NUMBER}, {_QUARTER}, i / 50 * 65536 + i % 50, 100, 101, 3, 5, 100.5, NULL, i, 99.5,
        {_KNOWN}, {_KNOWN}, 0, 0, 'USD', 'regular' {_FROM} ORDER BY i % {SERIES}""",
}
SIZE = """
    SELECT sum(pg_total_relation_size(p.relid)) FROM unnest($1::text[]) t,
        LATERAL (SELECT t::regclass AS relid UNION SELECT relid FROM pg_partition_tree(t::regclass)) p
"""


async def _filled(dsn: str, statements: Iterable[str], tables: list[str], *, partitioned: bool) -> float:
    """Return the bytes a row that the tables take, indexes included, after ROWS rows."""
    connection = await asyncpg.connect(dsn)
    try:
        if partitioned:
            days = [OPENING + day * DAY_US for day in range(3)]
            make = (
                "SELECT make_partitions($1, ARRAY(SELECT to_timestamp(d / 1e6) FROM unnest($2::bigint[]) d))"
            )
            await connection.execute(make, tables[0], days)
        for first in range(0, ROWS, BATCH_ROWS):
            for statement in statements:
                await connection.execute(statement, first)
        size = await connection.fetchval(SIZE, tables)
        return float(size) / ROWS
    finally:
        await connection.close()


async def bytes_a_row(dsn: str) -> list[Row]:
    """Measure each kind in both layouts, with the same values in the same order."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file in DIRECTORY.glob("[0-9]*.sql"):
            if file.name < BEFORE:
                shutil.copy(file, folder)
        for kind, goal in GOALS.items():
            old_tables = [kind, "bars_current"] if kind == "bars" else [kind]
            async with database(dsn, Path(folder)) as old:
                before = await _filled(old, OLD[kind], old_tables, partitioned=False)
            async with database(dsn) as new:
                now = await _filled(new, [NEW[kind]], [kind], partitioned=True)
            rows.append(row(f"{kind}, a row with its indexes", now, "bytes", goal=goal, lower_is_better=True))
            rows.append(row(f"{kind}, of the layout before", now, "bytes", yardstick=before))
    return rows


def _bar_blocks(
    symbols: int, starts: Iterable[int], *, first_offset: int
) -> Iterator[list[PartitionRecords]]:
    """Yield per bar start what was read of each partition: a bar of every symbol."""
    home: dict[int, list[str]] = {}
    for number in range(symbols):
        symbol = f"S{number:05}"
        home.setdefault(partition_of(symbol, DEFAULT_PARTITIONS), []).append(symbol)
    for count, start in enumerate(starts):
        known = OPENING + 10 * DAY_US + count * MINUTE_US
        parts = []
        for partition, of_partition in home.items():
            values = [
                {
                    "symbol": symbol, "interval": "1m", "event_time": start, "open": 100.0, "high": 101.0, "low": 99.0,
                    "close": 100.0 + place % 7, "volume": float(place), "vwap": None, "trade_count": None, "final": True,
                    "session": "regular", "adjustment_state": "raw", "currency": "USD", "simulated": False,
                    "provider": "yahoo", "route": "primary", "received_time": known, "known_from": known,
                    "raw_offset": first_offset + count, "index": place,
                }
                for place, symbol in enumerate(of_partition)
            ]  # fmt: skip
            parts.append(_part(BARS, partition, values))
        yield parts


def _quotes(symbols: int, minute: int, turn: int) -> list[PartitionRecords]:
    by_partition: dict[int, list[dict[str, object]]] = {}
    moment = OPENING + minute * MINUTE_US + turn * 15_000_000
    for number in range(symbols):
        symbol = f"S{number:05}"
        values = by_partition.setdefault(partition_of(symbol, DEFAULT_PARTITIONS), [])
        values.append(
            {
                "symbol": symbol, "event_time": moment + number, "bid": 100.0, "ask": 100.5, "bid_size": 3.0, "ask_size": 5.0,
                "last": 100.25, "last_size": None, "volume": float(minute), "previous_close": 99.5, "currency": "USD",
                "market_state": "regular", "delay_s": 0, "simulated": False, "provider": "yahoo", "route": "primary",
                "received_time": moment, "known_from": moment, "raw_offset": minute * 4 + turn, "index": len(values),
            }
        )  # fmt: skip
    return [_part(QUOTES, partition, values) for partition, values in by_partition.items()]


def _part(topic: str, partition: int, values: Sequence[Mapping[str, object]]) -> PartitionRecords:
    records = [Message(data, at) for at, data in enumerate(encode_events(topic, values, {}))]
    part = PartitionRecords(
        topic=topic, partition=partition, partitions=DEFAULT_PARTITIONS, end=len(records), at_end=True
    )
    part.records.extend(records)
    return part


def _batch(parts: list[list[PartitionRecords]]) -> Batch:
    """Return one batch of several reads, its positions left where they are: no log is behind it."""
    merged: dict[tuple[str, int], PartitionRecords] = {}
    for part in (part for read in parts for part in read):
        into = merged.setdefault(
            (part.topic, part.partition),
            PartitionRecords(
                topic=part.topic, partition=part.partition, partitions=DEFAULT_PARTITIONS, end=0, at_end=True
            ),
        )
        into.records.extend(part.records)
    batch, _ = assemble(merged.values())
    batch.ends = {place: (CanonicalOffset(0), -1) for place in batch.ends}
    return batch


async def _rate(writer: Writer, reads: list[list[PartitionRecords]]) -> float:
    """Return rows a second of assembling and writing, 20,000 rows a batch."""
    began_s, rows = time.perf_counter(), 0
    of_batch = BATCH_ROWS // PATH_SYMBOLS
    for first in range(0, len(reads), of_batch):
        batch = _batch(reads[first : first + of_batch])
        await writer.write(batch)
        rows += batch.records
    return rows / (time.perf_counter() - began_s)


async def backfill(dsn: str) -> list[Row]:
    """Measure bars that follow what is stored, then as many of earlier days, into one table."""
    live, old = [], []
    minutes = PATH_ROWS // PATH_SYMBOLS
    for _ in range(RUNS):
        async with database(dsn) as made, Store(made, write_within_s=60.0).replaying() as writer:
            later = [OPENING + n * MINUTE_US for n in range(minutes)]
            live.append(await _rate(writer, list(_bar_blocks(PATH_SYMBOLS, later, first_offset=0))))
            earlier = [start - 30 * DAY_US for start in later]
            old.append(await _rate(writer, list(_bar_blocks(PATH_SYMBOLS, earlier, first_offset=minutes))))
    return [
        row(
            "backfill of old bars, to the live path",
            middle(old),
            "rows/s",
            yardstick=middle(live),
            goal=BACKFILL_GOAL,
        )
    ]


async def _server_process(dsn: str) -> psutil.Process:
    """Return the process of PostgreSQL that serves the sink."""
    connection = await asyncpg.connect(dsn)
    try:
        served = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mds-sinks'"
        return psutil.Process(await connection.fetchval(served))
    finally:
        await connection.close()


async def sustained(dsn: str) -> list[Row]:
    """Measure 8,000 symbols' bars a minute with quotes every 15 s, written as they come, without the waiting between."""
    took_ms: list[float] = []
    async with database(dsn) as made, Store(made, write_within_s=60.0).replaying() as writer:
        starts = (OPENING + n * MINUTE_US for n in range(SUSTAINED_MINUTES))
        bars = list(_bar_blocks(SUSTAINED_SYMBOLS, starts, first_offset=0))
        server = await _server_process(made)
        used_s, before_s = 0.0, sum(server.cpu_times()[:2])
        for minute in range(SUSTAINED_MINUTES):
            reads = [
                bars[minute],
                *(_quotes(SUSTAINED_SYMBOLS, minute, turn) for turn in range(QUOTES_A_MINUTE)),
            ]
            for read in reads:
                began_s, cpu_s = time.perf_counter(), time.process_time()
                await writer.write(_batch([read]))
                took_ms.append((time.perf_counter() - began_s) * 1_000)
                used_s += time.process_time() - cpu_s
        served_s = sum(server.cpu_times()[:2]) - before_s
    p99 = float(np.percentile(took_ms, 99))
    share = (used_s + served_s) / (SUSTAINED_MINUTES * 60)
    what = "8,000 symbols a minute with quotes every 15 s"
    return [
        row(f"{what}: batch p99", p99, "ms", goal=BATCH_P99_GOAL_MS, lower_is_better=True),
        row(f"{what}: sink and PostgreSQL", share, "cores", goal=CORE_SHARE_GOAL, lower_is_better=True),
    ]


async def measure(dsn: str) -> list[Row]:
    """Measure everything, one after another."""
    return [*await bytes_a_row(dsn), *await backfill(dsn), *await sustained(dsn)]


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with servers() as own:
        return asyncio.run(measure(own.dsn))
