"""The whole path at full speed: raw blocks to committed rows and frames at one unconflated client.

A prefilled raw topic is processed alone, then again with the sink and the client behind it; the ratio of the two is
what the rest of the pipeline costs on the same two cores.
"""

from __future__ import annotations

import asyncio
import time

import asyncpg

from benchmarks.measure import RUNS, Row, Servers, empty, middle, row, servers, topics
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.clocks import WallTime
from schemas.partitions import partition_of
from schemas.records import Progress, RawBlock
from schemas.topics import DEFAULT_PARTITIONS, PROGRESS, RAW_TRADES, TRADES
from schemas.wire.codec import decode, encode
from tests.support.system import system
from tests.support.watcher import watching

EVENTS = 200_000
BLOCK_EVENTS = 200
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 21)]
DONE_WITHIN_S = 240


def run() -> list[Row]:
    """Return the row of the whole path against the processor alone."""
    with servers() as base:
        alone = [asyncio.run(_throughput(base, f"a{number}.", whole=False)) for number in range(RUNS)]
        whole = [asyncio.run(_throughput(base, f"w{number}.", whole=True)) for number in range(RUNS)]
    name = "end to end: raw to committed rows and frames"
    return [row(name, middle(whole), "events/s", yardstick=middle(alone), goal=0.4, floor=0.25)]


def blocks() -> list[Outgoing]:
    """Return raw trade blocks of twenty symbols, spread over every partition."""
    count, made = DEFAULT_PARTITIONS, []
    members = {p: [s for s in SYMBOLS if partition_of(s, count) == p] for p in range(count)}
    filled = [p for p in range(count) if members[p]]
    for number in range(EVENTS // BLOCK_EVENTS):
        partition = filled[number % len(filled)]
        names = members[partition]
        events = [
            {
                "symbol": names[i % len(names)], "event_time": 1_700_000_000_000_000 + number * 1_000_000 + i, "price": 100 + i / 100,
                "size": 100.0, "frame_sequence": number * BLOCK_EVENTS + i, "frame_hash": number * BLOCK_EVENTS + i,
            }
            for i in range(BLOCK_EVENTS)
        ]  # fmt: skip
        block = RawBlock(
            provider="finnhub", endpoint="trades", route="primary", received_time=WallTime(1_700_000_000_000_000 + number),
            connection_id="bench", events=events,
        )  # fmt: skip
        made.append(Outgoing(topic=RAW_TRADES, partition=partition, value=encode(RAW_TRADES, block)))
    return made


async def _throughput(base: Servers, prefix: str, *, whole: bool) -> float:
    """Return events/s from the first canonical record to the last progress, row and frame."""
    topics(base.bootstrap, prefix)
    await empty(base.dsn)
    publisher = Publisher(base.bootstrap, "bench")
    records = [Outgoing(topic=prefix + o.topic, partition=o.partition, value=o.value) for o in blocks()]
    placed = await publisher.publish(records)
    ends = {record.partition: offset for record, offset in zip(records, placed, strict=True)}
    publisher.close()
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    with system(bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=folder, symbols=SYMBOLS,
                settings={"MDS_MARKET_CLOCK": "wall"}) as running:  # fmt: skip
        if not whole:
            running.start("stream_processors")
            return EVENTS / await asyncio.to_thread(_processed_in, base.bootstrap, prefix, ends)
        running.start("sinks")
        running.start("gateway")
        await running.ready("sinks", "gateway")
        with watching(running.socket_url, [f"trades:best:{symbol}" for symbol in SYMBOLS]) as watcher:
            running.start("stream_processors")
            deadline = time.monotonic() + DONE_WITHIN_S
            rows = frames = 0
            while (rows < EVENTS or frames < EVENTS) and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                rows = await _rows(base.dsn)
                frames = sum(len(seen.records) for seen in watcher.transcripts.values())
            ended = time.time()
            assert (rows, frames) == (EVENTS, EVENTS), (rows, frames)
        first = await asyncio.to_thread(_first_append_s, base.bootstrap, prefix)
        return EVENTS / (ended - first)


def _processed_in(bootstrap: str, prefix: str, ends: dict[int, int]) -> float:
    """Return seconds from the first canonical record until progress has passed `ends` (partition → raw offset)."""
    deadline = time.monotonic() + DONE_WITHIN_S
    while time.monotonic() < deadline:
        consumer = LogReader(bootstrap, "bench")
        passed: dict[int, float] = {}
        for partition, end in ends.items():
            low, _ = consumer.bounds(prefix + PROGRESS, partition)
            for message in consumer.read(prefix + PROGRESS, partition, low):
                progress = decode(PROGRESS, message.value(), Progress)
                if progress.raw_topic == RAW_TRADES and progress.raw_offset >= end:
                    passed.setdefault(partition, message.timestamp()[1] / 1000)
        consumer.close()
        if len(passed) == len(ends):
            return max(passed.values()) - _first_append_s(bootstrap, prefix)
        time.sleep(1.0)
    raise AssertionError("the processor did not finish in time")


def _first_append_s(bootstrap: str, prefix: str) -> float:
    consumer = LogReader(bootstrap, "bench")
    firsts = []
    for partition in range(DEFAULT_PARTITIONS):
        low, high = consumer.bounds(prefix + TRADES, partition)
        if high > low:
            firsts.append(next(iter(consumer.read(prefix + TRADES, partition, low))).timestamp()[1] / 1000)
    consumer.close()
    return min(firsts)


async def _rows(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM v_trades") or 0)
    finally:
        await connection.close()
