"""What time it is on the market we poll, and up to when its vendors already tell."""

from __future__ import annotations

from dataclasses import dataclass

from infra.runtime.clock import MarketClock

UNPACED = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A market clock; `end` (µs) is where recorded data ends, None for a market that goes on."""

    clock: MarketClock
    end: int | None = None

    @property
    def paced(self) -> bool:
        """Whether market time passes by itself; at the simulator's speed `max` it does not."""
        return self.clock.speed != UNPACED

    def now_us(self) -> int:
        """Return market time (µs)."""
        return self.clock.now_us()

    def horizon_us(self) -> int:
        """Return up to when vendors tell: now, or all of the recorded data where time does not pass by itself."""
        now = self.clock.now_us()
        return now if self.paced or self.end is None else max(now, self.end)
