"""Backfill end to end: gaps queued in PostgreSQL → worker → vendor over HTTP → raw topic → processor → sink → gaps filled.

Every part is the real one in a process of its own; the vendor is the simulator's Yahoo on the loopback. Raw blocks tell that
nobody watched forty symbols for five days, the sink opens their gaps and queues their jobs, and only then the producer starts.
Timed is from the first job that is taken to the last gap that is filled, so live polls of the same symbols are in it. There are
two yardsticks: the same pages fetched by four plain clients that throw them away, and what a vendor lets through, for which
stands our own bound on Yahoo: pages of this size, 33 a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import yaml

from benchmarks.measure import Row, Servers, database, middle, row, servers, topics
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from producers.raw.blocks import blank_block, encoded, place
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.yahoo import FACTS
from schemas.records import Discontinuity
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from tests.support.builders import a_bar_event
from tests.support.system import System, system

SYMBOLS = [f"SIM{number:05d}" for number in range(1, 41)]
DAYS = 5
START = "2026-11-20T12:00:00Z"
CONCURRENCY = 4
ROUNDS = 3  # each with processes of its own
DONE_WITHIN_S = 150.0
LOOK_EVERY_S = 0.02
GOAL, FLOOR = 2.0, 1.0  # of what the vendor lets through
RESUMED = EventTime(int(datetime.fromisoformat(START).timestamp()) * SECOND_US - MINUTE_US)
FIRST = EventTime(RESUMED - DAYS * DAY_US)
MISSED = DAYS * DAY_US // MINUTE_US - 1  # minutes of a symbol
TAKEN = "SELECT count(*) FROM (SELECT 1 FROM backfill_jobs WHERE state <> 'queued' LIMIT 1) any_of_them"
QUEUED = "SELECT count(*) FROM backfill_jobs WHERE state = 'queued'"
# $1: where the seeded gaps end; evidence may be stored before the bars it is of, so that one is `empty` for a moment
NOT_FILLED = "SELECT count(*) FROM gaps WHERE from_time < to_timestamp($1::float8) AND state <> 'filled'"
STORED = "SELECT count(*) FROM v_bars WHERE event_time > to_timestamp($1::float8) AND event_time < to_timestamp($2::float8)"


def run() -> list[Row]:
    """Return rows a second, to a plain fetch and to what the vendor lets through."""
    with servers() as base:
        paces = [asyncio.run(_paces(base, f"backfill{number}.")) for number in range(ROUNDS)]
    ours, plain = (middle(list(each)) for each in zip(*paces, strict=True))
    per_minute = FACTS.limits.per_minute or 0
    return [
        row(
            "backfill: gaps queued to rows stored, gaps filled / plain fetch", ours, "rows/s", yardstick=plain
        ),
        row(
            f"the same / what {per_minute} requests a minute let through",
            ours,
            "rows/s",
            yardstick=per_minute / 60 * MISSED,
            goal=GOAL,
            floor=FLOOR,
        ),
    ]


async def _paces(base: Servers, prefix: str) -> tuple[float, float]:
    """Return rows a second of the whole path and of plain clients."""
    await asyncio.to_thread(topics, base.bootstrap, prefix)
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    async with database(base.dsn) as dsn:
        settings = {"MDS_SIMULATOR_START": START, "MDS_SIMULATOR_SPEED": "1"}
        with system(
            bootstrap=base.bootstrap, dsn=dsn, prefix=prefix, folder=folder, symbols=SYMBOLS, settings=settings
        ) as running:  # fmt: skip
            _configure(folder)
            for name in ("simulator", "sinks", "stream_processors"):
                running.start(name)
                await running.ready(name)
            plain = await _plain(running)
            await _tell(base.bootstrap, prefix)
            return await _filled(running, dsn), plain


def _configure(folder: Path) -> None:
    bars = {"providers": ["yahoo"], "intervals": ["1m"]}
    content = {
        "symbols": SYMBOLS,
        "streams": {"bars": bars, "quotes": None},
        "backfill": {"concurrency": CONCURRENCY},
    }
    (folder / "mds.yaml").write_text(yaml.safe_dump(content), "utf-8")


async def _tell(bootstrap: str, prefix: str) -> None:
    """Publish what a producer would that was down for days: a bar before, what it missed, and a bar after it."""
    publisher = Publisher(bootstrap, "bench")
    blank = blank_block("yahoo", "chart", wall_us(), job_id="")
    bars = {at: [_bar(each, at) for each in SYMBOLS] for at in (FIRST, RESUMED)}
    holes: dict[EventTime, list[Discontinuity]] = {FIRST: [], RESUMED: [_hole(each) for each in SYMBOLS]}
    for at, events in bars.items():
        placed = place(blank, events, DEFAULT_PARTITIONS, holes[at])
        values = [
            Outgoing(topic=prefix + RAW_BARS, partition=each.partition, value=value)
            for each in placed
            for value in encoded(RAW_BARS, each.block)
        ]
        await publisher.publish(values)
    publisher.close()


def _bar(symbol: str, at: EventTime) -> dict[str, Any]:
    return a_bar_event(symbol=symbol, event_time=at, simulated=True)


def _hole(symbol: str) -> Discontinuity:
    return Discontinuity(
        symbol=symbol,
        interval="1m",
        from_time=EventTime(FIRST + MINUTE_US),
        to_time=RESUMED,
        cause="producer_down",
    )


async def _plain(running: System) -> float:
    """Return rows a second of the same pages, read and thrown away; the simulator has made them once before."""
    await _fetched(running.simulator_url)
    began_s = time.perf_counter()
    await _fetched(running.simulator_url)
    return len(SYMBOLS) * MISSED / (time.perf_counter() - began_s)


async def _fetched(url: str) -> None:
    waiting = iter(SYMBOLS)
    window = {
        "interval": "1m",
        "period1": str(FIRST // SECOND_US + 60),
        "period2": str(RESUMED // SECOND_US),
        "includePrePost": "true",
    }

    async def client(session: aiohttp.ClientSession) -> None:
        for symbol in waiting:
            async with session.get(f"{url}/yahoo/v8/finance/chart/{symbol}", params=window) as answer:
                assert answer.status == 200
                await answer.read()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(client(session))


async def _filled(running: System, dsn: str) -> float:
    """Start the producer and return rows a second, from the first job taken to the last gap filled."""
    connection, end = await asyncpg.connect(dsn), RESUMED / SECOND_US
    try:
        await _until(lambda: connection.fetchval(QUEUED), len(SYMBOLS))
        running.start("producers")
        await _until(lambda: connection.fetchval(TAKEN), 1)
        began_s = time.perf_counter()
        await _until(lambda: connection.fetchval(NOT_FILLED, end), 0)
        took_s = time.perf_counter() - began_s
        stored = int(await connection.fetchval(STORED, FIRST / SECOND_US, end))
        assert stored == len(SYMBOLS) * MISSED, stored
        return stored / took_s
    finally:
        await connection.close()


async def _until(asked: Callable[[], Awaitable[object]], wanted: int) -> None:
    deadline_s = time.perf_counter() + DONE_WITHIN_S
    while (found := await asked()) != wanted:
        if time.perf_counter() > deadline_s:
            raise TimeoutError(f"{found} in place of {wanted} after {DONE_WITHIN_S:.0f} s")
        await asyncio.sleep(LOOK_EVERY_S)
