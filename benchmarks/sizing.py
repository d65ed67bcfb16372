"""Bytes, processor time and memory of a whole system that collects: 1,000 symbols' bars and quotes a minute, 50 symbols' trades.

Run: `python -m benchmarks sizing`. Simulator, four services, broker and database run at the market's own pace. Bytes of a
topic are those its logs grew by on the disk, as the broker has compressed them; rows are those the sink stored meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import yaml

from benchmarks.measure import Row, Servers, row, servers, topics
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.logs import LogReader
from schemas.topics import (
    BARS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    PROGRESS,
    QUOTES,
    RAW_BARS,
    RAW_QUOTES,
    RAW_TRADES,
    STATE,
    TRADES,
    catalogue,
)
from schemas.wire.codec import decode_value
from sinks.archive.planning import FileLimits
from tests.support.archives import a_round, archiver
from tests.support.system import SERVICES, system

SYMBOLS, TRADED = 1_000, 50  # as many as one free key of Finnhub's is pushed
WARM_S, MEASURE_S, SAMPLE_EVERY_S = 90.0, 180.0, 1.0
PREFIX = "sizing."
START = "2026-11-20T15:00:00Z"
STREAMS = {
    "bars": {"provider": "yahoo", "every_s": 60},
    "quotes": {"provider": "yahoo", "every_s": 60},
    "trades": {"provider": "finnhub"},
}
SHOWN = (RAW_BARS, RAW_QUOTES, RAW_TRADES, BARS, QUOTES, TRADES, EVIDENCE, PROGRESS, STATE)
# what the events of a topic are counted by: of its raw blocks, or its own records
EVENTS = (RAW_BARS, RAW_QUOTES, RAW_TRADES, BARS, QUOTES, TRADES)
WRITTEN = "SELECT wal_bytes FROM pg_stat_wal"

Counted = Mapping[str, float]


def run() -> list[Row]:
    """Return bytes a symbol and hour of each topic, bytes an event, and what each process took."""
    with servers() as base:
        return asyncio.run(_run(base, SYMBOLS, WARM_S, MEASURE_S))


async def _run(base: Servers, count: int, warm_s: float, measure_s: float) -> list[Row]:
    topics(base.bootstrap, PREFIX)
    names = [f"SIM{number:05d}" for number in range(1, count + 1)]
    settings = {"MDS_SIMULATOR_SPEED": "1", "MDS_SIMULATOR_START": START}
    with system(
        bootstrap=base.bootstrap, dsn=base.dsn, prefix=PREFIX, folder=base.folder, symbols=names, settings=settings
    ) as running:  # fmt: skip
        entries: list[Any] = [
            {"symbol": name, "streams": ["bars", "quotes", *(["trades"] if place < TRADED else [])]}
            for place, name in enumerate(names)
        ]
        configuration = yaml.safe_dump({"symbols": entries, "streams": STREAMS})
        (base.folder / "mds.yaml").write_text(configuration, "utf-8")
        running.start("simulator")
        await running.ready("simulator")
        await running.start_services()
        await asyncio.sleep(warm_s)
        processes = {name: [psutil.Process(running.processes[name].pid)] for name in SERVICES}
        processes |= {"Kafka": [psutil.Process(base.broker_pid)], "PostgreSQL": _database(base)}
        before, ends, spent = _bytes(base.folder), _ends(base.bootstrap), _cpu_s(processes)
        written = await _written(base.dsn)
        begun_s, most = monotonic_s(), dict.fromkeys(processes, 0.0)
        while monotonic_s() < begun_s + measure_s:
            for name, each in _memory_mb(processes).items():
                most[name] = max(most[name], each)
            await asyncio.sleep(SAMPLE_EVERY_S)
        took_s = monotonic_s() - begun_s
        after, spent_now = _bytes(base.folder), _cpu_s(processes)
        written = await _written(base.dsn) - written
        events = await asyncio.to_thread(_events, base.bootstrap, ends, _ends(base.bootstrap))
        archived = await _archived(base)
    grown = {name: after[name] - before[name] for name in after}
    return [
        *_byte_rows(grown, events, count, took_s),
        *(row(f"archive of {name}, to its bytes on the broker", archived[name] / after[name], "times") for name in archived),
        row("write-ahead log of PostgreSQL", written / took_s * 3_600 / count, "bytes a symbol and hour"),
        *(row(f"processor time of {name}", 100 * (spent_now[name] - spent[name]) / took_s, "% of a core") for name in processes),
        *(row(f"memory of {name}, highest", most[name], "MB") for name in processes),
    ]  # fmt: skip


def _byte_rows(grown: Counted, events: Counted, count: int, took_s: float) -> list[Row]:
    rows = []
    for name in SHOWN:
        symbols = TRADED if name in (RAW_TRADES, TRADES) else count
        rows.append(row(f"{name}", grown[name] / took_s * 3_600 / symbols, "bytes a symbol and hour"))
        if name in EVENTS:
            rows.append(row(f"{name}, an event", grown[name] / max(1, events[name]), "bytes"))
            rows.append(row(f"{name}, events", events[name] / took_s * 3_600 / symbols, "a symbol and hour"))
    others = sum(grown[name] for name in grown if name not in SHOWN)
    return [*rows, row("all other topics together", others / took_s * 3_600 / count, "bytes a symbol and hour")]  # fmt: skip


def _bytes(folder: Path) -> dict[str, float]:
    """Return the bytes of every topic's logs on the disk, by its name without the prefix."""
    found: dict[str, float] = dict.fromkeys(catalogue().topics, 0.0)
    for segment in folder.glob(f"k/**/{PREFIX}*/*.log"):
        name = segment.parent.name.removeprefix(PREFIX).rpartition("-")[0]
        found[name] = found.get(name, 0.0) + segment.stat().st_size
    assert any(found.values()), "no log of the broker was found"
    return found


