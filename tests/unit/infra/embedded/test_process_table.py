"""What the system knows of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from infra.embedded.process_table import command_name, identify, is_running, working_in

SLEEPING = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_process_is_known_by_its_pid_and_its_birth() -> None:
    """A pid born at another time is a stranger; a clock that was set a little is not."""
    mine = identify(os.getpid())
    assert mine is not None

    assert is_running(mine)
    assert is_running(replace(mine, created=mine.created + 1.0))
    assert not is_running(replace(mine, created=mine.created - 3_600.0))


def test_a_process_that_ended_is_none_also_before_it_is_reaped() -> None:
    """A zombie serves nobody."""
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        alive = identify(child.pid)
        child.stdout.read()  # ends with the child
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        as_zombie = identify(child.pid)

    assert alive is None or not is_running(alive)
    assert (as_zombie, identify(child.pid), command_name(child.pid)) == (None, None, "")


def test_processes_are_found_by_name_and_folder(tmp_path: Path) -> None:
    """Those of other folders are somebody else's."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    with subprocess.Popen(SLEEPING, cwd=inside) as child:
        try:
            name = command_name(child.pid)

            assert working_in(name, inside) == [child.pid]
            assert working_in(name, outside) == []
            assert working_in("nobody", inside) == []
        finally:
            child.kill()
