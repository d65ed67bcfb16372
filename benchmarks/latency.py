"""Vendor response to WebSocket frame at 2,000 trades a second, where the time goes, and what each process weighs and works.

The simulator runs at speed 1 with as many symbols as give that rate, so that polls come as often as in life. Everything
is on one machine and one clock: from our poller's receipt of a frame (received_time) over the broker's append to the raw
and to the canonical topic (milliseconds, by LogAppendTime) to the frame parsed at one client.

A raw block says when the newest of its frames was received, so what older ones waited for it is not in that figure. It
is in the other one, which begins when the trade was due by the simulator's clock, before the vendor sent it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import aiohttp
import orjson
import psutil

from benchmarks.measure import RUNS, Row, Servers, empty, middle, row, servers, topics
from infra.runtime.kafka.logs import LogReader
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support.system import System, system

SYMBOLS = [f"SIM{number:03d}" for number in range(1, 401)]
RATE_PER_S = 2_000
MAX_SPEED = 2.0  # of market time: the symbols alone should give the rate, or nearly
WARM_S = 60.0  # the broker compiles itself under this load for about as long
MEASURE_S = 20.0
GOAL_P99_MS, FLOOR_P99_MS = 40.0, 60.0
ITEMS_PER_COMMAND = 100
CLOCK_READINGS = 20


@dataclass
class Run:
    """One run: delays in ms by stage, the rate that was reached, and per process MB and seconds of work a second."""

    whole: list[float] = field(default_factory=list)
    from_due: list[float] = field(default_factory=list)
    to_raw: list[float] = field(default_factory=list)
    to_canonical: list[float] = field(default_factory=list)
    to_frame: list[float] = field(default_factory=list)
    rate_per_s: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)


def run() -> list[Row]:
    """Return delays (median over the runs of each run's percentile) and memory."""
    with servers() as base:
        runs = [asyncio.run(_run(base, f"latency{number}.")) for number in range(RUNS)]
    return rows_of(runs)


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return the rows of some runs."""

    def percentile(name: str, percent: int) -> float:
        return middle([quantiles(getattr(one, name), n=100)[percent - 1] for one in runs])

    rows = [
        row("trades a second that were sent", middle([one.rate_per_s for one in runs]), "events/s"),
        row("vendor response to frame, p50", percentile("whole", 50), "ms"),
        row(
            "vendor response to frame, p99",
            percentile("whole", 99),
            "ms",
            goal=GOAL_P99_MS,
            floor=FLOOR_P99_MS,
            lower_is_better=True,
        ),
    ]
    stages = {
        "from_due": "trade due at the vendor to frame",
        "to_raw": "of it, receipt to raw topic",
        "to_canonical": "of it, raw topic to canonical topic",
        "to_frame": "of it, canonical topic (with commit) to frame",
    }
    for name, words in stages.items():
        rows += [row(f"{words}, p{percent}", percentile(name, percent), "ms") for percent in (50, 99)]
    for process in runs[0].memory:
        rows.append(row(f"memory of {process}", middle([one.memory[process] for one in runs]), "MB"))
    # Where these together come near the cores there are, delays are those of a queue for the processor.
    for process in runs[0].work:
        rows.append(row(f"work of {process}", middle([one.work[process] for one in runs]), "cores"))
    return rows


async def _run(base: Servers, prefix: str) -> Run:
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    topics(base.bootstrap, prefix)
    await empty(base.dsn)
    with system(bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=folder, symbols=SYMBOLS,
                settings={"MDS_SIMULATOR_SPEED": "1"}) as running:  # fmt: skip
        running.start("simulator")
        await running.ready("simulator")
        for name in ("gateway", "sinks", "stream_processors", "producers"):
            running.start(name)
        await running.ready("gateway", "sinks", "stream_processors", "producers")
        await _pace(running)
        processes = {name: psutil.Process(process.pid) for name, process in running.processes.items()}
        processes["kafka"] = psutil.Process(base.broker_pid)
        working = asyncio.create_task(_work(processes))
        result = await _arrivals(running, base.bootstrap, prefix)
        result.memory = {name: process.memory_info().rss / 1e6 for name, process in processes.items()}
        result.work = await working
    return result


async def _work(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Return how many cores each process takes while delays are measured, its threads together."""

    def spent_s() -> dict[str, float]:
        spent = {name: process.cpu_times() for name, process in processes.items()}
        return {name: each.user + each.system for name, each in spent.items()}

    await asyncio.sleep(WARM_S)
    before, began_s = spent_s(), time.monotonic()
    await asyncio.sleep(MEASURE_S * 0.9)
    after, took_s = spent_s(), time.monotonic() - began_s
    return {name: (after[name] - before[name]) / took_s for name in processes}


async def _pace(running: System) -> None:
    """Bring the rate to 2,000 trades a second with the simulator's speed, within its bound."""
    async with aiohttp.ClientSession() as session:
        before = await _sent(session, running)
        await asyncio.sleep(5)
        rate = (await _sent(session, running) - before) / 5
        speed = min(MAX_SPEED, RATE_PER_S / max(rate, 1.0))
        async with session.post(f"{running.simulator_url}/simulator/clock", json={"speed": speed}) as answer:
            assert answer.status == 200, await answer.text()


async def _sent(session: aiohttp.ClientSession, running: System) -> float:
    async with session.get(f"{running.simulator_url}/simulator/stats") as answer:
        document: dict[str, Any] = await answer.json()
    return float(sum(document["trades_sent"].values()))


async def _arrivals(running: System, bootstrap: str, prefix: str) -> Run:
    """Watch every stream as one client; then ask the log when each record was where."""
    result, seen = Run(), dict[tuple[str, int], tuple[int, Mapping[str, Any]]]()
    streams: dict[int, str] = {}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(running.socket_url + "/ws", max_msg_size=0) as socket,
    ):
        for begin in range(0, len(SYMBOLS), ITEMS_PER_COMMAND):
            items = [{"stream": f"trades:best:{name}"} for name in SYMBOLS[begin : begin + ITEMS_PER_COMMAND]]
            await socket.send_str(orjson.dumps({"id": begin, "t": "subscribe", "items": items}).decode())
        due = await _due(session, running)
        gc.collect()
        gc.disable()  # a pause of the one who measures (85 ms, with all it holds) is no delay of what is measured
        begun = time.monotonic()
        while time.monotonic() < begun + WARM_S + MEASURE_S:
            frame = await socket.receive(timeout=10)
            arrived = time.time_ns() // 1_000
            messages = orjson.loads(frame.data)
            for message in messages:
                if message["t"] == "subscribed":
                    streams |= {one["sub"]: one["stream"].rpartition(":")[2] for one in message["results"]}
                elif message["t"] == "d" and time.monotonic() > begun + WARM_S:
                    symbol = streams[message["sub"]]
                    seen |= {(symbol, offset): (arrived, record) for offset, record in message["m"]}
    gc.enable()
    result.rate_per_s = len(seen) / MEASURE_S
    appended = await asyncio.to_thread(append_times, bootstrap, prefix)
    for (symbol, offset), (arrived, record) in seen.items():
        result.from_due.append((arrived - due(record["event_time"])) / 1_000)
        result.whole.append((arrived - record["received_time"]) / 1_000)
        result.to_raw.append((record["known_from"] - record["received_time"]) / 1_000)
        result.to_canonical.append((appended[symbol, offset] - record["known_from"]) / 1_000)
        result.to_frame.append((arrived - appended[symbol, offset]) / 1_000)
    return result


