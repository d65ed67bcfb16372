"""Requests a second of `price` and `intraday`, the first against a bare aiohttp handler that returns the same bytes.

Run: `python -m benchmarks rest`. Servers are processes of their own on uvloop, as the service is; one client process keeps
so many requests under way. Values are in memory as the live half holds them, bars in a database with what is known of gaps.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import aiohttp
import asyncpg
import uvloop
from aiohttp import web

from benchmarks.measure import RUNS, Row, middle, row
from benchmarks.stored_minutes import FIRST_DAY, stored_minutes
from gateway.http.shell.connections import listening
from gateway.live.ring import RING_MESSAGES
from gateway.live.shell.live import LiveStreams
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.garbage import collect_rarely
from infra.runtime.postgres.migrate import migrate
from schemas.clocks import CanonicalOffset
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import BY_RECORD, Bar, Quote, Trade
from schemas.topics import DEFAULT_PARTITIONS
from tests.conftest import free_port
from tests.support.builders import a_bar, a_quote, a_trade
from tests.support.gateway_rest import rest

ROOT = Path(__file__).parent.parent
SYMBOLS, DAYS = 50, 5
OPENS = FIRST_DAY + (DAYS - 1) * DAY_US
NOW = OPENS + 2 * HOUR_US
WATERMARK_US = NOW + 90 * SECOND_US
UNDER_WAY = 16
MEASURE_S = 4.0
READY_WITHIN_S = 30.0
PRICE_GOAL, PRICE_FLOOR = 0.6, 0.4
INTRADAY_GOAL_PER_S = 1_200.0
INTRADAY = "/stocks/S{0}/intraday?limit=30"
PRICE = "/stocks/S{0}/price"

FILL = (
    stored_minutes(symbols=SYMBOLS, with_bars=SYMBOLS, days=DAYS, where="true")
    + """
    INSERT INTO gap_evidence
    SELECT 'bars.1m:' || provider || ':' || symbol, start_time, NULL, start_time, 0, 0, 0, 0, 'collected', symbol, provider, '1m', '', 'processor', ''
    FROM streams WHERE kind = 'bars';
"""
)


class Memory(LiveStreams):
    """The live half as it is while it follows its log, without a broker."""

    ready = True
    reachable = True

    def put(self, *records: Quote | Trade | Bar) -> None:
        """Take records as if they came."""
        for offset, record in enumerate(records):
            place = TopicPartition(
                BY_RECORD[type(record)].topic, partition_of(record.symbol, DEFAULT_PARTITIONS)
            )
            self.feeds.apply(place, CanonicalOffset(offset), record.received_time, asdict(record))


def _memory() -> Memory:
    live = Memory("", "", DEFAULT_PARTITIONS, budget_bytes=1 << 24, ring_messages=RING_MESSAGES)
    live.feeds.epochs = {"bars.v1": "a"}
    for stream in BY_RECORD.values():
        for partition in range(DEFAULT_PARTITIONS):
            live.feeds.begin(TopicPartition(stream.topic, partition), 0)
    for number in range(SYMBOLS):
        symbol = f"S{number}"
        live.put(
            a_quote(symbol=symbol, event_time=NOW - SECOND_US),
            a_trade(symbol=symbol, event_time=NOW - SECOND_US // 2, provider="finnhub"),
            a_bar(symbol=symbol, event_time=NOW - MINUTE_US),
        )
    return live


async def serve(dsn: str) -> None:
    """Serve until the process is ended; prints the port."""
    async with rest(dsn, live=_memory()) as running:
        running.clock.now = NOW
        collect_rarely()
        moment = WATERMARK_US
        await running.complete_before(moment)
        print(f"ready {running.port}", flush=True)
        # as in life: each second another moment is complete, and no answer of the one before counts
        while True:
            await asyncio.sleep(1.0)
            moment += SECOND_US
            await running.complete_before(moment)


async def serve_bare(body: bytes) -> None:
    """Serve these bytes on every path."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def nobody(_: float) -> None:
        """Nobody is to be sent away."""

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with listening(app, "127.0.0.1", 0, nobody) as port:
        collect_rarely()
        print(f"ready {port}", flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def server(*arguments: str, module: str = "benchmarks.rest") -> AsyncIterator[int]:
    """Run a server in a process of its own and give its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        yield int(line.split()[1])
    finally:
        process.kill()
        await process.wait()


async def _ask(port: int, path: str, until_s: float, number: int) -> int:
    """Ask one after another over one connection; return how many answers came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    while time.perf_counter() < until_s:
        target = path.format((number + answered * UNDER_WAY) % SYMBOLS)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        answered += 1
    writer.close()
    return answered


async def rate(port: int, path: str) -> float:
    """Return requests a second."""
    until_s = time.perf_counter() + MEASURE_S
    counts = await asyncio.gather(*(_ask(port, path, until_s, number) for number in range(UNDER_WAY)))
    return sum(counts) / MEASURE_S


async def measure(dsn: str) -> list[Row]:
    """Measure in turns."""
    filling = await asyncpg.connect(dsn)
    await filling.execute(FILL)
    await filling.execute("VACUUM ANALYZE")
    await filling.close()
    async with server("--dsn", dsn) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}{PRICE.format(0)}") as response:
            body = await response.text()
        async with server("--body", body) as bare_port:
            prices, bare, intraday = [], [], []
            for _ in range(RUNS + 1):
                prices.append(await rate(port, PRICE))
                bare.append(await rate(bare_port, PRICE))
                intraday.append(await rate(port, INTRADAY))
    # the first one of each fills caches
    yardstick = middle(bare[1:])
    return [
        row(
            "price of values in memory",
            middle(prices[1:]),
            "requests/s",
            yardstick=yardstick,
            goal=PRICE_GOAL,
            floor=PRICE_FLOOR,
        ),
        row(
            "intraday?limit=30 of a day of minutes",
            middle(intraday[1:]),
            "requests/s",
            goal=INTRADAY_GOAL_PER_S,
        ),
    ]


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    with (
        tempfile.TemporaryDirectory(prefix="mds-bench-") as folder,
        EmbeddedPostgres(Path(folder), port=free_port()) as database,
    ):
        asyncio.run(migrate(database.dsn))
        return uvloop.run(measure(database.dsn))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn")
    parser.add_argument("--body")
    given = parser.parse_args()
    body = given.body or ""
    uvloop.run(
        serve(given.dsn)
        if given.dsn
        else serve_bare(Path(body[1:]).read_bytes() if body.startswith("@") else body.encode())
    )
