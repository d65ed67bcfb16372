"""Cadences of the tiers, and how often bars are polled and how far they overlap."""

from __future__ import annotations

from pydantic import Field

from schemas.configuration.streams import Section
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US, slot_us
from schemas.universe import Tier

PARTS_OF_A_BAR = 5  # a bar is polled at most so often while it forms: more shows little that is new
OVERLAP_BARS = 2  # the newest final bar and the one in progress, whatever the interval
T0_BARS_EVERY_S, T0_QUOTES_EVERY_S, T0_OPTIONS_EVERY_S = 30.0, 1.0, 60.0
T2_BARS_EVERY_S, T2_QUOTES_EVERY_S, T2_OPTIONS_EVERY_S = 300.0, 60.0, 900.0


class TierCadence(Section):
    """Cadence of the streams of one tier; what is left out is the tier's default."""

    bars_every_s: float | None = Field(
        default=None, ge=1.0, le=3600.0, description="Market time between two polls of bars."
    )
    quotes_every_s: float | None = Field(
        default=None, ge=0.5, le=3600.0, description="Market time between two polls of quotes."
    )
    options_every_s: float | None = Field(
        default=None, ge=10.0, le=3600.0, description="Market time between two polls of option chains."
    )


class Tiers(Section):
    """Cadences of the tiers T0 (most often) and T2 (least often); T1 is the streams' own `every_s`."""

    T0: TierCadence = Field(
        default=TierCadence(),
        description=f"The most wanted symbols: by default bars every {T0_BARS_EVERY_S:g} s, quotes every {T0_QUOTES_EVERY_S:g} s and "
        f"option chains every {T0_OPTIONS_EVERY_S:g} s, or as T1 where that is more often.",
    )
    T2: TierCadence = Field(
        default=TierCadence(),
        description=f"The long tail: by default bars every {T2_BARS_EVERY_S:g} s, quotes every {T2_QUOTES_EVERY_S:g} s and "
        f"option chains every {T2_OPTIONS_EVERY_S:g} s, or as T1 where that is less often.",
    )

    def bars_every_s(self, tier: Tier, own_s: float) -> float:
        """Return the market time between two polls of bars in a tier; `own_s` is the stream's own."""
        if tier == "T0":
            return self.T0.bars_every_s or min(T0_BARS_EVERY_S, own_s)
        return own_s if tier == "T1" else self.T2.bars_every_s or max(T2_BARS_EVERY_S, own_s)

    def quotes_every_s(self, tier: Tier, own_s: float) -> float:
        """Return the market time between two polls of quotes in a tier; `own_s` is the stream's own."""
        if tier == "T0":
            return self.T0.quotes_every_s or min(T0_QUOTES_EVERY_S, own_s)
        return own_s if tier == "T1" else self.T2.quotes_every_s or max(T2_QUOTES_EVERY_S, own_s)

    def options_every_s(self, tier: Tier, own_s: float) -> float:
        """Return the market time between two polls of option chains in a tier; `own_s` is the stream's own."""
        if tier == "T0":
            return self.T0.options_every_s or min(T0_OPTIONS_EVERY_S, own_s)
        return own_s if tier == "T1" else self.T2.options_every_s or max(T2_OPTIONS_EVERY_S, own_s)


def cadence_us(interval: str, every_s: float) -> int:
    """Return the market time (µs) between two polls of bars: `every_s`, or a fifth of a longer bar, at most hourly.

    Minutes are polled as told: whoever wants to see them form asks more often than they end.
    """
    every_us, step_us = int(every_s * SECOND_US), slot_us(interval)
    return every_us if step_us == MINUTE_US else min(max(every_us, step_us // PARTS_OF_A_BAR), HOUR_US)


def overlap_us(interval: str, overlap_s: float) -> int:
    """Return how far (µs) before the newest known bar a poll begins: `overlap_s`, or two bars where that is more."""
    return max(int(overlap_s * SECOND_US), OVERLAP_BARS * slot_us(interval))
