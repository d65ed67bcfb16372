"""A gateway of WebSocket routes alone, in this process or as one of its own.

`python -m tests.support.gateway_process` prints `ready PORT` once it is warm; SIGTERM drains it like the real one.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import ClassVar

import uvloop
from aiohttp import web

from gateway.http.access import Access
from gateway.http.shell.answers import Serves
from gateway.http.shell.app import application
from gateway.http.shell.connections import listening
from gateway.live.ring import RING_MESSAGES
from gateway.live.shell.live import LiveStreams
from gateway.operations.shell.health import METRICS
from gateway.websocket.shell.routes import MAX_CONNECTIONS, WebSockets
from gateway.websocket.shell.subscriber import StreamCatalogue
from infra.runtime.kafka.topics import partition_count
from infra.runtime.lifecycle import configure_logging
from infra.runtime.metrics import render
from tests.support.eventually import eventually

READY_WITHIN_S = 30.0
UNKNOWN = "NOSUCH"  # every other symbol is configured
OPEN_TO_ALL = Access([], required=False)


class Exposition:
    """The metrics of this process alone."""

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """GET /metrics."""
        return web.Response(body=render()[0])

    serves: ClassVar[Serves] = ((METRICS, metrics),)


@asynccontextmanager
async def serving(
    bootstrap: str,
    prefix: str,
    *,
    ring_messages: int = RING_MESSAGES,
    access: Access = OPEN_TO_ALL,
    max_connections: int = MAX_CONNECTIONS,
) -> AsyncIterator[tuple[LiveStreams, int]]:
    """Serve inside, warm, and yield the live streams and the port."""

    async def known_among(symbols: Collection[str]) -> Collection[str]:
        return [symbol for symbol in symbols if not symbol.startswith(UNKNOWN)]

    count = await asyncio.to_thread(partition_count, bootstrap, prefix=prefix, client_id="test-gateway")
    async with LiveStreams.open(bootstrap, count, prefix=prefix, ring_messages=ring_messages) as live:
        sockets = WebSockets(
            live, access, StreamCatalogue(known_among=known_among), max_connections=max_connections
        )
        app = application([sockets, Exposition()], access)
        async with listening(app, "127.0.0.1", 0, live.drain) as port:
            await eventually(lambda: live.ready, within_s=READY_WITHIN_S)
            yield live, port


async def main(bootstrap: str, prefix: str, ring_messages: int) -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with serving(bootstrap, prefix, ring_messages=ring_messages) as (_, port):
        print(f"ready {port}", flush=True)
        await stopping.wait()


if __name__ == "__main__":
    configure_logging("gateway", "warning")
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--ring-messages", type=int, default=RING_MESSAGES)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(arguments.bootstrap, arguments.prefix, arguments.ring_messages))
