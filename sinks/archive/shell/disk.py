"""The disk under the archive: the few steps that change it, each durable when it returns, and who may take them.

One process writes. Whoever starts later takes over, and the earlier one may change nothing from then on: every step that
counts is taken under a lock of the operating system, in which the owner's epoch is compared.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from infra.runtime.clock import monotonic_s, rfc3339, wall_us
from schemas.errors import ArchiveUnavailable, Fenced

LOCK, OWNER = "lock", "owner.json"
LOCKED_WITHIN_S = 30.0  # a step under the lock takes milliseconds, unless its owner is frozen in it
LOCK_POLL_S = 0.02
KEEP_FREE_BYTES = 1_073_741_824  # left to what else lives on the disk: the broker's own log, perhaps


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Say of any failure of the operating system that the archive cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise ArchiveUnavailable(f"{what}: {error.strerror or error}") from error


class Disk:
    """Durable steps. Raises ArchiveUnavailable where the disk does not take one."""

    def __init__(self, *, keep_free_bytes: int = KEEP_FREE_BYTES) -> None:
        """Leave so much of the disk to others."""
        self._keep_free_bytes = keep_free_bytes

    def require_room(self, folder: Path, size_bytes: int) -> None:
        """Raise ArchiveUnavailable where a file of this size would leave too little to others."""
        with writing(f"{folder} cannot be looked at"):
            free = shutil.disk_usage(folder).free
        if free < size_bytes + self._keep_free_bytes:
            raise ArchiveUnavailable(
                f"the disk under {folder} has {free:,} bytes free, of which {self._keep_free_bytes:,} are left to others "
                "(SINKS_ARCHIVE_KEEP_FREE_MB)"
            )

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it."""
        if not folder.is_dir():
            self.make_folder(folder.parent)
            with writing(f"{folder} cannot be made"):
                folder.mkdir(exist_ok=True)
                _settle_folder(folder.parent)

    @contextmanager
    def new_file(self, path: Path) -> Iterator[BinaryIO]:
        """Write a file and bring it to the disk; where that fails it is deleted, so that its room is free at once."""
        try:
            with writing(f"{path.name} cannot be written"), path.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its name."""
        with writing(f"{old.name} cannot be renamed"):
            old.rename(new)
            _settle_folder(new.parent)

    def append(self, path: Path, data: bytes) -> None:
        """Append to a file, whole or not at all, as far as the disk allows to take it back."""
        with writing(f"{path.name} cannot be written"):
            is_new = not path.exists()
            with path.open("ab") as file:
                before = file.tell()
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(file.fileno(), before)
                    raise
            if is_new:
                _settle_folder(path.parent)

    def cut(self, path: Path, size_bytes: int) -> None:
        """Cut a file off."""
        with writing(f"{path.name} cannot be cut off"), path.open("r+b") as file:
            file.truncate(size_bytes)
            os.fsync(file.fileno())

    def delete(self, path: Path) -> None:
        """Delete a file, if it is there."""
        with writing(f"{path.name} cannot be deleted"):
            path.unlink(missing_ok=True)


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Ownership:
    """The right to write an archive, until somebody else takes it over."""

    def __init__(self, root: Path, epoch: int) -> None:
        """Use `take`."""
        self._root, self.epoch = root, epoch

    @classmethod
    def take(cls, root: Path, disk: Disk) -> Ownership:
        """Become the owner; whoever was it before stops before its next step. Raises ArchiveUnavailable."""
        disk.make_folder(root)
        with locked(root):
            epoch = _owner(root).get("epoch", 0) + 1
            told = {
                "epoch": epoch,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": rfc3339(wall_us()),
            }
            temporary = root / f".{OWNER}.tmp"
            with disk.new_file(temporary) as file:
                file.write(json.dumps(told).encode() + b"\n")
            disk.rename(temporary, root / OWNER)
        return cls(root, epoch)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take a step: nobody else takes one meanwhile, and nobody newer has before. Raises Fenced."""
        with locked(self._root):
            self.check()
            yield

    def check(self) -> None:
        """Raise Fenced where somebody took over, ArchiveUnavailable where the archive is not there."""
        owner = _owner(self._root)
        if not owner:
            raise ArchiveUnavailable(f"{self._root / OWNER} is gone; was its disk taken away?")
        if owner.get("epoch") != self.epoch:
            raise Fenced(
                f"process {owner.get('pid')} on {owner.get('host')} took over the archive {self._root} at {owner.get('since')}"
            )


@contextmanager
def locked(root: Path, *, held_by: str | None = None) -> Iterator[None]:
    """Hold the lock of a folder; raise ArchiveUnavailable where somebody holds it for too long.

    `held_by` says who may, of one that is not the archive's own.
    """
    with writing(f"{root / LOCK} cannot be opened"):
        file = (root / LOCK).open("ab")
    with file:
        deadline_s = monotonic_s() + LOCKED_WITHIN_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic_s() > deadline_s:
                    if held_by is not None:
                        raise ArchiveUnavailable(f"{root} is in use: {held_by}; come again") from None
                    owner = _owner(root)
                    raise ArchiveUnavailable(
                        f"the archive {root} is locked for {LOCKED_WITHIN_S:.0f} s: process {owner.get('pid')} on "
                        f"{owner.get('host')} seems frozen in a step; end it"
                    ) from None
                time.sleep(LOCK_POLL_S)
        yield


def _owner(root: Path) -> dict[str, Any]:
    try:
        found = json.loads((root / OWNER).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArchiveUnavailable(f"{root / OWNER} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
