"""The whole path: raw blocks to committed rows and frames, vendor response to frame, and what each process weighs.

Throughput: a prefilled raw topic is processed alone, then again with the sink and one unconflated client behind
it; the ratio of the two is what the rest of the pipeline costs on the same two cores. Latency: trades paced by
the simulator at about 2,000 a second, from our poller's receipt to the client's, on one machine and one clock.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import asyncpg
import orjson
import psutil
from confluent_kafka import Consumer

from benchmarks.measure import RUNS, Row, Servers, middle, row, servers, topics
from infra.runtime.kafka import Outgoing, Publisher, consumer_config, offsets, read_range
from schemas.codec import decode, encode
from schemas.partitions import partition_of
from schemas.records import Progress, RawBlock
from schemas.topics import PROGRESS, RAW_TRADES, TRADES, partition_count
from tests.e2e.system import System, system
from tests.e2e.watcher import watching

EVENTS = 200_000
BLOCK_EVENTS = 200
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 21)]
DONE_WITHIN_S = 240
LATENCY_RATE = 2_000
LATENCY_SECONDS = 30
LATENCY_GOAL_MS = 50


def run() -> list[Row]:
    """Return throughput, latency and memory rows."""
    with servers() as base:
        alone = [asyncio.run(_throughput(base, f"a{number}.", whole=False)) for number in range(RUNS)]
        whole = [asyncio.run(_throughput(base, f"w{number}.", whole=True)) for number in range(RUNS)]
        latency, memory = asyncio.run(_latency(base))
    rows = [
        row(
            "end to end: raw to committed rows and frames",
            middle(whole),
            "events/s",
            yardstick=middle(alone),
            goal=0.4,
            floor=0.25,
        )
    ]
    rows.append(row("vendor response to frame, p50", latency[0], "ms"))
    rows.append(
        row("vendor response to frame, p99", latency[1], "ms", goal=LATENCY_GOAL_MS, lower_is_better=True)
    )
    rows += [row(f"memory of {name}", size, "MB") for name, size in memory.items()]
    return rows


def blocks() -> list[Outgoing]:
    """Return raw trade blocks of twenty symbols, spread over every partition."""
    count, made = partition_count(), []
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
            provider="finnhub", endpoint="trades", route="primary", received_time=1_700_000_000_000_000 + number,
            connection_id="bench", events=events,
        )  # fmt: skip
        made.append(Outgoing(topic=RAW_TRADES, partition=partition, value=encode(RAW_TRADES, block)))
    return made


async def _throughput(base: Servers, prefix: str, *, whole: bool) -> float:
    """Return events/s from the first canonical record to the last progress, row and frame."""
    topics(base.bootstrap, prefix)
    await _empty(base.dsn)
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
        consumer = Consumer(consumer_config(bootstrap, "bench"))
        passed: dict[int, float] = {}
        for partition, end in ends.items():
            low, _ = offsets(consumer, prefix + PROGRESS, partition)
            for message in read_range(consumer, prefix + PROGRESS, partition, low):
                progress = decode(PROGRESS, message.value(), Progress)
                if progress.raw_topic == RAW_TRADES and progress.raw_offset >= end:
                    passed.setdefault(partition, message.timestamp()[1] / 1000)
        consumer.close()
        if len(passed) == len(ends):
            return max(passed.values()) - _first_append_s(bootstrap, prefix)
        time.sleep(1.0)
    raise AssertionError("the processor did not finish in time")


def _first_append_s(bootstrap: str, prefix: str) -> float:
    consumer = Consumer(consumer_config(bootstrap, "bench"))
    firsts = []
    for partition in range(partition_count()):
        low, high = offsets(consumer, prefix + TRADES, partition)
        if high > low:
            firsts.append(
                next(iter(read_range(consumer, prefix + TRADES, partition, low))).timestamp()[1] / 1000
            )
    consumer.close()
    return min(firsts)


async def _rows(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM trades") or 0)
    finally:
        await connection.close()


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "TRUNCATE quotes, trades, bars, bars_current, quotes_latest, gaps, cursors, sink_offsets, watermarks, outbox"
    )
    await connection.close()


async def _latency(base: Servers) -> tuple[tuple[float, float], dict[str, float]]:
    """Return (p50, p99) in ms at about 2,000 events a second, and MB per process under that load."""
    prefix, folder = "latency.", base.folder / "latency"
    folder.mkdir()
    topics(base.bootstrap, prefix)
    await _empty(base.dsn)
    settings = {"MDS_SIMULATOR_SPEED": "1"}
    with system(
        bootstrap=base.bootstrap,
        dsn=base.dsn,
        prefix=prefix,
        folder=folder,
        symbols=SYMBOLS,
        settings=settings,
    ) as running:
        running.start("simulator")
        await running.ready("simulator")
        for name in ("gateway", "sinks", "stream_processors", "producers"):
            running.start(name)
        await running.ready("gateway", "sinks", "stream_processors", "producers")
        await _pace(running)
        samples = await _samples(running)
        memory = {
            name: psutil.Process(process.pid).memory_info().rss / 1e6
            for name, process in running.processes.items()
        }
    memory["kafka"] = psutil.Process(base.broker_pid).memory_info().rss / 1e6
    cuts = quantiles(samples, n=100)
    return (cuts[49], cuts[98]), memory


async def _pace(running: System) -> None:
    """Set the simulator's speed so that it sends about 2,000 trades a second."""
    async with aiohttp.ClientSession() as session:
        before = await _sent(session, running)
        await asyncio.sleep(5)
        rate = (await _sent(session, running) - before) / 5
        speed = max(1.0, LATENCY_RATE / max(rate, 1.0))
        async with session.post(f"{running.simulator_url}/simulator/clock", json={"speed": speed}) as answer:
            assert answer.status == 200, await answer.text()


async def _sent(session: aiohttp.ClientSession, running: System) -> float:
    async with session.get(f"{running.simulator_url}/simulator/stats") as answer:
        document: dict[str, Any] = await answer.json()
    return float(sum(document["trades_sent"].values()))


async def _samples(running: System) -> list[float]:
    samples: list[float] = []
    items = [{"stream": f"trades:best:{symbol}"} for symbol in SYMBOLS]
    async with aiohttp.ClientSession() as session, session.ws_connect(running.socket_url + "/ws") as socket:
        await socket.send_str(orjson.dumps({"id": 1, "t": "subscribe", "items": items}).decode())
        ends = time.monotonic() + LATENCY_SECONDS
        settled = time.monotonic() + 5
        while time.monotonic() < ends:
            frame = await socket.receive(timeout=10)
            arrived = time.time_ns() // 1000
            if time.monotonic() < settled:
                continue
            for message in orjson.loads(frame.data):
                if message["t"] == "d":
                    samples.extend((arrived - record["received_time"]) / 1000 for _, record in message["m"])
    return samples


if __name__ == "__main__":
    Path("benchmarks").mkdir(exist_ok=True)
    for line in run():
        print(line)
