"""Which limits hold: the vendor's, unless configured, and none on the simulator."""

from __future__ import annotations

from producers.budget.budget import BudgetLimits
from producers.budget.limits import VENDOR_LIMITS, VendorLimits, limits_of
from schemas.configuration.model import ProviderLimits


def test_a_vendors_own_limits_hold_by_default() -> None:
    """Nothing configured: what the vendor publishes, endpoints included."""
    assert limits_of("yahoo", ProviderLimits(), simulated=False) == VENDOR_LIMITS["yahoo"]
    assert limits_of("finnhub", ProviderLimits(), simulated=False).whole.per_minute == 60
    assert limits_of("somebody", ProviderLimits(), simulated=False) == VendorLimits()


def test_each_limit_is_overridden_alone() -> None:
    """A better plan raises one number; the others stay the vendor's."""
    given = ProviderLimits.model_validate({"per_minute": 300, "endpoints": {"quote": {"per_day": 500, "separate": True}}})  # fmt: skip
    limits = limits_of("finnhub", given, simulated=False)

    assert limits.whole == BudgetLimits(per_second=30, per_minute=300, concurrency=8)
    assert limits.endpoints == {"quote": BudgetLimits(per_day=500)}
    assert limits.separate == {"quote"}


def test_the_simulator_is_limited_by_configuration_only() -> None:
    """It may be asked as fast as it answers, unless a limit is to be tried out."""
    assert limits_of("yahoo", ProviderLimits(), simulated=True) == VendorLimits()
    assert limits_of("yahoo", ProviderLimits(per_minute=5), simulated=True).whole == BudgetLimits(
        per_minute=5
    )


def test_every_vendor_has_a_finite_rate_and_bounded_concurrency() -> None:
    """A vendor in the table is never asked without bound."""
    for limits in VENDOR_LIMITS.values():
        assert limits.whole.per_minute
        assert limits.whole.concurrency