async def _due(session: aiohttp.ClientSession, running: System) -> Callable[[int], float]:
    """Return what tells the wall time (µs) at which the simulator's clock reaches a market time (µs)."""
    asked: list[tuple[int, int, dict[str, Any]]] = []
    for _ in range(CLOCK_READINGS):
        before = time.time_ns() // 1_000
        async with session.get(f"{running.simulator_url}/simulator/clock") as answer:
            document = await answer.json()
        after = time.time_ns() // 1_000
        asked.append((after - before, (before + after) // 2, document))
    _, wall, clock = min(asked, key=lambda reading: reading[0])
    return lambda moment: wall + (moment - clock["market_time"]) / clock["speed"]


def append_times(bootstrap: str, prefix: str) -> dict[tuple[str, int], int]:
    """Return when the broker appended each canonical trade, µs, by (symbol, offset)."""
    consumer, found = LogReader(bootstrap, "bench"), dict[tuple[str, int], int]()
    for partition in range(DEFAULT_PARTITIONS):
        low, high = consumer.bounds(prefix + TRADES, partition)
        if high > low:
            for message in consumer.read(prefix + TRADES, partition, low, high):
                found[(message.key() or b"").decode(), message.offset() or 0] = message.timestamp()[1] * 1_000
    consumer.close()
    return found
