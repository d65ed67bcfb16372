"""A thousand WebSocket clients in one process, cheap enough that the server is what is measured.

`python -m benchmarks.swarm URL CLIENTS STREAM DEAF` subscribes them all to one stream, prints `ready`, and, when told by a line on
standard input, one line of JSON: the least and most records a client got, the delays (ms) of a few that read every frame, and
how many were closed. DEAF more of them stop reading once they are subscribed. The rest only count: what they do to a frame is one search of its bytes.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
import time
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import uvloop

RECORD = b'"event_id"'
READERS = 20
CONNECTING = 64  # at once
READY_WITHIN_S = 60.0
RECEIVE_BUFFER_BYTES = 16_384
MASK = b"\0\0\0\0"


class Reader(asyncio.Protocol):
    """One client; `careful` ones parse what they get."""

    def __init__(
        self, path: str, host: str, command: dict[str, Any], *, careful: bool = False, deaf: bool = False
    ) -> None:
        self.records = self.recovered = self.refused = 0
        self.closed = False
        self.delays_ms: list[float] = []
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._careful, self._deaf, self._command = careful, deaf, orjson.dumps(command)
        self._buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade and, with it, for the stream."""
        # uvloop's is one by its methods alone.
        self._transport = cast("asyncio.Transport", transport)
        size = len(self._command)
        head = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        self._transport.write(self._request + b"\x81" + head + MASK + self._command)

    def data_received(self, data: bytes) -> None:
        """Count, and read where careful."""
        now_us = time.time_ns() // 1_000
        self.records += data.count(RECORD)
        self.recovered += data.count(b'"recovered"')
        self.refused += data.count(b'"ok":false')
        if not self.begun.done() and b'"subscribed"' in data:
            self.begun.set_result(None)
            if self._deaf:
                self._transport.pause_reading()
        if self._careful:
            self._read(data, now_us)

    def connection_lost(self, _: Exception | None) -> None:
        """Note it."""
        self.closed = True

    def _read(self, data: bytes, now_us: int) -> None:
        self._buffer += data
        if self._buffer.startswith(b"HTTP/"):
            _, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
        while (frame := self._frame()) is not None:
            if not frame.startswith(b"["):
                continue
            for message in orjson.loads(frame):
                if isinstance(message, dict) and message.get("t") == "d":
                    self.delays_ms += [
                        (now_us - record["received_time"]) / 1_000 for _, record in message["m"]
                    ]
                elif isinstance(message, dict) and "received_time" in message:
                    self.delays_ms.append((now_us - message["received_time"]) / 1_000)

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, head = buffer[1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:head], "big")
        if len(buffer) < head + size:
            return None
        self._buffer = buffer[head + size :]
        return buffer[head : head + size]


async def swarm(url: str, clients: int, stream: str, deaf: int) -> None:
    """Connect, wait until told, and print what came."""
    place = urlsplit(url)
    command = {"t": "subscribe", "items": [{"stream": stream, "from": "live"}]}
    loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def one(number: int) -> Reader:
        async with turns:
            careful, last = number < READERS, number >= clients
            reader = Reader(place.path, place.netloc, command, careful=careful, deaf=last)
            sock = socket.socket()
            sock.settimeout(0)
            if last:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            await loop.sock_connect(sock, (place.hostname, place.port))
            await loop.create_connection(lambda: reader, sock=sock)
            await asyncio.wait_for(reader.begun, READY_WITHIN_S)
            return reader

    readers = await asyncio.gather(*(one(number) for number in range(clients + deaf)))
    print("ready", flush=True)
    told = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told.set)
    await told.wait()
    counts = [reader.records for reader in readers[:clients]]
    delays_ms = [delay for reader in readers for delay in reader.delays_ms]
    closed = sum(reader.closed for reader in readers[:clients])
    said = {"least": min(counts), "most": max(counts), "delays_ms": delays_ms, "closed": closed}
    print(orjson.dumps(said).decode(), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(swarm(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
