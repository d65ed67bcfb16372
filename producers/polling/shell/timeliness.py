"""Records how well polling keeps to its cadence: counted in memory, a row a window in PostgreSQL, and a metric."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from infra.runtime.clock import Market, monotonic_s, wall_us
from infra.runtime.metrics import CADENCE_ERROR_SECONDS, CADENCE_WINDOWS_DROPPED
from infra.runtime.postgres.errors import Pool
from infra.runtime.postgres.pool import connection
from producers.polling.timeliness import (
    CadenceGroup,
    CadenceStatistics,
    CadenceWindow,
    PlannedCadence,
)
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US, SECOND_US

WINDOW_S = 10.0
WRITE_WITHIN_S = 2.0
MAX_KEPT_WINDOWS = 4_096  # while the database is away: half an hour of two dozen groups; then the oldest go
MAX_ROWS_A_WRITE = 500  # what a slow database takes within the deadline
KEPT_DAYS = 7
TRIM_EVERY_S = 3_600.0
# A window that was written although nobody heard so is written again: it stays as it is.
ADD = """
    INSERT INTO cadence (replica, capability, provider, tier, begun_time, ended_time, market_s, every_s, symbols, due,
        begun, succeeded, failed, skipped, missed, symbol_polls, stale_s, stale_symbols, error_p50_ms, error_p99_ms,
        error_max_ms, buckets, counts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
    ON CONFLICT DO NOTHING
"""
TRIM = "DELETE FROM cadence WHERE ended_time < $1"  # $1: the first moment that is kept

log = logging.getLogger(__name__)


class CadenceRecorder:
    """Counts polls as they begin and end; cheap enough to be told of each. One per process."""

    def __init__(self, pool: Pool, *, market: Market, replica: str) -> None:
        """Write through `pool`, which may be of a database that is down, as `replica`."""
        self._pool = pool
        self._market = market
        self._replica = replica
        self._statistics = CadenceStatistics(now_us=market.now_us(), wall_us=wall_us())
        self._unwritten: deque[CadenceWindow] = deque(maxlen=MAX_KEPT_WINDOWS)
        self._writing = True
        self._trim_at_s = 0.0

    def plan(self, planned: Mapping[CadenceGroup, PlannedCadence]) -> None:
        """Take the whole of what is polled by this process from now on; call it again for every new plan."""
        self._statistics.plan(planned, self._market.now_us())

    def begun(self, group: CadenceGroup, *, due_us: int) -> None:
        """Note that a poll begins which was due at market time `due_us` (0: at once, so that it cannot be late)."""
        market = self._market
        error_us = self._statistics.begun(
            group, due_us=due_us, now_us=market.now_us(), speed=market.clock.speed
        )
        if error_us is not None:
            CADENCE_ERROR_SECONDS.labels(group.capability, group.tier).observe(error_us / SECOND_US)

    def ended(self, group: CadenceGroup, symbols: Sequence[str], *, next_due_us: int, ok: bool) -> None:
        """Note the end of a poll of `symbols`, whose next is due at market time `next_due_us` (0: at once)."""
        self._statistics.ended(group, symbols, now_us=self._market.now_us(), next_due_us=next_due_us, ok=ok)

    def skipped(self, group: CadenceGroup, symbols: Sequence[str], *, next_due_us: int) -> None:
        """Note that a poll was left out on purpose."""
        self._statistics.skipped(group, symbols, next_due_us=next_due_us)

    async def run(self) -> None:
        """Write a row per group and window until cancelled; the last, shorter window is written then."""
        try:
            while True:
                await asyncio.sleep(WINDOW_S)
                await self.flush()
        finally:
            await self.flush()  # stopping: within its deadline, what was counted is still written

    async def flush(self) -> None:
        """Close the window and write what is unwritten; without the database it is kept, up to a bound."""
        for window in self._statistics.close(now_us=self._market.now_us(), wall_us=wall_us()):
            if len(self._unwritten) == MAX_KEPT_WINDOWS:
                CADENCE_WINDOWS_DROPPED.inc()  # the oldest goes
            self._unwritten.append(window)
        try:
            while batch := list(islice(self._unwritten, MAX_ROWS_A_WRITE)):
                await self._write(batch)
                for _ in batch:
                    self._unwritten.popleft()
        except StoreUnavailable as error:
            if self._writing:
                log.warning(
                    "cadence_not_written",
                    extra={"error": str(error), "consequence": "windows are kept for half an hour"},
                )
            self._writing = False
            return
        self._writing = True

    async def _write(self, windows: Sequence[CadenceWindow]) -> None:
        rows = [_row(self._replica, window) for window in windows]
        trims = monotonic_s() >= self._trim_at_s
        async with (
            connection(self._pool, within_s=WRITE_WITHIN_S, or_else="cadence cannot be recorded") as writer,
            writer.transaction(),
        ):
            await writer.executemany(ADD, rows)
            if trims:
                await writer.execute(TRIM, wall_us() - KEPT_DAYS * DAY_US)
        if trims:
            self._trim_at_s = monotonic_s() + TRIM_EVERY_S


def _row(replica: str, window: CadenceWindow) -> tuple[object, ...]:
    p50, p99 = window.error_us(0.5), window.error_us(0.99)
    buckets = sorted(window.errors)
    return (
        replica, *window.group, window.begun_time, window.ended_time,
        window.market_us / SECOND_US, window.every_us / SECOND_US, window.symbols, window.due, window.begun,
        window.succeeded, window.failed, window.skipped, window.missed, window.symbol_polls,
        window.stale_us / SECOND_US, window.stale_symbols, None if p50 is None else p50 / 1_000,
        None if p99 is None else p99 / 1_000, window.error_max_us / 1_000,
        buckets, [window.errors[bucket] for bucket in buckets],
    )  # fmt: skip
