"""Processes as the operating system knows them: which one a pid names now, and who listens on a port.

The only module that imports psutil.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

CREATED_TOLERANCE_S = 2.0  # a clock step moves computed creation times; a reused pid is minutes apart


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A pid and when its process was created (seconds since the Unix epoch): unlike a pid, never reused."""

    pid: int
    created: float


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of the live process `pid`; None when there is none or it is a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid=pid, created=process.create_time())
    except psutil.Error:
        return None


def is_running(identity: ProcessIdentity) -> bool:
    """Return whether exactly this process still runs."""
    now = identify(identity.pid)
    return now is not None and abs(now.created - identity.created) <= CREATED_TOLERANCE_S


def command_name(pid: int) -> str:
    """Return the short name of process `pid`, or an empty string when it cannot be known."""
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""


def listener(port: int) -> str:
    """Return `name (pid N)` of whoever listens on a local TCP port, or "" when the system does not say.

    macOS tells only about one's own processes; Linux tells the pid to the owner and to root.
    """
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        address = connection.laddr  # (host, port), or empty for a socket that is not bound
        listens = connection.status == psutil.CONN_LISTEN and len(address) > 1 and address[1] == port
        if listens and connection.pid:
            return f"{command_name(connection.pid) or 'a process'} (pid {connection.pid})"
    return ""


def working_in(name: str, folder: Path) -> list[int]:
    """Return the pids of live processes called `name` whose working directory is `folder`."""
    found = []
    for process in psutil.process_iter(attrs=["pid", "name", "status", "cwd"]):
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and process.info["name"] == name and process.info["cwd"] == str(folder):
            found.append(int(process.info["pid"]))
    return found
