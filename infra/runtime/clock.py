"""The only file that reads a clock.

Wall time stamps `received_time`; monotonic time measures durations and deadlines; market time is what windows,
lateness, freshness and cadence run on, and equals wall time unless `MDS_MARKET_CLOCK=simulator`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import aiohttp

from schemas.clocks import MarketTime, WallTime
from schemas.errors import ProviderUnavailable
from schemas.intervals import micros

A_MOMENT = "2026-11-28T14:30:00Z"  # as one is written
CLOCK_REFRESH_S = 1.0
UNPACED = float("inf")  # the speed of a market whose empty time is skipped
CLOCK_REQUEST_TIMEOUT_S = 5.0


def wall_us() -> WallTime:
    """Return wall time, microseconds since the Unix epoch, UTC."""
    return WallTime(time.time_ns() // 1000)


def monotonic_s() -> float:
    """Return seconds that never step; for durations and deadlines only."""
    return time.monotonic()


def rfc3339(time_us: int) -> str:
    """Return microseconds since the epoch as RFC 3339 UTC with six digits."""
    seconds, rest_us = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest_us:06d}Z"


def moment_us(text: str) -> int:
    """Return an RFC 3339 moment in µs since the Unix epoch; raise ValueError saying what is wrong; and what would be right."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write it like {A_MOMENT}") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no zone; write it like {A_MOMENT}")
    try:
        return micros(moment.astimezone(UTC))
    except OverflowError:
        raise ValueError(f"{text} is in no year of UTC; write it like {A_MOMENT}") from None


class MarketClock(Protocol):
    """The clock of the market we poll."""

    def now_us(self) -> MarketTime:
        """Return market time, microseconds since the Unix epoch, UTC."""

    @property
    def speed(self) -> float:
        """Return market seconds per wall second; infinity where empty time is skipped."""

    @property
    def known(self) -> bool:
        """Whether it can be read: that of a simulator is heard first."""


class WallMarketClock:
    """Market time is wall time."""

    speed = 1.0
    known = True

    def now_us(self) -> MarketTime:
        """Return wall time."""
        return MarketTime(wall_us())


class SimulatorMarketClock:
    """Market time as the simulator tells it, interpolated between refreshes and never going back."""

    def __init__(self, base_url: str) -> None:
        """Follow the simulator at `base_url`; call `refresh` once before reading."""
        self._url = f"{base_url}/simulator/clock"
        self._market_us = 0
        self._read_at_s = 0.0
        self._latest_us = 0
        self.speed = 1.0
        self.known = False

    def now_us(self) -> MarketTime:
        """Return market time; between refreshes it advances at the announced speed, at `max` it stands."""
        ahead_s = 0.0 if self.speed == float("inf") else (monotonic_s() - self._read_at_s) * self.speed
        self._latest_us = max(self._latest_us, self._market_us + int(ahead_s * 1_000_000))
        return MarketTime(self._latest_us)

    async def refresh(self, session: aiohttp.ClientSession) -> None:
        """Ask the simulator once; raise ProviderUnavailable where it does not answer."""
        try:
            async with session.get(
                self._url, timeout=aiohttp.ClientTimeout(total=CLOCK_REQUEST_TIMEOUT_S)
            ) as answer:
                document = await answer.json()
            market_us, speed = int(document["market_time"]), document["speed"]
            self.speed = float("inf") if speed == "max" else float(speed)
            self._market_us, self._read_at_s, self.known = market_us, monotonic_s(), True
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
            raise ProviderUnavailable(f"no market clock at {self._url}; is the simulator running?") from error

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Refresh for ever; an outage keeps the last reading, interpolated."""
        while True:
            try:
                await self.refresh(session)
            except ProviderUnavailable:
                pass  # the poller that fails next says so with its own name
            await asyncio.sleep(CLOCK_REFRESH_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A market clock; `end` (µs) is where recorded data ends, None for a market that goes on."""

    clock: MarketClock
    end: MarketTime | None = None

    @property
    def paced(self) -> bool:
        """Whether market time passes by itself; at the simulator's speed `max` it does not."""
        return self.clock.speed != UNPACED

    def now_us(self) -> MarketTime:
        """Return market time (µs)."""
        return self.clock.now_us()

    def horizon_us(self) -> MarketTime:
        """Return up to when vendors tell: now, or all of the recorded data where time does not pass by itself."""
        now = self.clock.now_us()
        return now if self.paced or self.end is None else max(now, self.end)
