"""The folder of one installation on one machine (`MDS_HOME`): its layout, its version, its room, its owner."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.embedded.process import stop_orphans
from schemas.errors import ConfigurationError

LAYOUT_VERSION = 1  # raise it when a newer layout cannot use an older folder
MIN_FREE_BYTES = 500 * 1024 * 1024  # below this a broker or a database stops in the middle of a write


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Absolute paths inside one home folder. `open` is the way in."""

    root: Path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create or check the folder; raise ConfigurationError for a full disk or another version's folder."""
        home = cls(root=path.expanduser().resolve())
        try:
            for folder in (home.root, home.logs, home.run):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot create {home.root}: {error.strerror}",
                remedy="set MDS_HOME to a folder you may write to",
            ) from error
        home._check_version()
        home._check_room()
        return home

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Pid files and locks."""
        return self.root / "run"

    @property
    def kafka(self) -> Path:
        """Configuration and data of the embedded broker."""
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        """Configuration and data of the embedded database."""
        return self.root / "postgres"

    def pid_file(self, name: str) -> Path:
        """Return the pid file of one process."""
        return self.run / f"{name}.pid"

    def log_file(self, name: str) -> Path:
        """Return the log file of one process."""
        return self.logs / f"{name}.log"

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        """Hold the home for one command, after stopping what a killed one left behind.

        Raises ConfigurationError when another command holds it.
        """
        lock = self.run / f"{purpose}.lock"
        with lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise ConfigurationError(
                    f"another `mds {purpose}` (pid {holder}) uses {self.root}",
                    remedy="stop it with `mds down`, or set MDS_HOME and the ports to others",
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            stop_orphans(self.run)
            yield

    def holder(self, purpose: str) -> int | None:
        """Return the pid of the command that holds the home for `purpose`, or None."""
        try:
            with (self.run / f"{purpose}.lock").open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdecimal() else None
        except OSError:
            return None
        return None

    def _check_version(self) -> None:
        """Refuse data of another layout: guessing at its meaning could lose it."""
        version_file = self.root / "VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
        else:
            found = "unknown" if self.kafka.exists() or self.postgres.exists() else str(LAYOUT_VERSION)
        if found != str(LAYOUT_VERSION):
            raise stale(
                f"{self.root} has layout {found}, this version uses layout {LAYOUT_VERSION}", self.root
            )
        if not version_file.exists():
            draft = self.root / f".VERSION.{os.getpid()}.{threading.get_ident()}"
            draft.write_text(f"{LAYOUT_VERSION}\n")
            draft.replace(version_file)  # in one step: broker and database open their home at the same time

    def _check_room(self) -> None:
        """Refuse to start on a nearly full disk."""
        free = shutil.disk_usage(self.root).free
        if free < MIN_FREE_BYTES:
            raise ConfigurationError(
                f"only {free // 1_000_000} MB are free on the disk of {self.root}, "
                f"{MIN_FREE_BYTES // 1_000_000} MB are needed",
                remedy="free some, or set MDS_HOME to another disk",
            )


def stale(problem: str, folder: Path) -> ConfigurationError:
    """Return the error for data of another version, with the way to move on."""
    return ConfigurationError(
        problem,
        remedy=f"keep it aside with `mv {folder} {folder}.old` and start afresh, or run the version that wrote it",
    )


def make_traversable(path: Path) -> None:
    """Let another user of this machine reach `path`: adds `x` for others on the folders above it, nothing more."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
