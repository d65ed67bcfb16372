"""What the metrics call a failure: the vendor's by its code, what we did not send by our brake."""

from __future__ import annotations

import pytest

from infra.runtime.metrics import REGISTRY
from producers.http.shell.body import MalformedResponse
from producers.http.shell.breaker import CircuitOpen
from producers.http.shell.failures import Unanswered, code_of, held_back, show_bans
from schemas.clocks import WallTime
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
)

BUDGET = BudgetExhausted("braked", 1.0, limit="1 requests a day", setting="providers.braked.limits.per_day")


def errors_of(provider: str) -> dict[tuple[str, str], float]:
    """Return the errors counted of a provider by endpoint and code."""
    return {
        (sample.labels["endpoint"], sample.labels["code"]): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "provider_errors_total" and sample.labels["provider"] == provider
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderBanned("x"), "banned"),
        (ProviderThrottled("x"), "429"),
        (MalformedResponse("m", endpoint="q", received_time=WallTime(1), payload=b""), "malformed"),
        (Unanswered("x", "q", "w", "timeout"), "timeout"),
        (ProviderRefused("x"), "other"),
    ],
)
def test_a_failure_has_one_of_few_codes(error: MarketDataError, code: str) -> None:
    """Whatever a vendor says, the label is ours."""
    assert code_of(error) == code


def test_bans_begin_at_nothing_for_every_endpoint() -> None:
    """A series born at 1 has not risen for any alert."""
    show_bans("unasked", ["quote", "bars"])
    show_bans("unasked", ["quote"])

    assert errors_of("unasked") == {("quote", "banned"): 0.0, ("bars", "banned"): 0.0}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CircuitOpen("braked", 1.0), "circuit"),
        (BUDGET, "budget"),
        (ProviderThrottled("braked", 1.0), "pause"),
    ],
)
def test_a_brake_of_ours_is_no_error_of_theirs(error: MarketDataError, reason: str) -> None:
    """It goes on to the caller, counted once under what held it back."""
    labels = {"provider": "braked", "endpoint": "quote", "reason": reason}

    def counted() -> float:
        return REGISTRY.get_sample_value("mds_provider_held_back_total", labels) or 0.0

    before = counted()
    with pytest.raises(type(error)), held_back("braked", "quote"):
        raise error

    assert (counted(), errors_of("braked")) == (before + 1, {})
