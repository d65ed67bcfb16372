"""Becomes the command it is given, after tying its life to that of the process which started it.

Run as a script by `process.spawn`, never imported by it: `python -I -S launcher.py <options> -- <command>`.
On Linux the kernel signals us when the starter dies (`PR_SET_PDEATHSIG`); elsewhere a small watcher
process holds a pipe whose other end only the starter has, and signals us when the pipe closes.
The process id stays the command's own: this file replaces itself with `exec`.

Only the standard library is imported, and little of it, because every start pays for it.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # importing `typing` would double the cost of a start
if TYPE_CHECKING:
    import ctypes

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main(arguments: list[str]) -> None:
    """Parse `--signal N --starter PID [--pipe FD] [--user UID --group GID] -- command...` and become the command."""
    separator = arguments.index("--")
    options = dict(zip(arguments[0:separator:2], arguments[1:separator:2], strict=True))
    command = arguments[separator + 1 :]
    kernel = None if "--pipe" in options else _kernel()
    _change_user(options)
    if "--signal" in options:  # after setuid: the kernel clears the request when credentials change
        death_signal = int(options["--signal"])
        if kernel is None:
            _watch_pipe(int(options["--pipe"]), death_signal)
        else:
            _ask_kernel(kernel, death_signal, starter=int(options["--starter"]))
    os.execvp(command[0], command)  # noqa: S606 - the command comes from our own spawn


def _change_user(options: dict[str, str]) -> None:
    """Drop root where a server refuses to run as root."""
    if "--user" in options:
        os.setgroups([])
        os.setgid(int(options["--group"]))
        os.setuid(int(options["--user"]))


def _kernel() -> ctypes.CDLL:
    """Load the C library while we may still read Python's: the server's user perhaps may not."""
    import ctypes

    return ctypes.CDLL(None)


def _ask_kernel(kernel: ctypes.CDLL, death_signal: int, *, starter: int) -> None:
    """Have Linux send `death_signal` when our parent dies; it may have died before we asked."""
    if kernel.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != starter:
        os.kill(os.getpid(), death_signal)


def _watch_pipe(pipe: int, death_signal: int) -> None:
    """Leave a watcher behind that signals us when the starter's end of `pipe` closes."""
    watched = os.getpid()
    if os.fork() != 0:
        os.close(pipe)
        return
    os.setsid()  # a signal to the command's group must not take the watcher with it
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    for inherited in (0, 1, 2):
        os.close(inherited)
    os.read(pipe, 1)  # blocks until every copy of the other end is closed: the starter is gone
    if os.getppid() == watched:  # otherwise the command ended first and its id may be another's by now
        os.kill(watched, death_signal)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
