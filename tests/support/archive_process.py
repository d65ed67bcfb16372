"""An archive written by a process of its own, which kills itself at one moment of the writing.

`python -m tests.support.archive_process ROOT BOOTSTRAP PREFIX MOMENT`: says how many moments there were where it lives on.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.archives import DyingDisk, archiver, kill_minus_nine


def main(root: str, bootstrap: str, prefix: str, moment: str) -> None:
    """Archive all there is of raw trades."""
    disk = DyingDisk(int(moment), kill_minus_nine)
    asyncio.run(archiver(Path(root), bootstrap, prefix, disk=disk).round())
    print(disk.moments)


if __name__ == "__main__":
    main(*sys.argv[1:])
