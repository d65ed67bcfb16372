"""What faults are made with does what it says, and nothing else: a link that lost a byte would be taken for a loss of ours."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.support.apparatus import Link, ShiftedClock
from tests.support.eventually import eventually

SENT = random.Random(1).randbytes(2_000_000)


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Give the port of a server that says what it hears."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(say, "127.0.0.1", port):
        yield port


async def said_through(port: int, sent: bytes) -> bytes:
    """Return what comes back of what is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    back = await reader.readexactly(len(sent))
    writer.close()
    return back


@pytest.mark.parametrize(("delay_s", "bytes_per_s"), [(0.0, 0.0), (0.05, 0.0), (0.05, 8e6)])
async def test_a_link_carries_every_byte_in_order_however_slow_it_is(
    delay_s: float, bytes_per_s: float
) -> None:
    """Delay and width take time, and no byte; several connections at once."""
    async with echo() as port:
        with Link(port) as link:
            link.slow(delay_s, bytes_per_s)
            begun_s = time.monotonic()
            backs = await asyncio.gather(*(said_through(link.port, SENT) for _ in range(2)))
            took_s = time.monotonic() - begun_s

    assert backs == [SENT, SENT]
    assert took_s >= 2 * delay_s + (2 * len(SENT) / bytes_per_s if bytes_per_s else 0)
    assert link.carried == 2 * 2 * len(SENT)


async def test_order_holds_when_a_link_becomes_quick_again() -> None:
    """What is under way is not overtaken."""
    async with echo() as port:
        with Link(port) as link:
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            link.slow(0.3, 0.0)
            writer.write(b"first ")
            await eventually(lambda: link.carried >= len(b"first "), within_s=5)
            link.mend()
            writer.write(b"second")

            assert await reader.readexactly(len(b"first second")) == b"first second"
            writer.close()


async def test_a_cut_link_breaks_what_is_open_and_takes_nothing_new_until_it_is_mended() -> None:
    """Without a word: no farewell of either side comes through."""
    async with echo() as port:
        with Link(port) as link:
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            writer.write(b"there")
            await reader.readexactly(len(b"there"))
            link.cut()
            with pytest.raises(ConnectionError):
                await reader.readexactly(1)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await said_through(link.port, b"there")
            assert link.broken >= 2
            link.mend()

            assert await said_through(link.port, b"again") == b"again"


def test_a_process_follows_the_clock_that_is_shifted_and_its_steady_clock_does_not(
    tmp_path: Path,
) -> None:
    """By five minutes, forward and back, while it runs."""
    clock = ShiftedClock(tmp_path / "clock")
    asks = "import time\nfor _ in range(3): input(); print(time.time_ns(), time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", asks], env=os.environ | clock.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        for shift_s in (0, 300, -300):
            clock.shift(shift_s)
            process.stdin.write("\n")
            process.stdin.flush()
            nanoseconds, seconds, steady = map(float, process.stdout.readline().split())

            assert nanoseconds / 1e9 - time.time() == pytest.approx(shift_s, abs=5)
            assert seconds - time.time() == pytest.approx(shift_s, abs=5)
            assert steady == pytest.approx(time.monotonic(), abs=5)
