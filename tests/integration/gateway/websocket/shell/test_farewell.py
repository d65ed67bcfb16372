"""The end of a connection on a real socket: what the client is told, where it may resume, and when it is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from gateway.live.streams import parse_stream
from gateway.websocket.codes import CLOSE_RESTART, CLOSE_SLOW
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.shell import farewell
from gateway.websocket.shell.farewell import GONE, Goodbye, say, too_slow
from gateway.websocket.subscription import Subscription
from infra.runtime.metrics import REGISTRY
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import UnreadPast, apply_trade, empty_feeds
from tests.support.websocket_server import websocket_to

WITHIN_S = 10.0
EPOCHS = {"trades.v1": "log.4"}
STREAM = parse_stream("trades:best:SPY")
BINARY_FRAME = b"\x82\x7f" + (1_000_000).to_bytes(8, "big") + bytes(1_000_000)


def an_outbox(unsent: int = 0) -> ClientQueue:
    """Return the queue of a client whose trades are whole up to offset 7, with more of them waiting."""
    feeds = empty_feeds(8)
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(
        OpenSubscription(Subscription(1, STREAM, conflate=False, covered=7), feeds.feed(*STREAM.feed))
    )
    for number in range(unsent):
        apply_trade(feeds, 8 + number)
    return outbox


async def heard(goodbye: Goodbye, outbox: ClientQueue) -> tuple[list[dict[str, Any]], aiohttp.WSMessage]:
    """Return the messages a reading client is sent, and how its connection ends."""

    async def serve(request: web.Request, ws: web.WebSocketResponse) -> None:
        await say(goodbye, request, ws, outbox, EPOCHS)

    messages: list[dict[str, Any]] = []
    async with websocket_to(serve) as client:
        while (message := await client.receive(WITHIN_S)).type is WSMsgType.TEXT:
            messages += messages_of(message.data)
    return messages, message


def counted(name: str) -> float:
    """Return a counter of ours."""
    return REGISTRY.get_sample_value(name) or 0.0


async def test_a_client_is_told_why_when_to_come_back_and_where_to_resume() -> None:
    """In its last frame, before the close that carries the same code."""
    goodbye = Goodbye(CLOSE_RESTART, "the gateway restarts", retry_after_ms=250)
    (last,), close = await heard(goodbye, an_outbox())

    assert (last["t"], last["code"], last["reason"], last["retry_after_ms"], last["reconnect"]) == (
        "disconnect", CLOSE_RESTART, "the gateway restarts", 250, True,
    )  # fmt: skip
    assert last["resume"] == [[str(STREAM), "log.4", 7]]
    assert (close.type, close.data, close.extra) == (WSMsgType.CLOSE, CLOSE_RESTART, "the gateway restarts")


async def test_a_long_reason_fits_the_close_frame() -> None:
    """Its text has 123 bytes; the message before it has the whole."""
    (last,), close = await heard(Goodbye(CLOSE_RESTART, "r" * 300), an_outbox())

    assert last["reason"] == "r" * 300
    assert close.extra == "r" * 120


async def test_a_client_that_is_gone_is_told_nothing() -> None:
    """Its connection is dropped."""
    messages, end = await heard(Goodbye(GONE, "the client went"), an_outbox())

    assert messages == []
    assert end.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSING)


async def test_a_slow_client_is_counted_with_what_it_missed() -> None:
    """One close, and the records that waited for it in memory."""
    closes, dropped = counted("mds_ws_slow_closes_total"), counted("ws_dropped_messages_total")
    (last,), _ = await heard(too_slow("too far behind"), an_outbox(unsent=3))

    assert (last["code"], last["retry_after_ms"]) == (CLOSE_SLOW, 1_000)
    assert counted("mds_ws_slow_closes_total") == closes + 1
    assert counted("ws_dropped_messages_total") == dropped + 3


async def test_a_client_that_does_not_read_its_farewell_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the grace, and without megabytes left in the kernel: the peer is reset."""
    monkeypatch.setattr(farewell, "CLOSE_GRACE_S", 0.3)
    said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(request: web.Request, ws: web.WebSocketResponse) -> None:
        assert request.transport is not None
        # More than the kernels at both ends hold for a connection: what those take would arrive after all, and the
        # farewell behind it. Written past the WebSocket, which would wait for a reader.
        for _ in range(64):
            request.transport.write(BINARY_FRAME)
        await asyncio.sleep(0)
        stuck = request.transport.get_write_buffer_size() > 0
        await say(too_slow("nothing was read"), request, ws, an_outbox(), EPOCHS)
        said.set_result(stuck and request.transport.is_closing())

    async with websocket_to(serve) as client:
        assert await asyncio.wait_for(said, WITHIN_S)
        while (end := await client.receive(WITHIN_S)).type is WSMsgType.BINARY:
            pass  # what was in the client's own buffers

    assert end.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSING)
