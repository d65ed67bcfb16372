"""Ends of jobs as the metrics count them: each kind is there before the first, and a second worker takes none back."""

from __future__ import annotations

from infra.runtime import metrics
from producers.backfill.shell.leases import show_endings
from schemas.backfill import ENDED
from schemas.universe import TIERS


def ends() -> dict[tuple[str, str], float]:
    """Return how many jobs have ended, by tier and status."""
    (family,) = metrics.BACKFILL_JOBS_COMPLETED.collect()
    return {(each.labels["tier"], each.labels["status"]): each.value for each in family.samples}


def test_every_end_of_every_tier_begins_at_zero() -> None:
    """A series that begins with its first end never rises, and an alert over its increase never fires."""
    metrics.BACKFILL_JOBS_COMPLETED.clear()
    show_endings()

    assert ends() == {(tier, status): 0.0 for tier in TIERS for status in ENDED}


def test_what_was_counted_stays() -> None:
    """The process may begin to work anew, after the database was away."""
    show_endings()
    before = ends()["T0", "dead"]
    metrics.BACKFILL_JOBS_COMPLETED.labels("T0", "dead").inc()
    show_endings()

    assert ends()["T0", "dead"] == before + 1
