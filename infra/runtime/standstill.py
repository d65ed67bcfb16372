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
WATCH_EVERY_S = 1.0  # of the threads
# A broker that is back is heard by the watchdog before a consumer has fetched anything again.
CONFIRM_S = 5.0

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
    """Ends the process, from threads of its own, where all of it was frozen or one partition's progress stands still.

    One thread does nothing but look at the clock, so a freeze is never confused with a question that took long; the
    other asks the broker, which may block it for as long as that is away.
    """

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
        self._waits_since: dict[TopicPartition, tuple[RawOffset, float]] = {}
        self._threads = [
            threading.Thread(target=watch, name=name, daemon=True)
            for name, watch in (("watchdog", self._watch_clock), ("watchdog-progress", self._watch_progress))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, within a look; a question under way is left to itself."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * WATCH_EVERY_S)

    def _watch_clock(self) -> None:
        looked_at_s = monotonic_s()
        while not self._stopping.wait(WATCH_EVERY_S):
            now_s = monotonic_s()
            _leave_frozen(now_s - looked_at_s, self._frozen_after_s, self._leave)
            looked_at_s = now_s

    def _watch_progress(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            owned = self._owned()
            keys = {part.key for part in owned}
            self._waits_since = {key: since for key, since in self._waits_since.items() if key in keys}
            for part in owned:
                if self._stopping.is_set():
                    return
                if self._stands_still(part):
                    log.critical(
                        "progress_stalled", extra={"topic": part.key.topic, "partition": part.key.partition}
                    )
                    self._leave(ExitCode.STALLED)

    def _stands_still(self, part: Worked) -> bool:
        """Whether records waited behind the same progress at every look for a while.

        One look may be the first answer of a broker that was away, and during the question progress may have moved.
        """
        done = part.done
        if monotonic_s() - part.moved_at_s <= self._stalled_after_s or not self._behind(part):
            self._waits_since.pop(part.key, None)
            return False
        now_s = monotonic_s()
        before = self._waits_since.get(part.key)
        if before is None or before[0] != done or part.done != done:
            self._waits_since[part.key] = part.done, now_s
            return False
        return now_s - before[1] > CONFIRM_S
