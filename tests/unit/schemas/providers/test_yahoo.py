"""Yahoo's facts: no key, no promise, and a restraint of our own."""

from __future__ import annotations

from schemas.providers.facts import Limits
from schemas.providers.yahoo import FACTS


def test_the_restraint_is_ours() -> None:
    """It publishes nothing: what holds is our choice, and crumbs are asked for still more slowly."""
    assert all(plan.limits.unlimited for plan in FACTS.plans)
    assert FACTS.limits == FACTS.ours == Limits(per_second=4, per_minute=33, concurrency=4)
    assert FACTS.endpoint_limits == {"crumb": Limits(per_minute=4)}
    assert not FACTS.credentials


def test_half_hours_are_left_out() -> None:
    """It may answer 30m with hours."""
    assert "30m" not in FACTS.capabilities.intervals
