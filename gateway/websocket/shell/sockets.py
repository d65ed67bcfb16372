"""Socket options for a client that stops reading: small buffers, a deadline, and no farewell."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

SEND_BUFFER_BYTES = 65_536  # the kernel's default keeps 4 MB for a client that does not read
TCP_USER_TIMEOUT_MS = 15_000
DRAIN_POLL_S = 0.02
LINGER_NOW = struct.pack("ii", 1, 0)


def harden(transport: asyncio.BaseTransport | None) -> None:
    """Bound what the kernel keeps for the peer, and for how long it waits for an answer."""
    sock: Any = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)


async def drained(transport: asyncio.WriteTransport) -> None:
    """Return once the socket has taken everything written so far.

    For after a send that ran out of time: aiohttp's own drain then raises CancelledError until the socket moves,
    because the future its senders share was cancelled with the first of them.
    """
    while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(DRAIN_POLL_S)


def abort(transport: asyncio.WriteTransport | None) -> None:
    """Drop the connection with everything still queued: a plain close or abort keeps megabytes in FIN-WAIT."""
    if transport is None:
        return
    sock: Any = transport.get_extra_info("socket")
    try:
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
    except (OSError, ValueError):
        pass  # already closed: uvloop's socket then has no descriptor
    transport.abort()
