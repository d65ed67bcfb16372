"""A crowd at the gateway: processor time a delivered record of 1,000 clients at 50 records/s against two yardsticks, delays, and idle clients.

Raw blocks go to the broker, a processor makes canonical records of them, five a transaction, and once one by one and evenly, which is the worst
for whoever joins what comes together. The yardsticks are plain aiohttp on uvloop, and centrifuge, a Go library; the latter is handed each
record as JSON, so that neither Kafka nor decoding is in its figure. Delay is from the broker's append of the raw block, and of the canonical record,
to the arrival, parsed, at a client. Broker, processor, server and clients share the machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.latency import append_times
from benchmarks.measure import Row, broker, row
from benchmarks.yardsticks.servers import Server, built, centrifuge, plain
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.kafka.topics import ensure_topics
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.topics import DEFAULT_PARTITIONS, RAW_TRADES, TRADES
from schemas.wire.codec import encode
from tests.support.gateway_harness import ROOT, gateway
from tests.support.system import system

SYMBOL, OTHER = "SPY", "IBM"
STREAM = f"trades:best:{SYMBOL}"
CLIENTS, SECONDS, WARM_S = 1_000, 8, 3
CPU_GOAL, CPU_FLOOR = 0.6, 0.9
DELAY_GOAL_MS, BUSY_DELAY_GOAL_MS = 60.0, 250.0
IDLE_GOAL_KIB = 50.0
WITHIN_S = 120.0
NO_DATABASE = "postgresql://127.0.0.1:1/none"


@dataclass(frozen=True)
class Load:
    """Records of one stream at an even rate, and how many clients beside the crowd stop reading."""

    rate_per_s: int
    seconds: int = SECONDS
    deaf: int = 0
    burst: int = 1  # records of one raw block, and so of one transaction

    @property
    def records(self) -> int:
        """Return how many there are."""
        return self.rate_per_s * self.seconds


STEADY, EVEN, BUSY = Load(50, burst=5), Load(50), Load(200)
DEAF = Load(200, seconds=20, deaf=50)


@dataclass(frozen=True)
class Served:
    """What one load did to a server: seconds of processor time, and what its clients got."""

    load: Load
    cpu_s: float
    heard: dict[str, Any]
    idle_kib: float

    @property
    def cost_us(self) -> float:
        """Return the processor time of one record at one client."""
        return self.cpu_s * 1e6 / (CLIENTS * self.load.records)

    def delay_ms(self, percent: int, appended: Mapping[tuple[str, int], int] | None = None) -> float:
        """Return a percentile from the append of the canonical record, where `appended` tells it, or of its raw block."""
        delays: list[float] = sorted(
            (arrived - (known_from if appended is None else appended[SYMBOL, offset])) / 1_000
            for offset, arrived, known_from in self.heard["seen"]
        )
        return delays[min(len(delays) - 1, len(delays) * percent // 100)]


def run() -> list[Row]:
    """Return what a crowd costs here and there."""
    with tempfile.TemporaryDirectory(prefix="mds-bench-") as folder:
        program = built(Path(folder))
        if isinstance(program, str):
            print(f"   no yardstick centrifuge: {program}", flush=True)
        with broker(short_lived=True) as bootstrap:
            return asyncio.run(
                _measure(bootstrap, Path(folder), None if isinstance(program, str) else program)
            )


async def _measure(bootstrap: str, folder: Path, program: Path | None) -> list[Row]:
    prefix = f"crowd.{os.getpid()}."
    ensure_topics(bootstrap, prefix=prefix)
    place = bootstrap, prefix + TRADES, partition_of(SYMBOL, DEFAULT_PARTITIONS)
    with system(bootstrap=bootstrap, dsn=NO_DATABASE, prefix=prefix, folder=folder, symbols=[SYMBOL, OTHER],
                settings={"MDS_MARKET_CLOCK": "wall"}) as running:  # fmt: skip
        running.start("stream_processors")
        await running.ready("stream_processors")
        async with gateway(bootstrap, prefix) as ours:
            here = Server(ours.url, ours.process.pid)
            served = [await _load(bootstrap, prefix, here, load) for load in (STEADY, EVEN, BUSY, DEAF)]
            closes = await ours.metric("mds_ws_slow_closes_total")
        others: dict[str, list[Served]] = {}
        async with AsyncExitStack() as stack:
            there = await stack.enter_async_context(plain(*place))
            others["plain aiohttp on uvloop"] = [
                await _load(bootstrap, prefix, there, load) for load in (STEADY, EVEN)
            ]
        if program is not None:
            async with centrifuge(program, *place) as there:
                others["centrifuge"] = [
                    await _load(bootstrap, prefix, there, load, "centrifuge") for load in (STEADY, EVEN)
                ]
    appended = await asyncio.to_thread(append_times, bootstrap, prefix)
    return [*_costs(served, others, appended), *_bounds(served, closes)]


def _costs(
    served: list[Served], others: Mapping[str, list[Served]], appended: Mapping[tuple[str, int], int]
) -> list[Row]:
    rows = []
    for number, load in enumerate((STEADY, EVEN)):
        ours = served[number]
        what = f"{CLIENTS:,} clients at {load.rate_per_s} records/s, {load.burst} a transaction"
        for name, theirs in others.items():
            plainly = name != "centrifuge"
            rows.append(
                row(
                    f"{what}: processor time a delivered record / {name}",
                    ours.cost_us,
                    "µs",
                    yardstick=theirs[number].cost_us,
                    goal=CPU_GOAL if plainly else None,
                    floor=CPU_FLOOR if plainly else None,
                    lower_is_better=True,
                )
            )
        rows.append(
            row(f"{what}: records a frame", len(ours.heard["seen"]) / ours.heard["frames"], "records")
        )
        for name, one in {
            "": ours,
            **{f" of {name}": theirs[number] for name, theirs in others.items()},
        }.items():
            for percent in (50, 99):
                goal = DELAY_GOAL_MS if (name, percent) == ("", 99) else None
                delay = one.delay_ms(percent)
                words = f"{what}: raw append to frame{name}, p{percent}"
                rows.append(row(words, delay, "ms", goal=goal, lower_is_better=True))
                words = f"{what}: of it, canonical append to frame{name}, p{percent}"
                rows.append(row(words, one.delay_ms(percent, appended), "ms"))
    return rows


def _bounds(served: list[Served], closes: float) -> list[Row]:
    steady, even, busy, beside = served
    lost = sum(one.load.records - one.heard["least"] for one in (steady, even, busy))
    return [
        row(
            f"{CLIENTS:,} clients at {BUSY.rate_per_s} records/s: raw append to frame, p99",
            busy.delay_ms(99),
            "ms",
            goal=BUSY_DELAY_GOAL_MS,
            lower_is_better=True,
        ),
        row(
            "records lost by the slowest client, all three loads",
            lost,
            "records",
            goal=0,
            lower_is_better=True,
        ),
        row(
            f"delay p99 with {DEAF.deaf} that never read / without",
            beside.delay_ms(99),
            "ms",
            yardstick=busy.delay_ms(99),
            goal=1.2,
            lower_is_better=True,
        ),
        row(f"of {DEAF.deaf} that never read, closed with 4008", closes, "clients", goal=DEAF.deaf),
        row("memory of an idle client", steady.idle_kib, "KiB", goal=IDLE_GOAL_KIB, lower_is_better=True),
    ]


async def _load(bootstrap: str, prefix: str, server: Server, load: Load, *protocol: str) -> Served:
    process = psutil.Process(server.pid)
    before_kib = process.memory_info().rss / 1_024
    swarm = await asyncio.create_subprocess_exec(
        *[
            sys.executable,
            "-m",
            "benchmarks.swarm",
            server.url,
            str(CLIENTS),
            STREAM,
            str(load.deaf),
            *protocol,
        ],
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    assert swarm.stdout is not None
    assert swarm.stdin is not None
    async with asyncio.timeout(WITHIN_S):
        assert (await swarm.stdout.readline()).startswith(b"ready")
        idle_kib = (process.memory_info().rss / 1_024 - before_kib) / CLIENTS
        publisher = Publisher(bootstrap, "crowd", linger_ms=0)
        # Of a symbol nobody reads: a producer's first second is its own, and the broker's.
        await _publish(publisher, prefix, replace(load, seconds=WARM_S), OTHER)
        began_s = sum(process.cpu_times()[:2])
        await _publish(publisher, prefix, load, SYMBOL)
        await asyncio.sleep(1.0)
        publisher.close()
        swarm.stdin.write(b"%d\n" % load.records)
        heard = orjson.loads(await swarm.stdout.readline())
        # Not before the last client has the last record: one that lags has not paid yet.
        cpu_s = sum(process.cpu_times()[:2]) - began_s
        await swarm.wait()
    return Served(load, cpu_s, heard, idle_kib)


async def _publish(publisher: Publisher, prefix: str, load: Load, symbol: str) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(0, load.records, load.burst):
            await asyncio.sleep(max(0.0, began_s + number / load.rate_per_s - loop.time()))
            tasks.create_task(publisher.publish([_block(prefix, symbol, load.burst)]))


def _block(prefix: str, symbol: str, count: int) -> Outgoing:
    now = wall_us()
    events = [
        {"symbol": symbol, "event_time": now - count + n, "price": 100 + n / 100, "size": 100.0,
         "frame_sequence": now + n, "frame_hash": now + n}
        for n in range(count)
    ]  # fmt: skip
    block = RawBlock(
        provider="finnhub", endpoint="trades", route="primary", received_time=now, connection_id="crowd", events=events
    )  # fmt: skip
    partition = partition_of(symbol, DEFAULT_PARTITIONS)
    return Outgoing(topic=prefix + RAW_TRADES, partition=partition, value=encode(RAW_TRADES, block))


if __name__ == "__main__":
    for one in run():
        print(orjson.dumps(one).decode())
