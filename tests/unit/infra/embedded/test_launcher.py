"""The command that a launcher becomes, and the life it ties it to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from infra.embedded import launcher

ECHO_PID = [sys.executable, "-c", "import os; print(os.getpid())"]
SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]


@contextmanager
def launched(
    *options: str, command: list[str], passed: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Start a command through the launcher, as `spawn` does; it is killed on leaving where it still lives."""
    argv = [sys.executable, "-I", "-S", launcher.__file__, *options, "--", *command]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, pass_fds=passed) as child:
        try:
            yield child
        finally:
            child.kill()


def test_the_process_becomes_the_command() -> None:
    """The id stays: whoever started it may signal it."""
    with launched(command=ECHO_PID) as child:
        said, _ = child.communicate(timeout=30)

    assert int(said) == child.pid


def test_a_starter_that_is_gone_already_ends_it_at_once() -> None:
    """It may have died before the kernel was asked."""
    nobody = "1" if os.getpid() != 1 else "2"
    with launched("--signal", str(int(signal.SIGTERM)), "--starter", nobody, command=SLEEP) as child:
        child.communicate(timeout=30)

    assert child.returncode == -signal.SIGTERM


def test_a_pipe_that_closes_ends_it_where_the_kernel_cannot() -> None:
    """The watcher holds the other end; it closes when the starter dies, however that was."""
    ours, theirs = os.pipe()
    os.set_inheritable(ours, True)
    options = ("--signal", str(int(signal.SIGTERM)), "--starter", str(os.getpid()), "--pipe", str(ours))
    with launched(*options, command=SLEEP, passed=(ours,)) as child:
        os.close(ours)
        assert child.stdout is not None
        up = child.stdout.readline()
        os.close(theirs)
        child.communicate(timeout=30)

    assert up == "up\n"
    assert child.returncode == -signal.SIGTERM
