"""Every documented refusal of a vendor means one of our errors, and none repeats what may hold a key."""

from __future__ import annotations

import pytest

from producers.vendors.refusals import meaning
from schemas.errors import MarketDataError, ProviderThrottled
from schemas.providers.built_in import BUILT_IN
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import ProviderFacts
from tests.support.vendors.sheet import Refuse, sheets

ACME = ProviderFacts(
    name="acme",
    title="ACME",
    capabilities=Capabilities(intervals=("1m",)),
    base_url="https://acme.example",
    credentials=("ACME_KEY",),
)
CASES = [
    pytest.param(sheet.refuse, *case[1:], id=f"{vendor}-{case[0]}")
    for vendor, sheet in sheets().items()
    for case in sheet.refusals
]
CANARY = "canary-0815"


@pytest.mark.parametrize(("refuse", "status", "payload", "expected"), CASES)
def test_a_refusal_means_what_the_vendor_says(
    refuse: Refuse, status: int, payload: bytes, expected: type[MarketDataError]
) -> None:
    """Status and words decide together."""
    assert type(refuse(status, payload, "SPY")) is expected


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_words_about_a_key_are_not_repeated(status: int) -> None:
    """A vendor that echoes the key does not get it into our log."""
    assert CANARY not in str(meaning(ACME, status, (f"key {CANARY} is bad",), about="SPY"))


@pytest.mark.parametrize("facts", BUILT_IN.values(), ids=lambda facts: facts.name)
def test_a_refused_key_names_the_variables_to_set(facts: ProviderFacts) -> None:
    """The message says what to do next."""
    assert f"set {facts.keys or 'its key'} to a valid one" in str(meaning(facts, 401, (), about="SPY"))


def test_other_words_are_shown_printable_and_short() -> None:
    """What is wrong with a request is worth reading; control characters and novels are not."""
    shown = str(meaning(ACME, 400, ("bad\x00start " + "x" * 500,), about="SPY"))

    assert "bad start" in shown
    assert len(shown) < 300


def test_a_ban_is_waited_out() -> None:
    """It says how long, and is a throttling to whoever waits."""
    error = meaning(ACME, 400, ("your address has been blocked",), about="SPY")

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after_s == 900.0
