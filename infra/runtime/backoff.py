"""Waits before the next try: a fixed look at an outage, or pauses that double, with jitter where many wait."""

from __future__ import annotations

import random
from dataclasses import dataclass

RETRY_S = 1.0  # of a loop that waits out an outage of Kafka or PostgreSQL and looks again
STARTING_RETRY_S = 0.5  # of a process that waits for what it cannot begin without
MAX_DOUBLINGS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses after failures in a row: `first_s` after the first, twice as long after each further, `longest_s` at most."""

    first_s: float
    longest_s: float

    def pause_s(self, failures: int) -> float:
        """Return the whole pause after so many failures, 0 after none."""
        if failures < 1:
            return 0.0
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, MAX_DOUBLINGS))

    def anywhere_s(self, failures: int) -> float:
        """Return a random part of the pause: who comes back is not met by all of its clients at once."""
        return random.uniform(0.0, self.pause_s(failures))  # noqa: S311 - jitter

    def upper_half_s(self, failures: int) -> float:
        """Return between half of the pause and all of it: apart from others, and never at once."""
        return self.pause_s(failures) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
