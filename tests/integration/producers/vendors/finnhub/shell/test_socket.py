"""Finnhub's trade socket over the wire: the token where the vendor takes it, trades as its frames hold them."""

from __future__ import annotations

import pytest
from aiohttp import web

from producers.vendors.finnhub.shell.client import PROVIDER
from producers.vendors.finnhub.shell.socket import FinnhubSocket
from schemas.errors import MalformedPayload
from tests.support.answering_vendor import answering, opening_on, secret_of
from tests.support.vendors.finnhub import FRAME


async def test_the_token_is_in_the_query_and_the_frame_in_the_trades() -> None:
    """The vendor takes it nowhere else; each trade carries its frame's ordinal and hash."""
    tokens = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        tokens.append(request.query["token"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(FRAME.decode())
        async for _ in socket:
            pass
        return socket

    async with opening_on(PROVIDER, handle) as opening:
        assert PROVIDER.open_socket is not None
        socket = PROVIDER.open_socket(opening)
        async with socket.connected(["AAPL"]) as connection:
            frame = socket.parse(await connection.receive(), sequence=7, asked={"AAPL": "AAPL"}, simulated=())

    (event,) = frame.answer.events
    assert isinstance(socket, FinnhubSocket)
    assert tokens == [secret_of(PROVIDER)]
    assert (event["symbol"], event["price"], event["frame_sequence"]) == ("AAPL", 7296.89, 7)


async def test_a_frame_that_is_none_is_refused_whole() -> None:
    """With why, for its dead letter."""
    async with opening_on(PROVIDER, answering()) as opening:
        assert PROVIDER.open_socket is not None
        socket = PROVIDER.open_socket(opening)
        with pytest.raises(MalformedPayload, match="finnhub"):
            socket.parse(FRAME[:30], sequence=1, asked={}, simulated=())
