"""Gaps as REST shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.moments import EARLIEST_US, LATEST_US, rfc3339

_TIMES = frozenset({"from_time", "to_time", "known_from"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFilter:
    """Which gaps: those overlapping [start, end) and known by `as_of`; None means any."""

    symbol: str | None = None
    intervals: Sequence[str] | None = None
    provider: str | None = None
    state: str | None = None
    start: int = EARLIEST_US
    end: int = LATEST_US
    as_of: int = LATEST_US


def gap_row(gap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON row of a gap whose times are µs."""
    return {name: rfc3339(value) if name in _TIMES else value for name, value in gap.items()}


def last_contiguous(last_seen: int, hole: int | None) -> int:
    """Return how far a stream is whole (µs): to its first unhealed gap, else to the last event seen."""
    return last_seen if hole is None else min(hole, last_seen)
