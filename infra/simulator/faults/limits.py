"""Requests that were counted: windows that begin with their first request, each with what is left of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from infra.simulator.faults.habits import CountedLimit

MAX_COUNTED = 10_000  # what is counted is named by the client; the oldest goes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A limit as it stands after a request: `left` of `limit`, until all of it is back in `reset_s` seconds."""

    limit: int
    left: int
    reset_s: float
    refused: bool


@dataclass(slots=True, kw_only=True)
class _Window:
    ends_s: float
    used: int = 0
    refuses: bool = False


class LimitCounts:
    """Counts of a scenario in force."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window] = {}

    def take(self, limit: CountedLimit, of: Hashable, now_s: float) -> Count:
        """Count a request of `of` at `now_s` seconds of a steady clock."""
        window = self._windows.get((limit, of))
        if window is None or now_s >= window.ends_s:
            self._windows.pop((limit, of), None)
            window = self._windows[limit, of] = _Window(ends_s=now_s + limit.window_s)
            if len(self._windows) > MAX_COUNTED:
                del self._windows[next(iter(self._windows))]
        if window.used >= limit.requests and not window.refuses:
            window.refuses = True
            window.ends_s = max(window.ends_s, now_s + limit.block_s)
        refused = window.refuses
        window.used += not refused
        left = limit.requests - window.used
        return Count(limit=limit.requests, left=left, reset_s=window.ends_s - now_s, refused=refused)
