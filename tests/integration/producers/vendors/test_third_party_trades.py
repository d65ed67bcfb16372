"""Trades of a third party's provider: its package is installed, its socket speaks its own format, we stream it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import WSMsgType, web

from schemas.topics import RAW_TRADES
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.plugin_packages import ACME, install
from tests.support.producer_processes import configuration, producer, raw_blocks, simulator

START_MS = 1_381_152_600_000  # 2013-10-07 09:30 in New York
KEY = "canary-0815"


class AcmeVendor:
    """ACME itself: sends one list of frames per connection, then hangs up; after the last it only beats."""

    def __init__(self, *connections: list[str]) -> None:
        self.connections = list(connections)
        self.subscribed: list[list[str]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client: wait for two subscriptions, say what is to be said."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.keys.append(request.headers.get("X-Acme-Key"))
        self.paths.append(request.path_qs)
        wanted: list[str] = []
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                wanted.append(message.data)
            if len(wanted) == 2:
                break
        self.subscribed.append(sorted(wanted))
        await socket.send_str("#")
        if self.connections:
            for frame in self.connections.pop(0):
                await socket.send_str(frame)
        if self.connections:
            await socket.close()
        else:
            async for _ in socket:
                pass
        return socket

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on the loopback address; yields the address of the socket."""
        app = web.Application()
        app.router.add_get("/trades", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
        try:
            yield f"ws://127.0.0.1:{port}/trades"
        finally:
            await runner.cleanup()


async def test_a_third_partys_trades_are_streamed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Under our names, in the vendor's order, over a broken connection; a bad line costs itself, the key stays inside."""
    vendor = AcmeVendor(
        [
            f"SPY {START_MS + 1} 167.41 200\nBRK/B {START_MS + 2} 113.5 10",
            f"SPY {START_MS + 3} nonsense 1\nSPY {START_MS + 3} 167.42 300",
        ],
        [f"SPY {START_MS + 9} 167.4 100"],
    )
    async with vendor.serving() as socket_url:
        env = configuration(
            tmp_path,
            symbols="[SPY, BRK.B]",
            streams="trades: {provider: acme}",
            more=f"providers: {{acme: {{socket_url: '{socket_url}', base_url: 'http://127.0.0.1:1'}}}}\n",
        ) | {"PYTHONPATH": str(install(ACME, tmp_path / "site")), "ACME_KEY": KEY}
        async with simulator(start="2013-10-07T13:30:00Z", speed="1") as (_, url):
            with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

                async def published() -> list[tuple[str, float, float]]:
                    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, None)
                    return [
                        (event["symbol"], event["price"], event["size"])
                        for entry in stored
                        for event in entry.block.events
                    ]

                async def all_of_them() -> bool:
                    return len(await published()) == 4

                await eventually(all_of_them, within_s=60.0, every_s=0.5)
                found = await published()
                stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, None)
    spy = [entry for entry in found if entry[0] == "SPY"]

    assert spy == [("SPY", 167.41, 200.0), ("SPY", 167.42, 300.0), ("SPY", 167.4, 100.0)]
    assert ("BRK.B", 113.5, 10.0) in found
    assert {entry.block.provider for entry in stored} == {"acme"}
    assert len({entry.block.connection_id for entry in stored if entry.block.events}) == 2
    assert vendor.subscribed == [["+BRK/B", "+SPY"]] * 2
    assert set(vendor.keys) == {KEY}
    assert vendor.paths == ["/trades"] * 2
    assert KEY not in running.log()
