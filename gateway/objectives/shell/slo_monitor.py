"""The monitor: reads each minute what the objectives follow from, shows them as metrics, and keeps what no table holds.

Every gateway computes the same from the database, so none has to be elected, and one that is alone is enough. Only how long
messages took is known to the gateway that sent them: it adds its counts to `slo_samples`, where all of them are summed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import isinf, nan

from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.http.problems import Problem
from gateway.objectives import statements
from gateway.objectives.burn_rates import LENGTHS_US, LOOK_BACK_US, PAIRS, WindowCount, wall_windows
from gateway.objectives.collection import (
    CollectedNow,
    SeriesStanding,
    SymbolCoverage,
    symbol_coverage,
    wanted_of,
)
from gateway.objectives.measured import PublishLatency, QueueDrain, SloReading, age_s
from gateway.objectives.objectives import DRAIN_S, SLOW_MS, Objective, objectives, state_number
from gateway.objectives.shell.reading import all_series
from gateway.objectives.violations import Violations, violations
from gateway.operations.shell.configuration import Configured
from infra.runtime import objective_metrics as shown
from infra.runtime.clock import MarketClock, monotonic_s, wall_us
from infra.runtime.metrics import WS_PUBLISH_LATENCY_MS, compute_at_scrape
from infra.runtime.postgres.errors import StoreError
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.errors import MarketDataError
from schemas.intervals import DAY_US, HOUR_US, SECOND_US
from schemas.universe import Member

READ_EVERY_S = 60.0
SHOWN_FOR_S = 180.0  # an older reading says nothing of now
KEEP_US = 4 * DAY_US
AHEAD_US = DAY_US  # whose clock is further ahead than this will not be right in time
FORGET_EVERY_S = 3_600.0
WAY_S = 30.0

NOT_NOW = (MarketDataError, StoreError, TimeoutError, Problem)

log = logging.getLogger(__name__)


class Monitor:
    """The objectives as they were read last; one reading at a time, whoever asks."""

    def __init__(
        self,
        store: Snapshots,
        clock: MarketClock,
        configured: Configured,
        *,
        target_symbols: int,
        source: str,
    ) -> None:
        """Read through `store`, on the market's `clock`; `source` is the name of this gateway."""
        self._store, self._clock, self._configured = store, clock, configured
        self._target_symbols, self.source = target_symbols, source
        self._lock = asyncio.Lock()
        self._reading: SloReading | None = None
        self._objectives: list[Objective] = []
        self._counted = shown.bucket_counts(WS_PUBLISH_LATENCY_MS)
        self._forgot_at_s = float("-inf")

    async def run(self) -> None:
        """Read for ever; an outage of PostgreSQL is waited out, and so is one that was not migrated: others are served."""
        while True:
            try:
                await self.read(READ_EVERY_S / 2)
            except NOT_NOW as error:
                log.warning("objectives_not_read", extra={"error": str(error)})
            await asyncio.sleep(READ_EVERY_S)

    async def read(self, most_s: float) -> tuple[SloReading, list[Objective]]:
        """Return what is at most so many seconds old; raises StoreUnavailable, and a Problem where too many wait."""
        async with self._lock:
            if self._reading is None or age_s(self._reading, wall_us()) > most_s:
                try:
                    await self._keep_sample()
                except NOT_NOW as error:
                    log.warning("latencies_not_kept", extra={"error": str(error)})
                self._reading = await self._read()
                self._objectives = objectives(self._reading)
                self._show()
            return self._reading, self._objectives

    async def wanted(self, snapshot: Snapshot) -> CollectedNow:
        """Return what is collected now."""
        configuration: Configuration | None = self._configured.configuration
        if configuration is None:
            return CollectedNow()
        members = []
        if configuration.universe == FROM_DATABASE:
            rows = await snapshot.rows(statements.MEMBERS)
            members = [
                Member(symbol=row["symbol"], tier=row["tier"], streams=tuple(row["streams"])) for row in rows
            ]
        return wanted_of(configuration, members)

    async def _read(self) -> SloReading:
        now, wall = self._clock.now_us(), wall_us()
        async with self._store.snapshot() as snapshot:
            wanted = replace(await self.wanted(snapshot), way_us=self._way_us())
            every = await all_series(snapshot, now)
            drain = await _drain(snapshot, wall)
            latency = await _latency(snapshot, wall)
            bans = await snapshot.rows(statements.BANS, wall - DAY_US, wall)
        found, symbols = await asyncio.to_thread(_judged, every, wanted, now)
        return SloReading(
            market_time=now,
            read_time=wall,
            violations=found,
            symbols=symbols,
            target_symbols=self._target_symbols,
            listed=wanted.symbols is not None,
            drain=drain,
            latency=latency,
            bans=bans or None,
        )

    def _way_us(self) -> int:
        """Return what the way through our own processes may take on the market's clock, which may be a fast one."""
        speed = self._clock.speed
        return LOOK_BACK_US if isinf(speed) else int(WAY_S * speed * SECOND_US)

    async def _keep_sample(self) -> None:
        """Add what was published since the last sample; what is not stored now is with the next one."""
        counts = shown.bucket_counts(WS_PUBLISH_LATENCY_MS)
        added = [now - before for now, before in zip(counts, self._counted, strict=True)]
        is_due = monotonic_s() - self._forgot_at_s > FORGET_EVERY_S
        if not sum(added) and not is_due:
            return
        edges = shown.bucket_edges(WS_PUBLISH_LATENCY_MS)
        slow = sum(count for edge, count in zip([*edges, float("inf")], added, strict=True) if edge > SLOW_MS)
        async with self._store.acting() as connection:
            if sum(added):
                await connection.execute(
                    statements.ADD_SAMPLE, self.source, wall_us(), sum(added), slow, added
                )
            if is_due:
                wall = wall_us()
                await connection.execute(statements.FORGET_SAMPLES, wall - KEEP_US, wall + AHEAD_US)
        self._counted = counts
        self._forgot_at_s = monotonic_s() if is_due else self._forgot_at_s

    def _show(self) -> None:
        """Show the reading: at each scrape, and as long as it says something of now."""
        reading = self._reading
        if reading is None:
            return
        every: dict[tuple[str, ...], float] = {}
        for (tier, interval), tallies in reading.violations.groups.items():
            share = tallies["3d"].outcome.share
            every["rate", tier, interval] = nan if share is None else share
        for each in self._objectives:
            every["state", each.name] = state_number(each.state)
            rates = each.burn_rates()
            firing = {(alert["long"], alert["short"]) for alert in each.alerts}
            for window in each.outcomes:
                every["burn", each.name, window] = rates.get(window, nan)
            for long, short, _ in PAIRS if each.outcomes else ():
                every["alert", each.name, long, short] = float((long, short) in firing)
        symbols = reading.symbols
        every["symbols", "collected"], every["symbols", "covered"] = symbols.wanted, symbols.covered
        every["symbols", "needed"] = symbols.needed(reading.target_symbols)
        for gauge in GAUGES.values():
            gauge.clear()
        for (name, *labels), value in every.items():
            compute_at_scrape(GAUGES[name].labels(*labels), partial(_fresh, reading, value))


