"""How long to wait before a part that died is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
FACTOR = 2.0
HEALTHY_RESET_S = 60.0  # a part that served this long has recovered: its next death is a first one


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Deaths in a row so far. Pure: `after_death` returns the next state and the delay in seconds."""

    deaths: int = 0

    def after_death(self, *, healthy_for_s: float) -> tuple[Backoff, float]:
        """Return the state after one more death and how long to wait; `healthy_for_s` counts from ready."""
        deaths = 0 if healthy_for_s >= HEALTHY_RESET_S else self.deaths
        delay_s = FIRST_DELAY_S
        for _ in range(deaths):
            delay_s = min(delay_s * FACTOR, MAX_DELAY_S)
        return Backoff(deaths=deaths + 1), delay_s
