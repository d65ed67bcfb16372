"""The moment at which the next pass over all clients begins: at once after a rest, within one together with what else comes.

A pass over a few clients costs next to nothing, so they need not wait. One over a thousand takes as long as several
records are apart: whatever comes while the last one is being paid for joins one frame of each client.
"""

from __future__ import annotations

from math import floor

RESTS = 4.0  # a rest lasts so many times what the pass before it cost: passes take a fifth of the processor at most
MOST_REST_S = 0.025  # but no longer, or a record would be late
BEATS_S = 0.05  # heartbeats due within so long go out together, early by that


def rest_s(cost_s: float) -> float:
    """Return how long a rest lasts after a pass that took the processor for `cost_s`; seconds."""
    return min(MOST_REST_S, RESTS * cost_s)


def due_s(noted_s: float, ended_s: float, cost_s: float) -> float:
    """Return when the pass begins that takes what first came at `noted_s`; seconds on one monotonic clock.

    The last pass ended at `ended_s` and cost `cost_s`. What comes after the rest is due at once, what comes earlier
    waits as long as a rest lasts, and so no pass begins earlier than that after the last one began.
    """
    rest = rest_s(cost_s)
    return noted_s if noted_s >= ended_s + rest else noted_s + rest


def beat_s(now_s: float, every_s: float) -> float:
    """Return when the next heartbeat of a client is due that has one now: never later than `every_s` from now."""
    return floor((now_s + every_s) / BEATS_S) * BEATS_S


class Passes:
    """The passes of one writer: since when something waits for the next, and what the last one cost.

    A pass may take several turns, between which others have theirs. All moments are seconds on one monotonic clock.
    """

    def __init__(self) -> None:
        """Begin with nothing that waits, after a pass that cost nothing."""
        self._noted_s: float | None = None
        self._ended_s = self._cost_s = 0.0
        self.under_way = False

    @property
    def due_s(self) -> float | None:
        """Return when the next pass begins, None while nothing waits for one."""
        return None if self._noted_s is None else due_s(self._noted_s, self._ended_s, self._cost_s)

    def note(self, now_s: float) -> bool:
        """Note that something waits; whether `due_s` is to be looked at for it: not again, nor before a pass has ended."""
        if self._noted_s is not None:
            return False
        self._noted_s = now_s
        return not self.under_way

    def is_due(self, now_s: float) -> bool:
        """Whether a pass begins by now."""
        due = self.due_s
        return due is not None and now_s >= due

    def begin(self) -> None:
        """Begin the pass that takes whatever was noted; what is noted from now on waits for the one after it."""
        self._noted_s, self._cost_s, self.under_way = None, 0.0, True

    def work(self, began_s: float, ended_s: float, *, last: bool) -> None:
        """Count one turn of the pass; with the `last` it has ended."""
        self._cost_s += ended_s - began_s
        self._ended_s = ended_s
        self.under_way = not last
