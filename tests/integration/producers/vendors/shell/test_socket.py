"""A vendor's trade socket over the wire: what is said on it, what breaks it, and that its key shows nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from producers.budget.limits import VendorLimits
from producers.budget.shell.gate import Gate
from producers.vendors.finnhub.shell.socket import FinnhubSocket
from producers.vendors.shell.socket import HANDSHAKE, Connection
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from schemas.providers.facts import Limits
from tests.support.answering_vendor import SECRET, Handler, answering, serving, shown, vendor

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


def talking(talk: Talk) -> Handler:
    """Return a handler that accepts a socket and talks on it."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await talk(socket)
        return socket

    return handle


async def until_closed(socket: web.WebSocketResponse) -> None:
    """Read until the other side goes."""
    async for _ in socket:
        pass


async def received(connection: Connection, frames: int) -> list[bytes]:
    """Return the next frames."""
    return [await connection.receive() for _ in range(frames)]


async def test_symbols_are_subscribed_when_it_opens_and_exchanged_while_it_is_open() -> None:
    """One message a symbol, in the order they are given."""
    said: asyncio.Queue[str] = asyncio.Queue()

    async def listen(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            said.put_nowait(message.data)

    async with serving(talking(listen)) as url, aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        async with socket.connected(["SPY", "AAPL"]) as connection:
            await connection.subscribe(["IBM"])
            await connection.unsubscribe(["SPY"])
            messages = [await asyncio.wait_for(said.get(), 5) for _ in range(4)]

    assert messages == [
        '{"type":"subscribe","symbol":"SPY"}',
        '{"type":"subscribe","symbol":"AAPL"}',
        '{"type":"subscribe","symbol":"IBM"}',
        '{"type":"unsubscribe","symbol":"SPY"}',
    ]


async def test_frames_come_as_the_bytes_they_were() -> None:
    """Text or binary, in order: their hash is what recognises a repeated one."""

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"type":"ping"}')
        await socket.send_bytes(b"\xff\xfe")
        await until_closed(socket)

    async with serving(talking(talk)) as url, aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        async with socket.connected([]) as connection:
            assert await received(connection, 2) == [b'{"type":"ping"}', b"\xff\xfe"]


async def test_each_connection_has_a_name_of_its_own() -> None:
    """Frames count from one on each: the name tells whose they are."""
    async with serving(talking(until_closed)) as url, aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        names = set()
        for _ in range(3):
            async with socket.connected([]) as connection:
                names.add(connection.connection_id)

    assert len(names) == 3


async def test_a_closed_socket_says_with_which_code() -> None:
    """The vendor's close is an outage, as a lost connection is."""

    async def close(socket: web.WebSocketResponse) -> None:
        await socket.close(code=1013, message=b"try again later")

    async with serving(talking(close)) as url, aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        async with socket.connected([]) as connection:
            with pytest.raises(ProviderUnavailable, match="code 1013"):
                await connection.receive()


async def test_what_is_said_on_a_lost_connection_is_an_outage() -> None:
    """So the stream opens another one."""

    async def cut(socket: web.WebSocketResponse) -> None:
        await socket.receive()  # the first subscription
        await socket.close()

    async with serving(talking(cut)) as url, aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        async with socket.connected(["SPY"]) as connection:
            with pytest.raises(ProviderUnavailable):
                await connection.receive()
            with pytest.raises(ProviderUnavailable):
                await connection.subscribe(["IBM"])


@pytest.mark.parametrize(
    ("status", "expected"), [(401, ProviderRefused), (429, ProviderThrottled), (200, ProviderUnavailable), (524, ProviderUnavailable)]
)  # fmt: skip
async def test_a_refused_handshake_is_ours_and_holds_no_token(
    status: int, expected: type[MarketDataError]
) -> None:
    """The socket's token travels in the URL, so no error may show the URL."""
    async with vendor(answering(status=status)) as (_, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        with pytest.raises(expected) as caught:
            async with socket.connected(["SPY"]):
                pass

    assert SECRET not in shown(caught.value)


async def test_a_throttled_handshake_is_not_repeated_and_with_a_second_refusal_pauses_the_provider() -> None:
    """Its Retry-After holds for the next handshake, which is then not sent at all, and with a refused request for all others."""
    asked = []

    async def throttle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": "30"})

    async with vendor(throttle) as (http, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=http.gate, url=url.replace("http", "ws"))
        for _ in range(3):
            with pytest.raises(ProviderThrottled) as caught:
                async with socket.connected(["SPY"]):
                    pass
            assert 29.0 < (caught.value.retry_after_s or 0.0) <= 30.0
        assert len(asked) == 1
        for endpoint in ("quote", "quote", "candle"):
            with pytest.raises(ProviderThrottled):
                await http.get(endpoint, url)

    assert len(asked) == 2
    assert http.gate.document()["used"]["day"] == 2


async def test_a_handshake_takes_a_request_of_the_budget() -> None:
    """With its own limit used up a connection is not even tried, and the reason is our setting."""
    async with vendor(answering(status=200)) as (http, url), aiohttp.ClientSession() as session:
        http.gate.limit(VendorLimits(endpoints={HANDSHAKE: Limits(per_minute=1)}))
        socket = FinnhubSocket(session, SECRET, gate=http.gate, url=url.replace("http", "ws"))
        for expected in (ProviderUnavailable, BudgetExhausted):
            with pytest.raises(expected):
                async with socket.connected(["SPY"]):
                    pass

    assert http.gate.document()["used"]["day"] == 1


async def test_a_silent_socket_is_broken() -> None:
    """Pings that just stop are noticed."""

    async def silent(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b'{"type":"ping"}')
        async for _ in socket:
            pass
        return socket

    async with vendor(silent) as (_, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(
            session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"), silence_s=0.2
        )
        async with socket.connected(["SPY"]) as connection:
            assert await connection.receive() == b'{"type":"ping"}'
            with pytest.raises(ProviderUnavailable, match="silent"):
                await connection.receive()
