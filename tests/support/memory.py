"""Memory that an object holds, measured: what must not grow is not looked for inside."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def held_bytes(make: Callable[[], object]) -> int:
    """Return how many bytes are held by what `make` returns, and by nothing before it."""
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
