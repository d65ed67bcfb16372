"""Memory that an object holds, measured: what must not grow is not looked for inside."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def held_bytes(make: Callable[[], object]) -> int:
    """Return how many bytes are held by what `make` returns, and by nothing before it.

    tracemalloc counts what every thread of the process allocates, and what a first call leaves in caches. Both only add: the
    least of three measurements, after a call that is not measured, is the object's own.
    """
    make()
    return min(_traced_bytes(make) for _ in range(3))


def _traced_bytes(make: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        kept = make()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return held
