"""What faults are made with: links that can be cut or slow, a disk that can be full, a clock that can be wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infra.embedded.home import Home
from infra.embedded.kafka import EmbeddedKafka
from tests.conftest import free_port

LOOPBACK = "127.0.0.1"
STARTED_WITHIN_S = 10.0
BACKLOG_S = 0.5  # of a narrow link; then no more is taken from the sender
STEP_S = 1e-6  # between two pieces that are due together: a loop's timers keep no order of their own
CLOCK_HOOK = Path(__file__).parent / "shifted_clock"
FILLED_BY = (64 << 20, 1 << 20, 4_096)
DISK_BYTES = 3 << 30  # of a broker or a database over a run, some times over


class _Lane:
    """One direction of a link: its pieces share a width and come in order."""

    def __init__(self) -> None:
        self.free_s = 0.0  # when what was sent so far is through


class _End(asyncio.Protocol):
    """One socket of a connection that goes through a link."""

    def __init__(self, link: Link, lane: _Lane, other: _End | None = None) -> None:
        self._link, self._lane, self.due_s, self._holds = link, lane, 0.0, 0
        self.transport: asyncio.Transport | None = None
        self.other = other

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._link.ends.add(self)
        if self.other is None:
            self.hold()
            self._link.reach(self)

    def data_received(self, data: bytes) -> None:
        loop, link, lane, other = self._link.loop, self._link, self._lane, self.other
        assert other is not None
        link.carried += len(data)
        now_s = loop.time()
        lane.free_s = max(lane.free_s, now_s) + (len(data) / link.bytes_per_s if link.bytes_per_s else 0.0)
        due_s = max(lane.free_s + link.delay_s, other.due_s + STEP_S)
        if due_s <= now_s + STEP_S:
            other.write(data)
            return
        other.due_s = due_s
        loop.call_at(due_s, other.write, data)
        if lane.free_s - now_s > BACKLOG_S:
            self.hold()
            loop.call_at(lane.free_s, self.let_go)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.let_go()

    def reset(self) -> None:
        """Break this end as a network does: no farewell, a reset."""
        if self.transport is not None:
            wire = self.transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def hold(self) -> None:
        self._holds += 1
        if self.transport is not None:
            self.transport.pause_reading()

    def let_go(self) -> None:
        self._holds -= 1
        if self._holds == 0 and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        return False  # closed, and the other end after it

    def connection_lost(self, _: Exception | None) -> None:
        self._link.ends.discard(self)
        if self.other is not None and self.other.transport is not None:
            self._link.loop.call_at(self.other.due_s + STEP_S, self.other.transport.close)


class Link:
    """A port that leads to another local one, in a thread of its own: it can be cut for a while, and be slow."""

    def __init__(self, to_port: int) -> None:
        """Lead to `to_port` once started; nobody need listen there yet."""
        self.port = free_port()
        self.loop = asyncio.new_event_loop()
        self.delay_s, self.bytes_per_s = 0.0, 0.0  # no width is any width
        self.carried = self.broken = 0
        self.ends: set[_End] = set()
        self._to, self._is_cut, self._there = to_port, False, _Lane()
        self._thread = threading.Thread(target=self.loop.run_forever, name=f"link-{to_port}", daemon=True)

    def __enter__(self) -> Link:
        """Listen."""
        self._thread.start()
        made = self.loop.create_server(lambda: _End(self, self._there), LOOPBACK, self.port)
        self._back = _Lane()
        self._server = asyncio.run_coroutine_threadsafe(made, self.loop).result(STARTED_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and listen no more."""
        self.loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(STARTED_WITHIN_S)

    def cut(self) -> None:
        """Break every connection without a word, and every new one, until mended."""
        self._is_cut = True
        self.loop.call_soon_threadsafe(self._break)

    def slow(self, delay_s: float, bytes_per_s: float) -> None:
        """Let everything take so long each way, in a width that all connections share."""
        self.delay_s, self.bytes_per_s = delay_s, bytes_per_s

    def mend(self) -> None:
        """Be whole and quick again."""
        self._is_cut, self.delay_s, self.bytes_per_s = False, 0.0, 0.0

    def reach(self, near: _End) -> None:
        """Connect a new connection's other end."""
        self.loop.create_task(self._reach(near))

    async def _reach(self, near: _End) -> None:
        assert near.transport is not None
        if self._is_cut:
            self.broken += 1
            near.reset()
            return
        try:
            _, far = await self.loop.create_connection(
                lambda: _End(self, self._back, near), LOOPBACK, self._to
            )
        except OSError:
            near.transport.abort()
            return
        near.other = far
        if near.transport.is_closing():
            far.transport.close()
        near.let_go()

    def _break(self) -> None:
        for end in list(self.ends):
            self.broken += 1
            end.reset()


class LinkedKafka(EmbeddedKafka):
    """The embedded broker with a second listener, whose clients are told of the link that leads to it and of nothing else."""

    def __init__(self, home: Path) -> None:
        """Choose the home; the link is to be started before the services."""
        super().__init__(home, port=free_port(), controller_port=free_port(), short_lived=True)
        self._linked = free_port()
        self.link = Link(self._linked)

    def _write_configuration(self, home: Home) -> Path:
        path = super()._write_configuration(home)
        lines = []
        for line in path.read_text().splitlines():
            port = {"listeners": self._linked, "advertised.listeners": self.link.port}.get(
                line.partition("=")[0]
            )
            lines.append(line if port is None else f"{line},LINKED://{LOOPBACK}:{port}")
        lines.append(
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LINKED:PLAINTEXT"
        )
        path.write_text("\n".join(lines) + "\n")
        return path


class Disk:
    """A file system of its own, in memory, that can be filled to its last byte."""

    def __init__(self, folder: Path) -> None:
        """Stand for what is mounted at `folder`."""
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room; blocking, about a second."""
        with self._filler.open("ab") as file:
            for step in FILLED_BY:  # others write, too: how much is left is found out
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path) -> Iterator[Disk | None]:
    """Give a disk of 3 GiB at a new folder; None where this user may not mount one, and the folder is an ordinary one."""
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "chaos", str(folder)]
    try:
        mounted = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield Disk(folder) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class ShiftedClock:
    """The wall clock of processes that run in `env`, which can be set forward and back while they run."""

    def __init__(self, path: Path) -> None:
        """Keep the shift in a new file."""
        self._path = path
        path.write_bytes(struct.pack("=q", 0))

    @property
    def env(self) -> dict[str, str]:
        """Variables of a process that shall follow it."""
        return {"PYTHONPATH": str(CLOCK_HOOK), "SHIFTED_CLOCK": str(self._path)}

    def shift(self, seconds: float) -> None:
        """Let the clock be so far ahead of the true one from now on; behind, where it is negative."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))
