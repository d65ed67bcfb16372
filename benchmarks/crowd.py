"""A crowd at the gateway: processor time of 1,000 clients at 50 records/s against plain aiohttp, delays, and memory of idle ones.

Records become visible as transactions bring them, five at a time, and once one by one, evenly, which is the worst for whoever joins
what comes together; delay is from just before a record is published to its arrival, parsed, at a client. Broker, server and clients share the machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import psutil

from benchmarks.measure import Row, broker, row
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.kafka.topics import ensure_topics
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support.builders import a_trade
from tests.support.gateway_harness import ROOT, gateway, outgoing

STREAM = "trades:best:SPY"
CLIENTS, SECONDS, WARM_S = 1_000, 8, 3
CPU_GOAL, CPU_FLOOR = 0.6, 0.9
DELAY_GOAL_MS, BUSY_DELAY_GOAL_MS = 60.0, 250.0
IDLE_GOAL_KIB = 50.0
WITHIN_S = 120.0


def run() -> list[Row]:
    """Return what a crowd costs here and there."""
    with broker(short_lived=True) as bootstrap:
        return asyncio.run(_measure(bootstrap))


@dataclass(frozen=True)
class Load:
    """Records of one stream at an even rate, and how many clients beside the crowd stop reading."""

    rate_per_s: int
    seconds: int = SECONDS
    deaf: int = 0
    burst: int = 1  # records that become visible at once, as those of one transaction do

    @property
    def records(self) -> int:
        """Return how many there are."""
        return self.rate_per_s * self.seconds


STEADY, EVEN, BUSY = Load(50, burst=5), Load(50), Load(200)
DEAF = Load(200, seconds=20, deaf=50)


@dataclass(frozen=True)
class Served:
    """What one load did to a server: seconds of processor time, and what its clients got."""

    cpu_s: float
    heard: dict[str, Any]
    idle_kib: float


async def _measure(bootstrap: str) -> list[Row]:
    prefix = f"crowd.{os.getpid()}."
    ensure_topics(bootstrap, prefix=prefix)
    async with gateway(bootstrap, prefix) as running:
        ours, even, busy, beside = [
            await _load(bootstrap, prefix, running.url, running.process.pid, load)
            for load in (STEADY, EVEN, BUSY, DEAF)
        ]
        closes = await running.metric("mds_ws_slow_closes_total")
    async with _plain(bootstrap, prefix) as (url, pid):
        plain, plain_even = [await _load(bootstrap, prefix, url, pid, load) for load in (STEADY, EVEN)]
    assert plain.heard["least"] == STEADY.records, "the yardstick lost records"
    return [
        row(
            f"processor time of {CLIENTS:,} clients at {STEADY.rate_per_s} records/s, {STEADY.burst} at a time / plain aiohttp on uvloop",
            ours.cpu_s,
            "s",
            yardstick=plain.cpu_s,
            goal=CPU_GOAL,
            floor=CPU_FLOOR,
            lower_is_better=True,
        ),
        row("the same, records one by one", even.cpu_s, "s", yardstick=plain_even.cpu_s),
        _delay(f"delay p99, {CLIENTS:,} clients at {STEADY.rate_per_s} records/s", ours, DELAY_GOAL_MS),
        _delay("the same, records one by one", even, DELAY_GOAL_MS),
        _delay(f"delay p99, {CLIENTS:,} clients at {BUSY.rate_per_s} records/s", busy, BUSY_DELAY_GOAL_MS),
        row("delay p99 of plain aiohttp, the same load", _p99(plain.heard["delays_ms"]), "ms"),
        row(
            "records lost by the slowest client, both loads",
            STEADY.records + BUSY.records - ours.heard["least"] - busy.heard["least"],
            "records",
            goal=0,
            lower_is_better=True,
        ),
        row(
            f"delay p99 with {DEAF.deaf} that never read / without",
            _p99(beside.heard["delays_ms"]),
            "ms",
            yardstick=_p99(busy.heard["delays_ms"]),
            goal=1.2,
            lower_is_better=True,
        ),
        row(f"of {DEAF.deaf} that never read, closed with 4008", closes, "clients", goal=DEAF.deaf),
        row("memory of an idle client", ours.idle_kib, "KiB", goal=IDLE_GOAL_KIB, lower_is_better=True),
    ]


def _delay(name: str, served: Served, goal_ms: float) -> Row:
    return row(name, _p99(served.heard["delays_ms"]), "ms", goal=goal_ms, lower_is_better=True)


async def _load(bootstrap: str, prefix: str, url: str, pid: int, load: Load) -> Served:
    server = psutil.Process(pid)
    before_kib = server.memory_info().rss / 1_024
    arguments = [url, str(CLIENTS), STREAM, str(load.deaf)]
    swarm = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "benchmarks.swarm", *arguments],
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    assert swarm.stdout is not None
    assert swarm.stdin is not None
    async with asyncio.timeout(WITHIN_S):
        assert (await swarm.stdout.readline()).startswith(b"ready")
        idle_kib = (server.memory_info().rss / 1_024 - before_kib) / CLIENTS
        publisher = Publisher(bootstrap, "crowd", linger_ms=0)
        # Of a symbol nobody reads: a producer's first second is its own, and the broker's.
        await _publish(publisher, prefix, replace(load, seconds=WARM_S), "IBM")
        began_s = sum(server.cpu_times()[:2])
        await _publish(publisher, prefix, load, "SPY")
        await asyncio.sleep(1.0)
        cpu_s = sum(server.cpu_times()[:2]) - began_s
        publisher.close()
        swarm.stdin.write(b"enough\n")
        heard = orjson.loads(await swarm.stdout.readline())
        await swarm.wait()
    return Served(cpu_s, heard, idle_kib)


async def _publish(publisher: Publisher, prefix: str, load: Load, symbol: str) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(0, load.records, load.burst):
            await asyncio.sleep(max(0.0, began_s + number / load.rate_per_s - loop.time()))
            now = wall_us()
            made = [
                a_trade(symbol=symbol, raw_offset=number + n, received_time=now) for n in range(load.burst)
            ]
            tasks.create_task(publisher.publish([outgoing(prefix, trade) for trade in made]))


@asynccontextmanager
async def _plain(bootstrap: str, prefix: str) -> AsyncIterator[tuple[str, int]]:
    partition = partition_of("SPY", DEFAULT_PARTITIONS)
    process = await asyncio.create_subprocess_exec(
        *[
            sys.executable,
            "-m",
            "benchmarks.yardsticks.plain_fanout",
            bootstrap,
            prefix + TRADES,
            str(partition),
        ],
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), WITHIN_S)
        yield f"ws://127.0.0.1:{int(line.split()[1])}/ws", process.pid
    finally:
        process.kill()
        await process.wait()


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
