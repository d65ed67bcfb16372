"""The servers that a crowd is fanned out to for comparison, each as a process of its own that reads one partition."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
GO_SOURCE = Path(__file__).parent / "centrifuge"
BUILD_WITHIN_S = 900.0  # the first time it compiles everything the library stands on
READY_WITHIN_S = 120.0


class Server(NamedTuple):
    """Where a server listens, and as which process."""

    url: str
    pid: int


@asynccontextmanager
async def plain(bootstrap: str, topic: str, partition: int) -> AsyncIterator[Server]:
    """Run the plain loop."""
    module = "benchmarks.yardsticks.plain_fanout"
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", module, bootstrap, topic, str(partition)],
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with _serving(process, "/ws") as server:
        yield server


def built(folder: Path) -> Path | str:
    """Return the program around centrifuge, compiled into `folder`, or why there is none on this machine."""
    go = shutil.which("go")
    if go is None:
        return "there is no Go on this machine"
    made = folder / "centrifuge"
    command = [go, "build", "-o", str(made), "."]
    try:
        done = subprocess.run(
            command, cwd=GO_SOURCE, capture_output=True, text=True, check=False, timeout=BUILD_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        return "it was not compiled in time"
    return made if done.returncode == 0 else f"it does not compile here: {done.stderr.strip()[-200:]}"


@asynccontextmanager
async def centrifuge(program: Path, bootstrap: str, topic: str, partition: int) -> AsyncIterator[Server]:
    """Run `program`; a process of ours beside it reads the partition and hands it each record as a line."""
    reading, writing = os.pipe()
    feeder = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "benchmarks.yardsticks.records", bootstrap, topic, str(partition)],
        cwd=ROOT,
        stdout=writing,
    )
    os.close(writing)
    process = await asyncio.create_subprocess_exec(program, stdin=reading, stdout=asyncio.subprocess.PIPE)
    os.close(reading)
    try:
        async with _serving(process, "/connection/websocket") as server:
            yield server
    finally:
        feeder.kill()
        await feeder.wait()


@asynccontextmanager
async def _serving(process: asyncio.subprocess.Process, path: str) -> AsyncIterator[Server]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), READY_WITHIN_S)
        yield Server(f"ws://127.0.0.1:{int(line.split()[1])}{path}", process.pid)
    finally:
        process.kill()
        await process.wait()
