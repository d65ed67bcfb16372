"""What the kernel keeps for a client that stops reading."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.websocket.shell.sockets import SEND_BUFFER_BYTES, TCP_USER_TIMEOUT_MS, abort, drained, harden
from tests.support.eventually import eventually

MEGABYTE = bytes(1_000_000)
LINUX_DOUBLES = 2  # what it is asked for, for its own book-keeping


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """Yield the server's side of a connection, and a client that reads only when told to."""
    accepted: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.set_result(transport)

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, server.sockets[0].getsockname())
        transport = await accepted
        yield transport, client
        transport.abort()
        server.close()


async def read_all(client: socket.socket, wanted: int) -> int:
    """Read until that many bytes have come."""
    got = 0
    while got < wanted:
        got += len(await asyncio.get_running_loop().sock_recv(client, 65_536))
    return got


async def test_buffers_are_bounded_and_a_silent_peer_has_a_deadline() -> None:
    """Megabytes would be kept by default; a client without a socket is left alone."""
    async with connected() as (transport, _):
        harden(transport)
        kept = transport.get_extra_info("socket")

        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= LINUX_DOUBLES * SEND_BUFFER_BYTES
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            given = kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert given == TCP_USER_TIMEOUT_MS
    harden(None)


async def test_drained_waits_for_the_last_byte_to_be_taken() -> None:
    """Not for a moment longer, and not for one that closes."""
    async with connected() as (transport, client):
        harden(transport)
        transport.write(MEGABYTE)
        waiting = asyncio.ensure_future(drained(transport))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.2)

        assert await read_all(client, len(MEGABYTE)) == len(MEGABYTE)
        await asyncio.wait_for(waiting, 10)

        transport.write(MEGABYTE)
        transport.abort()
        await asyncio.wait_for(drained(transport), 10)


async def test_an_aborted_client_gets_nothing_of_what_was_queued() -> None:
    """It is reset: nothing waits in the kernel for a client that does not read."""
    async with connected() as (transport, client):
        harden(transport)
        transport.write(MEGABYTE)
        abort(transport)

        async def is_reset() -> bool:
            try:
                await asyncio.get_running_loop().sock_recv(client, 65_536)
            except ConnectionResetError:
                return True
            return False

        await eventually(is_reset, within_s=10)
    abort(None)


def test_a_connection_that_is_gone_is_dropped_without_a_word_on_uvloop_too() -> None:
    """Its socket has no descriptor any more, which uvloop says in its own way."""

    async def drop() -> bool:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        abort(transport)
        await asyncio.sleep(0)
        abort(transport)
        server.close()
        return transport.is_closing()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(drop())
