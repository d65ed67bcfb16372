"""Bytes that are no HTTP, sent to a service's ops port: answered, counted, and not written down."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from infra.runtime import metrics
from infra.runtime.unreadable import calm_site
from tests.conftest import free_port
from tests.support.toy_gateway import over_a_connection
from tests.support.unreadable_bytes import BROKEN_BODIES, NO_HTTP

SENT = NO_HTTP | BROKEN_BODIES


def unreadable() -> float:
    """Return how many were counted."""
    return metrics.REGISTRY.get_sample_value("mds_http_unreadable_total") or 0.0


async def _livez(_: web.Request) -> web.Response:
    return web.Response(text="well")


async def _fails(_: web.Request) -> web.Response:
    raise KeyError("ours")


@pytest.fixture
async def port() -> object:
    app, number = web.Application(), free_port()
    app.add_routes([web.get("/livez", _livez), web.get("/fails", _fails)])
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(calm_site(web.AppRunner(app), "127.0.0.1", number))
        yield number


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_request_is_answered_and_counted_and_no_line_of_the_log(
    port: int, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger cannot fill it, whatever the bytes; the connection ends."""
    before = unreadable()
    with caplog.at_level(logging.INFO):
        answered = await over_a_connection(port, sent, within_s=5)

    assert b" 400 " in answered
    assert (unreadable() - before, caplog.records) == (1, [])


async def test_a_fault_of_ours_is_written_down(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback; and others are served."""
    fails, lives = (
        f"GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        for path in ("fails", "livez")
    )
    assert b" 500 " in await over_a_connection(port, fails, within_s=5)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert b" 200 " in await over_a_connection(port, lives, within_s=5)
