"""Listening: the TCP site with its limits, closed in the order that loses nobody's answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.http.shell.app import KEEPALIVE_TIMEOUT_S, SHUTDOWN_TIMEOUT_S
from schemas.errors import ConfigurationError

DRAIN_S = 5.0


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, drain: Callable[[float], Awaitable[None]]
) -> AsyncIterator[int]:
    """Serve inside and yield the port; at the end stop accepting, `drain` the WebSocket clients, then the rest.

    Raises ConfigurationError where the address cannot be had.
    """
    runner = web.AppRunner(
        app, keepalive_timeout=KEEPALIVE_TIMEOUT_S, shutdown_timeout=SHUTDOWN_TIMEOUT_S, access_log=None
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            remedy="free the port or set GATEWAY_PORT",
        ) from error
    try:
        yield runner.addresses[0][1]
    finally:
        await site.stop()
        await drain(DRAIN_S)
        await runner.cleanup()
