"""Which limits hold: the vendor's, unless configured, and none on the simulator."""

from __future__ import annotations

from producers.budget.limits import VendorLimits, limits_of
from schemas.configuration.model import ProviderLimits
from schemas.providers.built_in import BUILT_IN
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import Limits, ProviderFacts

FINNHUB, YAHOO = BUILT_IN["finnhub"], BUILT_IN["yahoo"]
SOMEBODY = ProviderFacts(
    name="somebody", title="Somebody", capabilities=Capabilities(), base_url="https://x.example"
)


def test_a_vendors_own_limits_hold_by_default() -> None:
    """Nothing configured: what the vendor publishes, endpoints included."""
    yahoo = limits_of(YAHOO, ProviderLimits(), simulated=False)
    assert (yahoo.whole, yahoo.endpoints) == (YAHOO.limits, YAHOO.endpoint_limits)
    assert limits_of(FINNHUB, ProviderLimits(), simulated=False).whole.per_minute == 60
    assert limits_of(SOMEBODY, ProviderLimits(), simulated=False) == VendorLimits()


def test_each_limit_is_overridden_alone() -> None:
    """A better plan raises one number; the others stay the vendor's."""
    given = ProviderLimits.model_validate({"per_minute": 300, "endpoints": {"quote": {"per_day": 500, "separate": True}}})  # fmt: skip
    limits = limits_of(FINNHUB, given, simulated=False)

    assert limits.whole == Limits(per_second=30, per_minute=300, concurrency=8)
    assert limits.endpoints == {"quote": Limits(per_day=500)}
    assert limits.separate == {"quote"}


def test_the_simulator_is_limited_by_configuration_only() -> None:
    """It may be asked as fast as it answers, unless a limit is to be tried out."""
    simulated = limits_of(YAHOO, ProviderLimits(), simulated=True)
    assert (simulated.whole, simulated.endpoints, simulated.separate) == (Limits(), {}, frozenset())
    assert limits_of(YAHOO, ProviderLimits(per_minute=5), simulated=True).whole == Limits(per_minute=5)


def test_every_vendor_has_a_finite_rate_and_bounded_concurrency() -> None:
    """A vendor we ship is never asked without bound."""
    for facts in BUILT_IN.values():
        assert facts.limits.per_minute or facts.limits.per_second
        assert facts.limits.concurrency
