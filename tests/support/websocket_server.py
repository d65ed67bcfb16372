"""One WebSocket on a real server: the test's code runs on the server's side, and its client reads when it wants to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.websocket.shell.sockets import harden

Serve = Callable[[web.Request, web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def websocket_to(serve: Serve) -> AsyncIterator[aiohttp.ClientWebSocketResponse[bool]]:
    """Yield a client of a server that runs `serve` with its socket, whose buffers are small."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        harden(request.transport)
        await serve(request, ws)
        return ws

    app = web.Application()
    app.router.add_get("/", handle)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(
            server.make_url("/"), max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
        ) as client,
    ):
        yield client
