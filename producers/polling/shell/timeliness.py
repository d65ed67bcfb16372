"""Records how well polling keeps to its cadence: counted in memory, a record a window in the journal, and a metric."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from infra.runtime.clock import Market, wall_us
from infra.runtime.metrics import CADENCE_ERROR_SECONDS, CADENCE_WINDOWS_DROPPED
from producers.polling.timeliness import CadenceGroup, CadenceStatistics, PlannedCadence, sample_of
from schemas.clocks import MarketTime
from schemas.errors import BrokerUnavailable
from schemas.intervals import SECOND_US
from schemas.journals import CadenceSample

WINDOW_S = 10.0
STOP_WITHIN_S = 2.0  # for the last window, which is given up where the broker is away
MAX_KEPT_WINDOWS = 4_096  # while the broker is away: half an hour of two dozen groups; then the oldest go

Publish = Callable[[Sequence[CadenceSample]], Awaitable[None]]

log = logging.getLogger(__name__)


class CadenceRecorder:
    """Counts polls as they begin and end; cheap enough to be told of each. One per process."""

    def __init__(
        self, *, market: Market, replica: str, generation: Callable[[], int], window_s: float = WINDOW_S
    ) -> None:
        """Record as `replica`; `generation` is that of the configuration in force, 0 where there is none."""
        self._market = market
        self._replica = replica
        self._generation = generation
        self._window_s = window_s
        self._statistics = CadenceStatistics(now_us=market.now_us(), wall_us=wall_us())
        self._unconfirmed: list[CadenceSample] = []
        self._unpublished: deque[CadenceSample] = deque(maxlen=MAX_KEPT_WINDOWS)
        self._closed = asyncio.Event()

    def plan(self, planned: Mapping[CadenceGroup, PlannedCadence]) -> None:
        """Take the whole of what is polled by this process from now on; call it again for every new plan."""
        self._statistics.plan(planned, self._market.now_us())

    def begun(self, group: CadenceGroup, *, due_us: MarketTime) -> None:
        """Note that a poll begins which was due at market time `due_us` (0: at once, so that it cannot be late)."""
        market = self._market
        error_us = self._statistics.begun(
            group, due_us=due_us, now_us=market.now_us(), speed=market.clock.speed
        )
        if error_us is not None:
            CADENCE_ERROR_SECONDS.labels(group.capability, group.tier).observe(error_us / SECOND_US)

    def ended(
        self, group: CadenceGroup, symbols: Sequence[str], *, next_due_us: MarketTime, ok: bool
    ) -> None:
        """Note the end of a poll of `symbols`, whose next is due at market time `next_due_us` (0: at once)."""
        self._statistics.ended(group, symbols, now_us=self._market.now_us(), next_due_us=next_due_us, ok=ok)

    def skipped(self, group: CadenceGroup, symbols: Sequence[str], *, next_due_us: MarketTime) -> None:
        """Note that a poll was left out on purpose."""
        self._statistics.skipped(group, symbols, next_due_us=next_due_us)

    async def run(self, publish: Publish) -> None:
        """Publish a record per group and window until cancelled; the last, shorter window is published then.

        `publish` waits as long as the broker is away; windows go on meanwhile and are kept, up to a bound. Raises what
        `publish` raises.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(publish), name="cadence-publish")
                while True:
                    await asyncio.sleep(self._window_s)
                    self._close()
        finally:
            await self._publish_last(publish)

    def _close(self) -> None:
        """Close the window of every group."""
        generation = self._generation()
        for window in self._statistics.close(now_us=self._market.now_us(), wall_us=wall_us()):
            if len(self._unpublished) == MAX_KEPT_WINDOWS:
                CADENCE_WINDOWS_DROPPED.inc()  # the oldest goes
            self._unpublished.append(sample_of(window, replica=self._replica, generation=generation))
        self._closed.set()

    async def _publish(self, publish: Publish) -> None:
        while True:
            await self._closed.wait()
            self._closed.clear()
            self._unconfirmed = list(self._unpublished)
            self._unpublished.clear()
            if self._unconfirmed:
                await publish(self._unconfirmed)
                self._unconfirmed = []

    async def _publish_last(self, publish: Publish) -> None:
        self._close()
        # What was under way may be in the log already; the same record twice is one row.
        last = [*self._unconfirmed, *self._unpublished]
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await publish(last)
        except (TimeoutError, BrokerUnavailable) as error:
            log.warning("cadence_not_published", extra={"windows": len(last), "error": str(error)})
