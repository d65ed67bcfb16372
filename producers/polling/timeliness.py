"""Timeliness of polling: polls due, begun and done, how late, and who was left out longest.

Counted by (capability, provider, tier) over windows. Market times are µs; lateness is µs of wall time: market time
divided by the clock's speed. Memory is bounded by the symbols planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.clocks import MarketTime, WallTime
from schemas.intervals import SECOND_US
from schemas.journals import CadenceSample
from schemas.log_buckets import bucket_of, quantile_us

MILLISECOND_US = 1_000


class CadenceGroup(NamedTuple):
    """A group counted together: streams with one planned cadence from one provider."""

    capability: str
    provider: str
    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCadence:
    """The symbols of a group and how often (market µs) each is to be polled."""

    every_us: int
    symbols: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceWindow:
    """One group in one window: wall times [begun_time, ended_time) in µs, everything else as its name says.

    `due` = polls begun at their time and slots missed; `symbol_polls` = symbols in polls that succeeded;
    `stale_us` = for how much market time the symbol left out longest has been waiting beyond its due moment.
    """

    group: CadenceGroup
    begun_time: WallTime
    ended_time: WallTime
    market_us: int
    every_us: int
    symbols: int
    due: int
    begun: int
    succeeded: int
    failed: int
    skipped: int
    missed: int
    symbol_polls: int
    stale_us: int
    stale_symbols: int
    error_max_us: int
    errors: Mapping[int, int]

    @property
    def achieved_us(self) -> float | None:
        """Return the mean market time between two successful polls of a symbol; None without one."""
        return self.market_us * self.symbols / self.symbol_polls if self.symbol_polls else None

    def error_us(self, share: float) -> float | None:
        """Return the lateness (µs) that `share` of the polls do not exceed; None without polls."""
        return quantile_us(self.errors, share)


@dataclass(slots=True)
class _Counts:
    due: int = 0
    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    missed: int = 0
    symbol_polls: int = 0
    error_max_us: int = 0
    errors: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    every_us: int
    waiting_since: dict[str, MarketTime]  # at which each symbol is, or became, due
    counts: _Counts = field(default_factory=_Counts)


class CadenceStatistics:
    """Counts polls of the planned groups; what is of no planned group is not counted."""

    def __init__(self, *, now_us: MarketTime, wall_us: WallTime) -> None:
        """Begin a window at market time `now_us` and wall time `wall_us`."""
        self._groups: dict[CadenceGroup, _Kept] = {}
        self._begun = (now_us, wall_us)

    def plan(self, planned: Mapping[CadenceGroup, PlannedCadence], now_us: MarketTime) -> None:
        """Take the whole of a plan; symbols that stay keep what is known of them, new ones are due one cadence on."""
        groups: dict[CadenceGroup, _Kept] = {}
        for group, cadence in planned.items():
            before = self._groups.get(group, _Kept(cadence.every_us, {}))
            first = MarketTime(now_us + cadence.every_us)
            waiting = {symbol: before.waiting_since.get(symbol, first) for symbol in cadence.symbols}
            groups[group] = _Kept(cadence.every_us, waiting, before.counts)
        self._groups = groups

    def begun(
        self, group: CadenceGroup, *, due_us: MarketTime, now_us: MarketTime, speed: float
    ) -> int | None:
        """Count a poll that starts at market time `now_us`; return how late it is (µs of wall time).

        None where it was due at once (0) and not by its cadence, as after a failure, or where no clock paces it.
        """
        kept = self._groups.get(group)
        if kept is None:
            return None
        counts = kept.counts
        counts.begun += 1
        if not due_us or not 0.0 < speed < float("inf"):
            return None
        error_us = max(0, int((now_us - due_us) / speed))
        counts.due += 1
        counts.error_max_us = max(counts.error_max_us, error_us)
        bucket = bucket_of(error_us)
        counts.errors[bucket] = counts.errors.get(bucket, 0) + 1
        return error_us

    def ended(
        self,
        group: CadenceGroup,
        symbols: Sequence[str],
        *,
        now_us: MarketTime,
        next_due_us: MarketTime,
        ok: bool,
    ) -> None:
        """Count the end of a poll; after a success its symbols wait for `next_due_us` (0: for a cadence from now)."""
        kept = self._groups.get(group)
        if kept is None:
            return
        counts = kept.counts
        if not ok:
            counts.failed += 1
            return
        counts.succeeded += 1
        since = min((kept.waiting_since.get(symbol, now_us) for symbol in symbols), default=now_us)
        # Each slot that went by between the due moment and now was not polled for itself.
        missed = max(0, now_us - since) // kept.every_us
        counts.missed += missed
        counts.due += missed
        counts.symbol_polls += self._wait(kept, symbols, next_due_us or MarketTime(now_us + kept.every_us))

    def skipped(self, group: CadenceGroup, symbols: Sequence[str], *, next_due_us: MarketTime) -> None:
        """Count a poll left out on purpose: another provider serves, or the slot was polled already."""
        kept = self._groups.get(group)
        if kept is not None:
            kept.counts.skipped += 1
            self._wait(kept, symbols, next_due_us)

    def close(self, *, now_us: MarketTime, wall_us: WallTime) -> list[CadenceWindow]:
        """Return the window that ends now, of every group, and begin the next."""
        market_us, begun = max(0, now_us - self._begun[0]), self._begun[1]
        self._begun = (now_us, wall_us)
        windows = []
        for group, kept in self._groups.items():
            counts, kept.counts = kept.counts, _Counts()
            late = [now_us - since for since in kept.waiting_since.values() if since < now_us]
            windows.append(
                CadenceWindow(
                    group=group,
                    begun_time=begun,
                    ended_time=wall_us,
                    market_us=market_us,
                    every_us=kept.every_us,
                    symbols=len(kept.waiting_since),
                    due=counts.due,
                    begun=counts.begun,
                    succeeded=counts.succeeded,
                    failed=counts.failed,
                    skipped=counts.skipped,
                    missed=counts.missed,
                    symbol_polls=counts.symbol_polls,
                    stale_us=max(late, default=0),
                    stale_symbols=sum(each > max(kept.every_us, SECOND_US) for each in late),
                    error_max_us=counts.error_max_us,
                    errors=counts.errors,
                )
            )
        return windows

    def _wait(self, kept: _Kept, symbols: Sequence[str], due_us: MarketTime) -> int:
        """Let the planned ones of `symbols` wait for `due_us`; return how many they are."""
        count = 0
        for symbol in symbols:
            if symbol in kept.waiting_since:
                kept.waiting_since[symbol] = due_us
                count += 1
        return count


def sample_of(window: CadenceWindow, *, replica: str, generation: int) -> CadenceSample:
    """Return what the journal says of a window: whose it is, and under which generation of the configuration."""
    p50_us, p99_us = window.error_us(0.5), window.error_us(0.99)
    buckets = sorted(window.errors)
    return CadenceSample(
        replica=replica,
        generation=generation,
        capability=window.group.capability,
        provider=window.group.provider,
        tier=window.group.tier,
        begun_time=window.begun_time,
        ended_time=window.ended_time,
        market_s=window.market_us / SECOND_US,
        every_s=window.every_us / SECOND_US,
        symbols=window.symbols,
        due=window.due,
        begun=window.begun,
        succeeded=window.succeeded,
        failed=window.failed,
        skipped=window.skipped,
        missed=window.missed,
        symbol_polls=window.symbol_polls,
        stale_s=window.stale_us / SECOND_US,
        stale_symbols=window.stale_symbols,
        error_p50_ms=None if p50_us is None else p50_us / MILLISECOND_US,
        error_p99_ms=None if p99_us is None else p99_us / MILLISECOND_US,
        error_max_ms=window.error_max_us / MILLISECOND_US,
        buckets=buckets,
        counts=[window.errors[bucket] for bucket in buckets],
    )
