"""Figures the objectives follow from, as they were read at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from gateway.objectives.burn_rates import LENGTHS_US, WindowCount, WindowCounts
from gateway.objectives.collection import SymbolCoverage
from gateway.objectives.violations import Violations
from schemas.intervals import SECOND_US

SLEWED_S = 1.0  # a clock that is set right slowly may be behind itself by less


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDrain:
    """T0 jobs by window, and those that are not over: `held` ones wait for a provider that cannot be asked."""

    ended: WindowCounts
    held: int = 0  # of those that ended in the longest window
    waiting: int = 0
    waiting_late: int = 0
    waiting_held: int = 0
    oldest_s: float | None = None
    late_jobs: Sequence[str] = ()

    def outcomes(self) -> dict[str, WindowCount]:
        """Return what ended, and what should have, by window."""
        late = WindowCount(self.waiting_late, self.waiting_late)
        return {name: self.ended.get(name, WindowCount()) + late for name in LENGTHS_US}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLatency:
    """Published messages by gateway and window, and by bucket in the last hour; `edges_ms` are the buckets' upper ones."""

    by_source: Mapping[str, WindowCounts]
    buckets: Sequence[int]
    edges_ms: Sequence[float]

    def outcomes(self) -> dict[str, WindowCount]:
        """Return all gateways' messages by window."""
        every = self.by_source.values()
        return {
            name: sum((each.get(name, WindowCount()) for each in every), WindowCount()) for name in LENGTHS_US
        }

    def p99_ms(self) -> float | None:
        """Return the edge under which 99 of 100 messages lie; None of none, or beyond the last edge."""
        total, below = sum(self.buckets), 0
        for edge, count in zip(self.edges_ms, self.buckets, strict=False):
            below += count
            if total and below >= 0.99 * total:
                return edge
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SloReading:
    """Everything the objectives follow from, read at one moment of both clocks (µs); `bans` None: nobody tells of requests."""

    market_time: int
    read_time: int
    violations: Violations
    symbols: SymbolCoverage
    target_symbols: int
    listed: bool  # a configuration says which symbols there should be
    drain: QueueDrain
    latency: PublishLatency
    bans: Sequence[Mapping[str, Any]] | None


def age_s(reading: SloReading, now: int) -> float:
    """Return how old a reading is at wall time `now` (µs): no age where the clock was set back since, so that it is read anew."""
    age = (now - reading.read_time) / SECOND_US
    return age if age >= -SLEWED_S else inf
