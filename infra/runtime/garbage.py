"""Garbage collection for services whose data is acyclic: rare, and never of what was loaded at the start.

At CPython's defaults a full collection comes whenever the tracked objects have grown by a quarter, and takes as long as
there are many: 155 ms in a gateway with its rings half full, in which no frame is sent.
"""

from __future__ import annotations

import gc

# of tracked objects, between two collections of the youngest generation; the default is 700
NET_ALLOCATIONS = 100_000


def collect_rarely() -> None:
    """Exempt all that exists by now from collection, and look for cycles rarely; call it when the process is wired.

    What is no cycle is freed at once as ever. Cycles here are tasks and the exceptions of closed connections: a few
    hundred objects each.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NET_ALLOCATIONS)
