"""Several processes of one service on one machine, as if they were one: begun together, ended together, replaced where one dies.

Each is complete; nothing passes between them. A process ends by itself where whoever began it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from infra.runtime.backoff import RETRY_S
from infra.runtime.exit_codes import ExitCode

ENDS_WITHIN_S = 30.0

log = logging.getLogger(__name__)


async def run_replicas(command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> int:
    """Run `command` once in each environment until told to stop, and return the exit code.

    One that dies is begun anew; where one says that its configuration is wrong, all end with it.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as tasks:
        keeping = [tasks.create_task(_keep(command, each, stopping)) for each in environments]
    return max(task.result() for task in keeping)


def end_with_parent(stopping: asyncio.Event) -> None:
    """Stop where whoever began this process is gone: the pipe it holds open at our standard input ends."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            loop.remove_reader(sys.stdin.fileno())
            stopping.set()

    loop.add_reader(sys.stdin.fileno(), read)


async def _keep(command: Sequence[str], environment: Mapping[str, str], stopping: asyncio.Event) -> int:
    while not stopping.is_set():
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdin=asyncio.subprocess.PIPE
        )
        code = await _until_ended(process, stopping)
        if code == ExitCode.CONFIGURATION:
            stopping.set()
            return code
        if stopping.is_set():
            return max(code, 0)
        log.error("replica_ended", extra={"pid": process.pid, "code": code, "again_in_s": RETRY_S})
        await asyncio.sleep(RETRY_S)
    return ExitCode.DONE


async def _until_ended(process: asyncio.subprocess.Process, stopping: asyncio.Event) -> int:
    ended, told = asyncio.create_task(process.wait()), asyncio.create_task(stopping.wait())
    await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ended.done():
        process.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await asyncio.shield(ended)
        except TimeoutError:
            process.kill()
    return await ended
