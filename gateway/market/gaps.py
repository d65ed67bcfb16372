"""Gaps as REST shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.http.moments import rfc3339

_TIMES = frozenset({"from_time", "to_time", "known_from"})


def gap_row(gap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON row of a gap whose times are µs."""
    return {name: rfc3339(value) if name in _TIMES else value for name, value in gap.items()}


def last_contiguous(last_seen: int, hole: int | None) -> int:
    """Return how far a stream is whole (µs): to its first unhealed gap, else to the last event seen."""
    return last_seen if hole is None else min(hole, last_seen)
