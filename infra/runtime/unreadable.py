"""Requests that cannot be read as HTTP: answered 400 and counted, and no matter for the log, which a stranger could fill."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest

from infra.runtime import metrics

# what aiohttp raises of bytes that are no HTTP, and of a body that ends or breaks before its end
UNREADABLE = (HttpProcessingError, RequestPayloadError)
BAD_REQUEST = 400

log = logging.getLogger(__name__)

Refusal = Callable[[str], web.Response]
"""What is answered to a request that cannot be read, for the reason given."""


def plain_refusal(reason: str) -> web.Response:
    """Return the reason as text."""
    return web.Response(text=f"this is no HTTP request: {reason}\n", status=BAD_REQUEST)


class CalmHandler(RequestHandler):
    """aiohttp's handler of one connection, which writes errors with traceback for whatever bytes anybody sends."""

    __slots__ = ("_refusal",)

    def __init__(self, server: web.Server, *, refusal: Refusal = plain_refusal, **given: Any) -> None:
        """Take what aiohttp's handler does, without its log of every request."""
        quiet: Any = None  # which is not declared, and taken
        super().__init__(server, loop=asyncio.get_running_loop(), access_log=quiet, **given)
        self._refusal = refusal

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that failed, and end the connection after it."""
        if not isinstance(exc, UNREADABLE):
            return super().handle_error(request, status, exc, message)
        _note(exc)
        response = self._refusal((message or type(exc).__name__).splitlines()[0])
        response.force_close()
        return response

    def log_exception(self, *args: Any, **given: Any) -> None:
        """Log what is a fault of ours."""
        if isinstance(exc := given.get("exc_info"), UNREADABLE):
            _note(exc)
        else:
            super().log_exception(*args, **given)


def _note(error: BaseException) -> None:
    metrics.HTTP_UNREADABLE.inc()
    log.debug("request_unreadable", extra={"error": repr(error)[:200]})


@asynccontextmanager
async def calm_site(runner: web.AppRunner, host: str, port: int, **given: Any) -> AsyncIterator[None]:
    """Listen inside for the application of `runner`, which is set up here and cleaned up after. Raises OSError."""
    await runner.setup()
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: CalmHandler(_server_of(runner), **given), host, port
        )
        try:
            yield
        finally:
            listener.close()
    finally:
        await runner.cleanup()


def _server_of(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server
