"""10,000 symbols on one producer process: how well it keeps to its cadence, and what it weighs.

A real producer polls a real simulator (its own process) into a real broker: minute bars of every symbol each minute,
quotes of every symbol each minute in batches. Lateness is the producer's own record of it (topic `cadence.v1`),
memory and processor time are the kernel's word (/proc), after everything was polled once.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import psutil
import yaml

from benchmarks.measure import Row, Servers, row, servers, topics
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.logs import LogReader
from schemas.intervals import SECOND_US
from schemas.journals import CadenceSample
from schemas.log_buckets import quantile_us
from schemas.topics import CADENCE, DEFAULT_PARTITIONS
from schemas.wire.codec import decode
from tests.support.system import System, system

SYMBOLS = 10_000
WARM_S = 150.0  # the first round takes a minute of double load; then what it left waiting is worked off
MEASURE_S = 180.0
SAMPLE_EVERY_S = 1.0
WATCH_S = 20.0  # of a reload
ASK_EVERY_S = 0.01
START = "2026-11-20T00:20:00Z"  # early in its day: the simulator makes the hours before as they are asked for
GOAL_P99_MS = 1_000.0
GOAL_MEMORY_MB = 200.0
STREAMS = {
    "bars": {"provider": "yahoo", "every_s": 60},
    "quotes": {"provider": "yahoo", "every_s": 60},  # tier T2's
}


@dataclass
class Usage:
    """One process while it was measured: MB resident, highest, and the share of one processor."""

    name: str
    pid: int
    memory_mb: list[float] = field(default_factory=list)
    share: float = 0.0


def run() -> list[Row]:
    """Return lateness, memory and processor time."""
    with servers() as base:
        return asyncio.run(_run(base, SYMBOLS, WARM_S, MEASURE_S))


async def _run(base: Servers, count: int, warm_s: float, measure_s: float) -> list[Row]:
    prefix = "cadence."
    topics(base.bootstrap, prefix)
    names = [f"SIM{number:05d}" for number in range(1, count + 1)]
    with system(bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=base.folder, symbols=names,
                settings={"MDS_SIMULATOR_SPEED": "1", "MDS_SIMULATOR_START": START, "PRODUCERS_CURSOR_WAIT_S": "5"}) as running:  # fmt: skip
        configuration = {"symbols": names, "streams": STREAMS}
        (base.folder / "mds.yaml").write_text(yaml.safe_dump(configuration), "utf-8")
        for name in ("simulator", "producers"):
            running.start(name)
            await running.ready(name)
        await asyncio.sleep(warm_s)
        usages = await _observe(running, base, measure_s)
        windows = await asyncio.to_thread(_windows, base.bootstrap, prefix, measure_s)
        reload = await _reload_rows(running, base, configuration)
    return [*_cadence_rows(windows), *_usage_rows(usages, count), *reload]


async def _reload_rows(running: System, base: Servers, configuration: dict[str, Any]) -> list[Row]:
    """Add a symbol to all the others; return how long the producer answered nobody, before and meanwhile."""
    before_s = await _slowest_answer_s(running, WATCH_S)
    more = {**configuration, "symbols": [*configuration["symbols"], "SIM99999"]}
    (base.folder / "mds.yaml").write_text(yaml.safe_dump(more), "utf-8")
    reloading_s = await _slowest_answer_s(running, WATCH_S)
    count = len(more["symbols"])
    logs = [path.read_text("utf-8") for path in running.logs.glob("*-producers.log")]
    assert any(f'"streams": {len(STREAMS) * count},' in log for log in logs), "nothing was reloaded"
    return [
        row(f"slowest answer of /readyz in {WATCH_S:.0f} s", before_s * 1_000, "ms"),
        row(f"the same while a symbol is added to {count - 1:,}", reloading_s * 1_000, "ms"),
    ]


async def _slowest_answer_s(running: System, watch_s: float) -> float:
    url = f"http://127.0.0.1:{running.env['PRODUCERS_OPS_PORT']}/readyz"
    slowest_s, until_s = 0.0, monotonic_s() + watch_s
    async with aiohttp.ClientSession() as session:
        while (begun_s := monotonic_s()) < until_s:
            async with session.get(url) as answer:
                await answer.read()
            slowest_s = max(slowest_s, monotonic_s() - begun_s)
            await asyncio.sleep(ASK_EVERY_S)
    return slowest_s


async def _observe(running: System, base: Servers, measure_s: float) -> list[Usage]:
    usages = [Usage(name, process.pid) for name, process in running.processes.items()]
    usages.append(Usage("kafka", base.broker_pid))
    processes = {usage.name: psutil.Process(usage.pid) for usage in usages}
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    begun_s = monotonic_s()
    while monotonic_s() < begun_s + measure_s:
        for usage in usages:
            usage.memory_mb.append(processes[usage.name].memory_info().rss / 1e6)
        await asyncio.sleep(SAMPLE_EVERY_S)
    elapsed_s = monotonic_s() - begun_s
    for usage in usages:
        usage.share = (sum(processes[usage.name].cpu_times()[:2]) - before[usage.name]) / elapsed_s
    return usages


def _windows(bootstrap: str, prefix: str, measure_s: float) -> list[dict[str, Any]]:
    """Return what the producer told of every group over the windows begun within the last `measure_s`, oldest first."""
    since = wall_us() - int(measure_s * SECOND_US)
    with LogReader(bootstrap, "benchmark-reader") as reader:
        windows = [
            asdict(decode(CADENCE, message.value(), CadenceSample))
            for partition in range(DEFAULT_PARTITIONS)
            for message in reader.read(prefix + CADENCE, partition, 0)
        ]
    recent = (window for window in windows if window["begun_time"] >= since)
    return sorted(recent, key=lambda window: int(window["ended_time"]))


def _cadence_rows(windows: list[Any]) -> list[Row]:
    rows: list[Row] = []
    for capability in sorted({window["capability"] for window in windows}):
        ours = [window for window in windows if window["capability"] == capability]
        errors: dict[int, int] = {}
        for window in ours:
            for bucket, number in zip(window["buckets"], window["counts"], strict=True):
                errors[bucket] = errors.get(bucket, 0) + number
        label = f"{capability}, {ours[-1]['symbols']:,} symbols every {ours[-1]['every_s']:.0f} s"
        polls = sum(window["symbol_polls"] for window in ours)
        market_s = sum(window["market_s"] for window in ours)
        rows += [
            row(f"{label}: begun late, p50", (quantile_us(errors, 0.5) or 0) / 1_000, "ms"),
            row(
                f"{label}: begun late, p99",
                (quantile_us(errors, 0.99) or 0) / 1_000,
                "ms",
                goal=GOAL_P99_MS,
                lower_is_better=True,
            ),
            row(f"{label}: begun late, most", max(window["error_max_ms"] for window in ours), "ms"),
            row(
                f"{label}: of {len(ours)} windows of 10 s, with a poll begun over 1 s late",
                sum(window["error_max_ms"] > GOAL_P99_MS for window in ours),
                "windows",
            ),
            row(f"{label}: polled, on average, every", market_s * ours[-1]["symbols"] / max(polls, 1), "s"),
            row(f"{label}: slots missed", sum(window["missed"] for window in ours), "polls"),
            row(f"{label}: polls failed", sum(window["failed"] for window in ours), "polls"),
            row(f"{label}: longest overdue", max(window["stale_s"] for window in ours), "s"),
        ]
    return rows


def _usage_rows(usages: list[Usage], count: int) -> list[Row]:
    rows = []
    for usage in usages:
        goal = GOAL_MEMORY_MB if usage.name == "producers" else None
        most = max(usage.memory_mb)
        rows.append(
            row(
                f"memory of {usage.name} with {count:,} symbols, highest",
                most,
                "MB",
                goal=goal,
                lower_is_better=True,
            )
        )
        rows.append(row(f"processor time of {usage.name}", 100 * usage.share, "% of a core"))
    return rows
