"""Shifts the wall clock of a Python process: of each reading by the nanoseconds that the file named in SHIFTED_CLOCK holds.

Python imports this by itself where its folder is in PYTHONPATH. Durations and deadlines go by the steady clock, which stays.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

NANOSECONDS = struct.Struct("=q")


def shift(path: str) -> None:
    """Let this process's wall clock follow the file from now on."""
    with open(path, "rb") as file:  # noqa: PTH123 - read before anything else is imported
        shared = mmap.mmap(file.fileno(), NANOSECONDS.size, prot=mmap.PROT_READ)
    wall_ns, wall_s = time.time_ns, time.time
    time.time_ns = lambda: wall_ns() + NANOSECONDS.unpack(shared[:])[0]
    time.time = lambda: wall_s() + NANOSECONDS.unpack(shared[:])[0] / 1e9


if "SHIFTED_CLOCK" in os.environ:
    shift(os.environ["SHIFTED_CLOCK"])
