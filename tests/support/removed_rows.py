"""A simulator in the test's own loop whose Yahoo leaves rows out: gone from its answers as if they had never been."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from infra.simulator.faults.exchange import Simulation
from infra.simulator.server import HOST, build_app

COLUMNS = ("open", "high", "low", "close", "volume")
SECOND_US = 1_000_000


@asynccontextmanager
async def leaving_out(simulation: Simulation, port: int, removed: set[int]) -> AsyncIterator[str]:
    """Serve the vendors on a port; Yahoo's charts have no row of the starts (µs) that are in `removed` at the time."""

    @web.middleware
    async def leave_out(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        response = await handler(request)
        if "/yahoo/v8/" in request.path and isinstance(response, web.Response) and response.status == 200:
            assert isinstance(response.body, bytes)
            return web.json_response(_without(json.loads(response.body), removed))
        return response

    app = build_app(simulation)
    app.middlewares.append(leave_out)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


def _without(document: dict[str, object], removed: set[int]) -> dict[str, object]:
    for result in document["chart"]["result"]:  # type: ignore[index]
        kept = [
            number
            for number, time in enumerate(result.get("timestamp", []))
            if time * SECOND_US not in removed
        ]
        if "timestamp" in result:
            result["timestamp"] = [result["timestamp"][number] for number in kept]
            for quote in result["indicators"]["quote"]:
                for name in COLUMNS:
                    quote[name] = [quote[name][number] for number in kept]
    return document
