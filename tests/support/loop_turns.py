"""How long the event loop is held: processor time of each of its steps, and whose step it was."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class LoopTurns:
    """The longest step of a loop's thread."""

    longest_s: float = 0.0
    whose: str = ""


@contextmanager
def watched_turns() -> Iterator[LoopTurns]:
    """Watch every step inside: what other processes do, and what waits, takes no processor time of it.

    Nor does the collection of garbage, whose time is that of all tests before this one.
    """
    turns, run = LoopTurns(), asyncio.events.Handle._run  # noqa: SLF001 - the one place all steps pass

    def watched(self: Any) -> None:
        began_s = time.thread_time()
        run(self)
        took_s = time.thread_time() - began_s
        if took_s > turns.longest_s:
            turns.longest_s, turns.whose = took_s, repr(self)[:300]

    asyncio.events.Handle._run = watched  # type: ignore[method-assign] # noqa: SLF001
    gc.disable()
    try:
        yield turns
    finally:
        gc.enable()
        asyncio.events.Handle._run = run  # type: ignore[method-assign] # noqa: SLF001
