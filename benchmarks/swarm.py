"""A thousand WebSocket clients in one process, cheap enough that the server is what is measured.

`python -m benchmarks.swarm URL CLIENTS STREAM DEAF [centrifuge]` subscribes them all to one stream and prints `ready`. Standard input tells how
many records there were; once each client has them, or 20 s later, it prints one line of JSON: the least and most records a client got; of a few
that read every frame each record's offset, arrival and `known_from` (µs), and in how many frames they came; and how many were closed. DEAF
more of them stop reading once they are subscribed. The rest only count: what they do to a frame is one search of its bytes. `centrifuge`: the
server speaks that library's protocol.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import uvloop

RECORD = b'"event_id"'
READERS = 20
CONNECTING = 64  # at once
READY_WITHIN_S = 60.0
WHOLE_WITHIN_S, LOOK_S = 20.0, 0.05
RECEIVE_BUFFER_BYTES = 16_384
MASK = b"\0\0\0\0"


class Reader(asyncio.Protocol):
    """One client; `careful` ones parse what they get."""

    def __init__(
        self,
        path: str,
        host: str,
        *commands: dict[str, Any],
        begins: bytes = b'"subscribed"',
        careful: bool = False,
        deaf: bool = False,
    ) -> None:
        self.records = self.recovered = self.refused = 0
        self.closed = False
        self.seen: list[tuple[int, int, int]] = []  # offset, arrival and known_from of each record
        self.frames = 0  # that held records
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._careful, self._deaf, self._begins = careful, deaf, begins
        self._command = b"\n".join(orjson.dumps(command) for command in commands)
        self._buffer, self._asked = b"", False
        key = base64.b64encode(os.urandom(16)).decode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's is one by its methods alone.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def _ask(self) -> None:
        # Not together with the request: some servers refuse whoever speaks before the upgrade is answered.
        self._asked = True
        size = len(self._command)
        head = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        self._transport.write(b"\x81" + head + MASK + self._command)

    def data_received(self, data: bytes) -> None:
        """Count, and read where careful."""
        now_us = time.time_ns() // 1_000
        if not self._asked:
            self._ask()
        self.records += data.count(RECORD)
        self.recovered += data.count(b'"recovered"')
        self.refused += data.count(b'"ok":false')
        if not self.begun.done() and self._begins in data:
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
            records = [(at, now_us, record["known_from"]) for at, record in records_in(frame)]
            self.seen += records
            self.frames += bool(records)

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


def records_in(frame: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield offset and record of each in a frame, as ours, the plain loop's or centrifuge's."""
    for line in frame.splitlines():
        said: Any = orjson.loads(line) if RECORD in line else []
        for message in said if isinstance(said, list) else [said]:
            if "m" in message:
                yield from message["m"]
                continue
            record = message["push"]["pub"]["data"] if "push" in message else message
            if "known_from" in record:
                yield record["offset"], record


async def swarm(url: str, clients: int, stream: str, deaf: int, *, centrifuge: bool = False) -> None:
    """Connect, wait until told, and print what came."""
    place = urlsplit(url)
    commands: list[dict[str, Any]] = [{"t": "subscribe", "items": [{"stream": stream, "from": "live"}]}]
    if centrifuge:
        commands = [{"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "records"}}]
    loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def one(number: int) -> Reader:
        async with turns:
            careful, last = number < READERS, number >= clients
            begins = b'"id":2,"subscribe"' if centrifuge else b'"subscribed"'
            reader = Reader(place.path, place.netloc, *commands, begins=begins, careful=careful, deaf=last)
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
    loop.remove_reader(sys.stdin.fileno())
    await _whole(readers[:clients], int(sys.stdin.readline()))
    print(orjson.dumps(_said(readers[:clients])).decode(), flush=True)


async def _whole(readers: Sequence[Reader], records: int) -> None:
    deadline_s = time.monotonic() + WHOLE_WITHIN_S
    while min(reader.records for reader in readers) < records and time.monotonic() < deadline_s:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(LOOK_S)


def _said(readers: Sequence[Reader]) -> dict[str, Any]:
    counts = [reader.records for reader in readers]
    return {
        "least": min(counts),
        "most": max(counts),
        "seen": [each for reader in readers for each in reader.seen],
        "frames": sum(reader.frames for reader in readers),
        "closed": sum(reader.closed for reader in readers),
    }


if __name__ == "__main__":
    url, clients, stream, deaf, *protocol = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(swarm(url, int(clients), stream, int(deaf), centrifuge=protocol == ["centrifuge"]))
