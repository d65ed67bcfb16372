"""Folders of a test's servers: in memory where there is room, for a broker syncs files of each new partition to its disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it have names nobody else has
ROOM_BYTES = 6 << 30  # of one server at most some hundred megabytes; what killed tests leave lies there, too


def server_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that PostgreSQL's own user can be let into, deleted with what is in it at the end."""
    return tempfile.TemporaryDirectory(prefix="mds-test-", dir=_in_memory(), ignore_cleanup_errors=True)


def _in_memory() -> Path | None:
    if not os.access(IN_MEMORY, os.W_OK | os.X_OK) or shutil.disk_usage(IN_MEMORY).free < ROOM_BYTES:
        return None
    return IN_MEMORY
