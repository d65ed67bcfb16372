"""Six million absent minutes: bytes on disk, and whether a sink that takes over or stores live bars feels them.

Run: `python -m benchmarks ledger`. Sixteen minutes in a session of 390, as a quiet symbol has them, of 2,500 series in 150
sessions. Taking over is measured up to the end of the first batch, a minute of every series, with and without them. No
broker takes part: batches are assembled from encoded records and written by the sink's own writer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import asyncpg

from benchmarks.measure import Row, database, middle, row, servers
from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, RawOffset, WallTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.partitions import TopicPartition, partition_of
from schemas.records import Evidence
from schemas.streams import Bar
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS
from schemas.wire.codec import encode
from sinks.batch.batch import Batch, PartitionRecords, assemble
from sinks.progress.positions import Log
from sinks.store.shell.writer import Store
from tests.support.received import Message

SERIES, SESSIONS, ABSENT = 2_500, 150, 16
ABSENCES = SERIES * SESSIONS * ABSENT
BYTES_GOAL = 20.0  # an absence, indexes included; a row of a gap took 420
OPENING = 1_718_631_000_000_000  # 2024-06-17 09:30 in New York, µs
FIRST_SESSION = OPENING - 400 * DAY_US
ROUNDS = 5
SLOWER_GOAL, SLOWER_FLOOR = 1.2, 2.0  # times as long with six million absences as without
FIRST_FLOOR = 4.0  # the first bar of a series asks where its absences end, once
SIGNALS = 10_000  # absences told in one batch
SIGNALS_GOAL = 2_000.0  # a second: a minute without a trade in every fifth of 10,000 symbols is 33
WITHIN_S = 300.0


# a set of bits a series and session, 16 of the first 390 among them
FILL = f"""
    SET timezone = 'UTC';
    INSERT INTO coverage
    SELECT stream_id_of('bars', '1m', 'yahoo', 'S' || lpad(s::text, 5, '0')),
        to_timestamp({FIRST_SESSION // SECOND_US}) + d * interval '1 day' - interval '5 hours 30 minutes', 390,
        (SELECT string_agg(set_byte('\\x00', 0, 1 << ((s + d + n) % 8)), '' ORDER BY n) FROM generate_series(0, 15) n)
            || decode(repeat('00', 31), 'hex') || '\\x01'::bytea, ''
    FROM generate_series(0, {SESSIONS - 1}) d, generate_series(0, {SERIES - 1}) s;
    VACUUM ANALYZE coverage;
"""
SIZE = "SELECT pg_total_relation_size('coverage')"
COUNTED = "SELECT sum(absent) FROM v_coverage"
TOPICS = (BARS, EVIDENCE, PROGRESS)


def _logs() -> dict[TopicPartition, Log]:
    whole = Log(topic_id="one", start=CanonicalOffset(0), end=CanonicalOffset(1 << 40))
    return {TopicPartition(topic, number): whole for topic in TOPICS for number in range(DEFAULT_PARTITIONS)}


def _batch(records: Sequence[Bar | Evidence], topic: str, offsets: dict[TopicPartition, int]) -> Batch:
    """Return the batch of records that are read next."""
    parts: dict[TopicPartition, PartitionRecords] = {}
    for record in records:
        place = TopicPartition(topic, partition_of(record.symbol, DEFAULT_PARTITIONS))
        part = parts.get(place)
        if part is None:
            part = parts[place] = PartitionRecords(
                topic=topic, partition=place.partition, partitions=DEFAULT_PARTITIONS, end=0, at_end=True
            )
        at = offsets[place] = offsets.get(place, -1) + 1
        part.records.append(Message(encode(topic, record), at))
        part.end = at + 1
    return assemble(parts.values())[0]


def _bar(series: int, minute: int) -> Bar:
    known = KnowledgeTime(OPENING + (minute + 1) * MINUTE_US + SECOND_US)
    values: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume"), 100.0)
    return Bar(
        symbol=f"S{series:05}", provider="yahoo", interval="1m", event_time=EventTime(OPENING + minute * MINUTE_US),
        received_time=WallTime(known), known_from=known, raw_offset=RawOffset(minute * SERIES + series), index=0, route="primary",
        currency="USD", vwap=None, trade_count=None, final=True, session="regular", adjustment_state="raw", simulated=False,
        **values,
    )  # fmt: skip


def _signal(series: int, minute: int) -> Evidence:
    symbol, start = f"S{series:05}", EventTime(OPENING + minute * MINUTE_US)
    return Evidence(
        kind="absent", stream=f"bars.1m:yahoo:{symbol}", symbol=symbol, provider="yahoo", interval="1m", from_time=start,
        to_time=EventTime(start + MINUTE_US), cause="missing_bars", expected=1, detector="processor",
        known_from=KnowledgeTime(start + 2 * MINUTE_US), raw_offset=RawOffset(minute * SERIES + series),
    )  # fmt: skip


async def _take_over_s(dsn: str, offsets: dict[TopicPartition, int], minute: int) -> tuple[float, float]:
    """Return seconds until everything is owned, and then until the first batch is stored."""
    batch = _batch([_bar(series, minute) for series in range(SERIES)], BARS, offsets)
    began_s = time.perf_counter()
    async with Store(dsn, write_within_s=WITHIN_S).take_over(_logs(), now_us=WallTime(OPENING)) as writer:
        owned_s = time.perf_counter()
        await writer.write(batch)
        return owned_s - began_s, time.perf_counter() - owned_s


async def _middle_s(dsn: str, offsets: dict[TopicPartition, int], first: int) -> tuple[float, float]:
    taken = [await _take_over_s(dsn, offsets, first + n) for n in range(ROUNDS)]
    return middle([owned for owned, _ in taken]), middle([stored for _, stored in taken])


async def _signals_a_second(dsn: str, offsets: dict[TopicPartition, int]) -> float:
    told = [_signal(number % SERIES, 60 + 2 * (number // SERIES)) for number in range(SIGNALS)]
    batch = _batch(told, EVIDENCE, offsets)
    async with Store(dsn, write_within_s=WITHIN_S).take_over(_logs(), now_us=WallTime(OPENING)) as writer:
        began_s = time.perf_counter()
        await writer.write(batch)
        return SIGNALS / (time.perf_counter() - began_s)


async def measured(dsn: str) -> list[Row]:
    """Measure in a database of its own on the server `dsn` names."""
    async with database(dsn) as created:
        offsets: dict[TopicPartition, int] = {}
        await _take_over_s(created, offsets, 0)
        without = await _middle_s(created, offsets, 1)
        connection = await asyncpg.connect(created)
        for statement in FILL.split(";"):
            if statement.strip():
                await connection.execute(statement)
        size, counted = await connection.fetchval(SIZE), await connection.fetchval(COUNTED)
        await connection.close()
        if counted < ABSENCES:
            raise RuntimeError(f"{counted} absences of {ABSENCES}")
        taken = await _middle_s(created, offsets, 1 + ROUNDS)
        signals = await _signals_a_second(created, offsets)
    less = partial(row, lower_is_better=True)
    return [
        less("an absence, with its indexes", size / counted, "bytes", goal=BYTES_GOAL),
        less("taking over with six million absences", taken[0], "s", yardstick=without[0], goal=SLOWER_GOAL, floor=SLOWER_FLOOR),
        less("then the first minute of 2,500 series", taken[1], "s", yardstick=without[1], floor=FIRST_FLOOR),
        row("absences told", signals, "a second", goal=SIGNALS_GOAL),
    ]  # fmt: skip


def run() -> list[Row]:
    """Run the suite."""
    with servers() as running:
        return asyncio.run(measured(running.dsn))