GAUGES = {
    "rate": shown.SLO_GAP_VIOLATION_RATE,
    "state": shown.SLO_STATE,
    "burn": shown.SLO_BURN_RATE,
    "alert": shown.SLO_ALERT,
    "symbols": shown.SLO_SYMBOLS,
}


def _fresh(reading: SloReading, value: float) -> float:
    return value if age_s(reading, wall_us()) <= SHOWN_FOR_S else nan


def _judged(every: list[SeriesStanding], wanted: CollectedNow, now: int) -> tuple[Violations, SymbolCoverage]:
    return violations(every, wanted, now), symbol_coverage(every, wanted, now)


async def _drain(snapshot: Snapshot, wall: int) -> QueueDrain:
    lows = _windows(wall)
    ended = {row["low"]: row for row in await snapshot.rows(statements.DRAINED, list(lows), wall, DRAIN_S)}
    (waits,) = await snapshot.rows(statements.WAITING, wall, DRAIN_S)
    longest = ended.get(min(lows))
    return QueueDrain(
        ended={lows[low]: WindowCount(row["total"], row["late"]) for low, row in ended.items()},
        held=0 if longest is None else longest["held"],
        waiting=waits["waiting"],
        waiting_late=waits["late"],
        waiting_held=waits["held"],
        oldest_s=None if waits["oldest"] is None else max(0, wall - waits["oldest"]) / SECOND_US,
        late_jobs=waits["jobs"] or (),
    )


async def _latency(snapshot: Snapshot, wall: int) -> PublishLatency:
    lows = _windows(wall)
    by_source: dict[str, dict[str, WindowCount]] = {}
    for row in await snapshot.rows(statements.SAMPLES, list(lows), wall):
        by_source.setdefault(row["source"], {})[lows[row["low"]]] = WindowCount(row["total"], row["slow"])
    edges = shown.bucket_edges(WS_PUBLISH_LATENCY_MS)
    buckets = [0] * (len(edges) + 1)
    for row in await snapshot.rows(statements.BUCKETS, wall - HOUR_US, wall):
        if row["bucket"] < len(buckets):
            buckets[row["bucket"]] = row["count"]
    return PublishLatency(by_source=by_source, buckets=buckets, edges_ms=edges)


def _windows(wall: int) -> Mapping[int, str]:
    """Return the windows by their begin, the longest first."""
    starts = wall_windows(wall)
    return {starts[name]: name for name in sorted(LENGTHS_US, key=lambda each: -LENGTHS_US[each])}
