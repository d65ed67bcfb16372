"""A process that stood still must not go on as if nothing had been: it ends, and a fresh one converges.

Frozen (stopped, starved) for as long as others wait for it, what it owned may belong to somebody else by now. Stalled, it
owns partitions and never fetches again, as a consumer may after a freeze longer than its session: waiting cures neither.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from schemas.clocks import RawOffset
from schemas.partitions import TopicPartition

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1  # of the loop
WATCH_EVERY_S = 1.0  # of the thread

Leave = Callable[[int], object]
"""Ends the process with a code, without asking anybody."""


def _leave_frozen(stood_s: float, longest_s: float, leave: Leave) -> None:
    if stood_s > longest_s:
        log.critical("process_was_frozen", extra={"seconds": round(stood_s, 1)})
        leave(ExitCode.FROZEN)


class Standstill:
    """Ends the process when its event loop stood still for longer than `longest_s`."""

    def __init__(self, longest_s: float, *, leave: Leave = os._exit) -> None:
        """Count from `watch` on."""
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
        _leave_frozen(stood_s, self._longest_s, self._leave)


class Worked(Protocol):
    """An owned partition of a topic: when its progress last moved (monotonic seconds), and the newest offset in it."""

    key: TopicPartition
    moved_at_s: float
    done: RawOffset


class Watchdog:
    """Ends the process, from a thread of its own, where all of it was frozen or one partition's progress stands still."""

    def __init__(
        self,
        owned: Callable[[], Sequence[Worked]],
        *,
        behind: Callable[[Worked], bool],
        frozen_after_s: float,
        stalled_after_s: float,
        leave: Leave,
    ) -> None:
        """Watch nothing before `start`; `behind` says, and may block for it, whether records wait."""
        self._owned, self._behind, self._leave = owned, behind, leave
        self._frozen_after_s, self._stalled_after_s = frozen_after_s, stalled_after_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a look."""
        self._stopping.set()
        self._thread.join(2 * WATCH_EVERY_S)

    def _watch(self) -> None:
        looked_at_s = monotonic_s()
        while not self._stopping.wait(WATCH_EVERY_S):
            now_s = monotonic_s()
            _leave_frozen(now_s - looked_at_s, self._frozen_after_s, self._leave)
            for part in self._owned():
                if now_s - part.moved_at_s > self._stalled_after_s and self._behind(part):
                    log.critical(
                        "progress_stalled", extra={"topic": part.key.topic, "partition": part.key.partition}
                    )
                    self._leave(ExitCode.STALLED)
            looked_at_s = now_s
