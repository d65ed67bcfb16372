"""Bounds of what is fetched again: what may wait in the queue, and what may be under way at once."""

from __future__ import annotations

from pydantic import Field

from schemas.configuration.streams import Section
from schemas.universe import Tier


class QueuedJobs(Section):
    """Most jobs of each tier that may be under way or wait; what is asked for beyond them is refused, gaps wait outside."""

    T0: int = Field(default=50_000, ge=1, le=1_000_000, description="Of the most wanted symbols.")
    T1: int = Field(default=100_000, ge=1, le=1_000_000, description="Of the tier between.")
    T2: int = Field(default=200_000, ge=1, le=1_000_000, description="Of the long tail.")

    def of(self, tier: Tier) -> int:
        """Return the most jobs of a tier."""
        return {"T0": self.T0, "T1": self.T1, "T2": self.T2}[tier]


class Backfill(Section):
    """The healing of gaps: whether there is any, and how much at once."""

    enabled: bool = Field(
        default=True, description="Whether gaps are queued when they open, and the queue is worked off."
    )
    concurrency: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Jobs, or sets that one request fetches, under way at once at each provider, of one producer.",
    )
    longest_days: int = Field(
        default=370, ge=1, le=36_600, description="Longest stretch somebody may ask for at once, days."
    )
    queued_jobs: QueuedJobs = Field(default=QueuedJobs(), description="Most jobs in the queue, by tier.")
