"""Several processes of a service: begun together, replaced where one dies, ended together, never left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil

from infra.runtime import replicas
from infra.runtime.exit_codes import ExitCode
from tests.support.eventually import eventually

WITHIN_S = 20.0
WAITS = """
import asyncio, os, pathlib, signal, sys
from infra.runtime.replicas import end_with_parent

async def main():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    end_with_parent(stopping)
    pathlib.Path(sys.argv[1], os.environ["NUMBER"] + "." + str(os.getpid())).touch()
    await stopping.wait()

asyncio.run(main())
"""
BEGINS = """
import asyncio, os, sys
from infra.runtime.replicas import run_replicas
children = [{**os.environ, "NUMBER": str(number)} for number in range(2)]
sys.exit(asyncio.run(run_replicas([sys.executable, "-c", sys.argv[2], sys.argv[1]], children)))
"""


def pids(folder: Path, number: int) -> list[int]:
    """Return the processes that were begun under a number."""
    return [int(path.suffix[1:]) for path in folder.glob(f"{number}.*")]


async def begun(folder: Path) -> asyncio.subprocess.Process:
    """Return a process that has begun two others."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", BEGINS, str(folder), WAITS)
    await eventually(lambda: pids(folder, 0) and pids(folder, 1), within_s=WITHIN_S)
    return parent


async def test_one_that_dies_is_begun_anew_and_all_end_together(tmp_path: Path) -> None:
    """The other is not touched; on SIGTERM none is left, and the code is that of a stop."""
    parent = await begun(tmp_path)
    (first,), (other,) = pids(tmp_path, 0), pids(tmp_path, 1)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: len(pids(tmp_path, 0)) == 2, within_s=WITHIN_S)
    assert pids(tmp_path, 1) == [other]
    parent.terminate()
    assert await asyncio.wait_for(parent.wait(), WITHIN_S) == ExitCode.DONE
    assert not [pid for number in (0, 1) for pid in pids(tmp_path, number) if psutil.pid_exists(pid)]


async def test_nobody_outlives_who_began_it(tmp_path: Path) -> None:
    """Killed without a word, it leaves no process that keeps the port."""
    parent = await begun(tmp_path)
    parent.kill()
    await parent.wait()
    begun_pids = [*pids(tmp_path, 0), *pids(tmp_path, 1)]
    await eventually(lambda: not any(psutil.pid_exists(pid) for pid in begun_pids), within_s=WITHIN_S)


async def test_a_wrong_configuration_ends_all() -> None:
    """Trying again changes nothing."""
    says = "import os, sys, time; sys.exit(2) if os.environ['NUMBER'] == '1' else time.sleep(60)"
    environments = [{**os.environ, "NUMBER": str(number)} for number in range(2)]
    running = replicas.run_replicas([sys.executable, "-c", says], environments)
    assert await asyncio.wait_for(running, WITHIN_S) == ExitCode.CONFIGURATION
