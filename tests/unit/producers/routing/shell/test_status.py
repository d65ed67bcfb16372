"""What is said of each provider: failing is what the provider did, never what our own limits did."""

from __future__ import annotations

import pytest

from producers.routing.shell.status import ProviderStatus
from schemas.errors import BudgetExhausted, ProviderUnavailable

USED_UP = BudgetExhausted(
    "acme", 2.0, limit="60 requests a minute", setting="providers.acme.limits.per_minute"
)
OUTAGE = ProviderUnavailable("acme answered 503")


def test_an_answer_ends_a_failure() -> None:
    """Failing since the last failure, until the next answer; the reason stays for who asks later."""
    status = ProviderStatus({"acme": lambda: "closed"})
    status.failed("acme", OUTAGE)
    assert status.document("acme")["failing"]
    assert status.document("acme")["seconds_since_answer"] is None

    status.succeeded("acme")

    assert not status.document("acme")["failing"]
    assert status.document("acme")["last_error"] == str(OUTAGE)
    assert status.document("acme")["seconds_since_answer"] is not None


@pytest.mark.parametrize("failing", [False, True])
def test_our_own_budget_says_nothing_of_the_provider(*, failing: bool) -> None:
    """A request that was not sent neither makes a provider failing nor well; the setting to raise is told."""
    status = ProviderStatus({"acme": lambda: "closed"})
    status.succeeded("acme")
    if failing:
        status.failed("acme", OUTAGE)

    status.failed("acme", USED_UP)

    assert status.document("acme")["failing"] is failing
    assert "raise providers.acme.limits.per_minute" in status.document("acme")["last_error"]


def test_a_provider_is_ready_once_it_has_answered_and_its_breaker_lets_it() -> None:
    """Readiness needs both; a provider known later keeps the others as they are."""
    state = "closed"
    status = ProviderStatus({"acme": lambda: state})
    assert not status.ready("acme")

    status.succeeded("acme")
    status.know({"other": lambda: "closed"})
    assert status.ready("acme")
    assert not status.ready("other")

    state = "open"
    assert not status.ready("acme")
