"""CPU time of the gateway a request, and of the sink a batch, with spans off, one in a hundred and all, against off.

Run: `python -m benchmarks tracing`; needs the extra: make setup EXTRA=otel. The request is the cheapest there is, three rows
out of memory behind the real border: of any other a span is a smaller part. CPU time and not requests a second, since the
receiver shares the machine. Its yardstick is the same server with spans off, in turns.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import uvloop
from aiohttp import web

from benchmarks.measure import Row, middle, row
from infra.runtime import lifecycle, tracing
from infra.runtime.garbage import collect_rarely
from infra.runtime.settings import MdsSettings
from schemas.topics import QUOTES
from schemas.wire.codec import encode
from sinks.batch.batch import Batch, PartitionRecords, assemble
from sinks.store.shell.outcome import span_of_batch
from tests.support.builders import a_quote
from tests.support.received import Message
from tests.support.toy_gateway import serving_at

ROOT = Path(__file__).parent.parent
TURNS, REQUESTS, UNDER_WAY = 9, 2_000, 8
READY_WITHIN_S = 30.0
MODES = {"off": "", "one in a hundred": "0.01", "all": "1"}
SAMPLED_GOAL = 1.1
ROWS, BLOCK_ROWS = 20_000, 40  # of a batch of the sink
"""As many as a poll of some symbols has."""


async def serve(endpoint: str, ratio: str) -> None:
    """Serve toys until the process is ended; prints the port. Without a ratio spans are off."""
    env = {"MDS_OTEL": "1", "MDS_OTEL_ENDPOINT": endpoint, "MDS_OTEL_RATIO": ratio} if ratio else {}
    async with AsyncExitStack() as opened:
        if ratio:
            from infra.runtime.span_export import exporting  # an extra

            await opened.enter_async_context(exporting(MdsSettings.from_env(env), "bench", lifecycle.VERSION))
        _, port = await opened.enter_async_context(serving_at())
        collect_rarely()
        print(f"ready {port}", flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Take whatever comes; gives the URL."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def server(endpoint: str, ratio: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    """Run a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.tracing", endpoint, ratio]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        yield int(line.split()[1]), psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


async def cpu_us(session: aiohttp.ClientSession, port: int, process: psutil.Process) -> float:
    """Return the microseconds of CPU that a request cost the server."""

    async def ask() -> None:
        for _ in range(REQUESTS // UNDER_WAY):
            async with session.get(f"http://127.0.0.1:{port}/rows") as answer:
                assert answer.status == 200
                await answer.read()

    before = process.cpu_times()
    await asyncio.gather(*(ask() for _ in range(UNDER_WAY)))
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / REQUESTS * 1e6


async def requests() -> list[Row]:
    """Measure the servers in turns."""
    took: dict[str, list[float]] = {name: [] for name in MODES}
    async with AsyncExitStack() as opened:
        endpoint = await opened.enter_async_context(receiver())
        session = await opened.enter_async_context(aiohttp.ClientSession())
        made = {
            name: await opened.enter_async_context(server(endpoint, ratio)) for name, ratio in MODES.items()
        }
        for turn in range(TURNS + 1):
            for name, (port, process) in made.items():
                found = await cpu_us(session, port, process)
                if turn:  # the first one fills caches
                    took[name].append(found)
    off = middle(took["off"])
    return [row("request, spans off", off, "µs of CPU")] + [
        row(
            f"request, {name}",
            middle(took[name]),
            "µs of CPU",
            yardstick=off,
            goal=SAMPLED_GOAL if name == "one in a hundred" else None,
            lower_is_better=True,
        )
        for name in list(MODES)[1:]
    ]


def batch() -> tuple[Batch, float]:
    """Return a batch of quotes of many blocks, and how long it took to make, ms of CPU."""
    quotes = [
        a_quote(symbol=f"S{number % 500}", raw_offset=number // BLOCK_ROWS, index=number % BLOCK_ROWS)
        for number in range(ROWS)
    ]
    records = [Message(encode(QUOTES, quote), at) for at, quote in enumerate(quotes)]
    part = PartitionRecords(topic=QUOTES, partition=0, partitions=1, end=ROWS, at_end=True)
    part.records.extend(records)
    began_s = time.process_time()
    made, _ = assemble([part])
    assert len(made.rows[0].partitions) == ROWS
    return made, (time.process_time() - began_s) * 1_000


def batches() -> list[Row]:
    """Measure what a span costs beside decoding and encoding the batch it is of."""
    made, _ = batch()
    whole = middle([batch()[1] for _ in range(TURNS)])
    rows = []
    for name, ratio in MODES.items():
        if ratio:
            tracing.record(lambda _: None, ratio=float(ratio))
        took = middle([_span_ms(made) for _ in range(TURNS)])
        tracing.record(None)
        rows.append(
            row(
                f"batch of {ROWS:,} rows in {ROWS // BLOCK_ROWS} blocks, {name}",
                took,
                "ms of CPU",
                yardstick=whole,
            )
        )
    return rows


def _span_ms(made: Batch) -> float:
    began_s = time.process_time()
    with span_of_batch(made):
        pass
    return (time.process_time() - began_s) * 1_000


def run() -> list[Row]:
    """Return the measurements as rows of benchmarks/results.json."""
    return [*uvloop.run(requests()), *batches()]


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
