"""A process that stood still (frozen, starved) for as long as others wait for it must not go on as if nothing had been.

What it owned may belong to somebody else by now, who may have collected the same; only a fresh process knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from infra.runtime.clock import monotonic_s

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
EXIT_FROZEN = 72


class Standstill:
    """Ends the process when its event loop stood still for longer than `longest_s`."""

    def __init__(self, longest_s: float, *, leave: Callable[[int], object] = os._exit) -> None:
        """Count from `watch` on; `leave(code)` must end the process without asking anybody."""
        self._longest_s, self._leave = longest_s, leave
        self._seen_s: float | None = None

    async def watch(self) -> None:
        """Look at the clock for ever."""
        while True:
            self._seen_s = monotonic_s()
            await asyncio.sleep(LOOK_EVERY_S)
            self.check()

    def check(self) -> None:
        """Leave where the loop stood still; to be called before anything goes out: a woken loop may run that first."""
        stood_s = 0.0 if self._seen_s is None else monotonic_s() - self._seen_s
        if stood_s > self._longest_s:
            log.critical("process_was_frozen", extra={"seconds": round(stood_s, 1)})
            self._leave(EXIT_FROZEN)
