"""The life of an embedded server, broker or database: prepare, start, wait until ready, stop, kill."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol, Self

from infra.embedded.home import Home
from infra.embedded.ports import PortNeed, check_ports
from infra.embedded.process import (
    ORPHAN_STOP_TIMEOUT_S,
    ChildProcess,
    Launch,
    PidRecord,
    spawn,
    stop_recorded,
)
from schemas.errors import ConfigurationError, MarketDataError

READY_TIMEOUT_S = 60.0  # a first start on a busy machine; a warm one takes 1 to 6 s
READY_POLL_S = 0.05
STOP_TIMEOUT_S = 10.0


class ServerFailed(MarketDataError):
    """A server ended, or did not become ready in time; the message holds its last line and its log."""


class SystemPart(Protocol):
    """One process of a running system, as the supervisor sees it."""

    @property
    def name(self) -> str:
        """Short name: of the pid file, the log and every line about it."""

    @property
    def ready_timeout_s(self) -> float:
        """Longest time a start may take, seconds."""

    def prepare(self) -> Launch:
        """Do what must precede each start (may block for long) and return what to start."""

    def is_ready(self) -> bool:
        """Ask the process whether it can serve; blocks for about a second at most."""


class EmbeddedServer(ABC):
    """A server in a home folder. One instance controls at most one process at a time.

    Not thread-safe. `start` belongs into the main thread: on Linux the server dies with the
    thread that started it. Everything blocks; wrap it for asyncio.
    """

    name: str
    ready_timeout_s: float = READY_TIMEOUT_S

    def __init__(self, home: Path, *, detached: bool = False) -> None:
        """Choose the home folder; a `detached` server outlives the process that starts it."""
        self.home_path = home
        self.detached = detached
        self._home: Home | None = None
        self._child: ChildProcess | None = None

    @abstractmethod
    def ports(self) -> tuple[PortNeed, ...]:
        """Return the ports the server will listen on."""

    @abstractmethod
    def launch(self, home: Home) -> Launch:
        """Bring configuration and data into order (blocking) and return what to start."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the server answers a client now; blocks for about a second at most."""

    @property
    def home(self) -> Home:
        """The opened home folder; raises ConfigurationError where it cannot be used."""
        if self._home is None:
            self._home = Home.open(self.home_path)
        return self._home

    def prepare(self) -> Launch:
        """Check version, room and ports, stop an orphan of a killed owner, and return what to start.

        Raises ConfigurationError when an operator must act, also when the server already runs.
        """
        record = PidRecord.read(self.home.pid_file(self.name))
        if record is not None and not record.is_orphan:
            raise ConfigurationError(
                f"{self.name} already runs on {self.home.root} (pid {record.process.pid})",
                remedy="stop it with `mds down`",
            )
        launch = self.launch(self.home)
        stop_recorded(launch.pid_file, ORPHAN_STOP_TIMEOUT_S)
        check_ports(self.ports())
        return launch

    def start(self) -> Self:
        """Start the server without waiting for it; raises ConfigurationError when it cannot be started."""
        self._child = spawn(self.prepare())
        return self

    def wait_ready(self, timeout_s: float | None = None) -> Self:
        """Block until clients are served; raises ServerFailed when the server ends or takes too long."""
        deadline = time.monotonic() + (self.ready_timeout_s if timeout_s is None else timeout_s)
        while not self.is_ready():
            if self._child is None or not self._child.is_alive():
                raise ServerFailed(self.failure("ended before it was ready"))
            if time.monotonic() > deadline:
                raise ServerFailed(self.failure("was not ready in time"))
            time.sleep(READY_POLL_S)
        return self

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Stop cleanly; returns False when the server had to be killed after `timeout_s`."""
        child, self._child = self._child, None
        return True if child is None else child.stop(timeout_s)

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def pid(self) -> int | None:
        """Process id while the server runs under this instance, else None."""
        return self._child.pid if self._child is not None and self._child.is_alive() else None

    def failure(self, what: str) -> str:
        """Return one sentence about a failed start."""
        cause = f" ({self._child.exit_cause()})" if self._child is not None else ""
        return f"{self.name} {what}{cause}; read {self.home.log_file(self.name)}"

    def __enter__(self) -> Self:
        """Start and wait until ready; nothing is left running when that fails."""
        try:
            return self.start().wait_ready()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        """Stop cleanly."""
        self.stop()