def _ends(bootstrap: str) -> dict[tuple[str, int], int]:
    with LogReader(bootstrap, "benchmark-reader") as reader:
        return {
            (name, number): reader.bounds(PREFIX + name, number)[1]
            for name in EVENTS
            for number in range(DEFAULT_PARTITIONS)
        }


async def _archived(base: Servers) -> dict[str, float]:
    """Archive all there is, as if its hour were over, and return the bytes of the files by topic."""
    folder = base.folder / "archive"
    names = [name for name in EVENTS if name.startswith("raw.")]
    archive = archiver(folder, base.bootstrap, PREFIX, topics=names, file_bytes=FileLimits().file_bytes)
    await a_round(archive)
    files = {name: folder.glob(f"{name}/**/*.parquet") for name in names}
    return {name: float(sum(file.stat().st_size for file in found)) for name, found in files.items()}


def _events(
    bootstrap: str, since: Mapping[tuple[str, int], int], until: Mapping[tuple[str, int], int]
) -> dict[str, float]:
    """Return how many events each topic has between two ends of its partitions."""
    found: dict[str, float] = dict.fromkeys(EVENTS, 0.0)
    with LogReader(bootstrap, "benchmark-reader") as reader:
        for (name, number), start in since.items():
            for message in reader.read(PREFIX + name, number, start, until[name, number]):
                is_raw = name.startswith("raw.")
                found[name] += len(decode_value(name, message.value())["events"]) if is_raw else 1
    return found


def _database(base: Servers) -> list[psutil.Process]:
    """Return the server of the database; its sessions are its children, asked for anew each time."""
    pid = int((next(base.folder.glob("p/**/postmaster.pid"))).read_text().splitlines()[0])
    return [psutil.Process(pid)]


def _all(parents: list[psutil.Process]) -> list[psutil.Process]:
    return [each for parent in parents for each in (parent, *parent.children(recursive=True))]


def _cpu_s(processes: Mapping[str, list[psutil.Process]]) -> dict[str, float]:
    """Return processor seconds, of children that ended too."""
    of_ended = {name: sum(sum(each.cpu_times()[2:4]) for each in own) for name, own in processes.items()}
    return {
        name: of_ended[name] + sum(_asked(each, lambda one: sum(one.cpu_times()[:2])) for each in _all(own))
        for name, own in processes.items()
    }


def _memory_mb(processes: Mapping[str, list[psutil.Process]]) -> dict[str, float]:
    """Return resident memory; of PostgreSQL's sessions what each has alone, for they share their buffers."""

    def taken(name: str, process: psutil.Process) -> float:
        return float(process.memory_full_info().uss if name == "PostgreSQL" else process.memory_info().rss)

    return {
        name: sum(_asked(each, partial(taken, name)) for each in _all(own)) / 1e6
        for name, own in processes.items()
    }


def _asked(process: psutil.Process, ask: Callable[[psutil.Process], float]) -> float:
    """Return what a process says of itself, nothing of a session that has just ended."""
    try:
        return ask(process)
    except psutil.NoSuchProcess:
        return 0.0


async def _written(dsn: str) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        return float(await connection.fetchval(WRITTEN))
    finally:
        await connection.close()
