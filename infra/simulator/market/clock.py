"""The market clock: what time it is in the simulated market. It only moves forward.

At a paced speed, market time runs `speed` times as fast as the monotonic clock it is given. At the
speed `max` there is no clock: market time is the last event that was served through the socket.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.errors import ConfigurationError
from schemas.intervals import SECOND_US

MAX_SPEED = 1_000_000.0  # beyond it `max` is what is meant
UNPACED = "max"


class SimulatedClock:
    """Market time in µs; `speed` is a positive factor, or None for `max`."""

    def __init__(self, *, start: int, speed: float | None, monotonic: Callable[[], float]) -> None:
        """Begin at `start` (µs) and run; `monotonic` returns seconds and never steps back."""
        self.start = start
        self._monotonic = monotonic
        self._speed = speed
        self._paused = False
        self._anchor_market = start
        self._anchor_s = monotonic()

    @property
    def unpaced(self) -> bool:
        """Whether the speed is `max`."""
        return self._speed is None

    @property
    def paused(self) -> bool:
        """Whether market time stands still until it is resumed or stepped."""
        return self._paused

    @property
    def rate(self) -> float:
        """Market seconds a real second; 0.0 while paused or at `max`."""
        return 0.0 if self._paused or self._speed is None else self._speed

    def now(self) -> int:
        """Return market time in µs."""
        elapsed_s = self._monotonic() - self._anchor_s
        return self._anchor_market + int(elapsed_s * self.rate * SECOND_US)

    def step_to(self, market_time: int) -> None:
        """Move forward to `market_time`; raise ValueError when it lies in the past."""
        now = self.now()
        if market_time < now:
            raise ValueError(f"market time never moves back: it is {now}, asked for {market_time}")
        self._anchor(market_time)

    def observe(self, event_time: int) -> None:
        """At `max`, let an event that was served move the clock; a paced clock ignores it."""
        if self._speed is None and event_time > self._anchor_market:
            self._anchor_market = event_time

    def set_speed(self, speed: float | None) -> None:
        """Go on at another speed from the market time of this moment."""
        self._anchor(self.now())
        self._speed = speed

    def set_paused(self, *, paused: bool) -> None:
        """Stop or resume; market time does not jump."""
        self._anchor(self.now())
        self._paused = paused

    def delay_until_s(self, market_time: int) -> float | None:
        """Return real seconds until `market_time`; 0.0 when it is past, None when it never comes by itself."""
        if self._speed is None and not self._paused:
            return 0.0
        remaining_us = market_time - self.now()
        if remaining_us <= 0:
            return 0.0
        return remaining_us / SECOND_US / self.rate if self.rate else None

    def _anchor(self, market_time: int) -> None:
        self._anchor_market = market_time
        self._anchor_s = self._monotonic()


def parse_speed(text: str) -> float | None:
    """Return the factor `text` means, None for `max`; raise ConfigurationError for anything else."""
    if text.strip().lower() == UNPACED:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed <= MAX_SPEED:
        raise ConfigurationError(
            f"MDS_SIMULATOR_SPEED={text} is not a speed",
            remedy=f"use a number above 0 and at most {MAX_SPEED:.0f}, or max",
        )
    return speed
