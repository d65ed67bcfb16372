"""Vendors we ship: each declared under its own name, without a fault, with everything its documents need."""

from __future__ import annotations

import pytest

from schemas.errors import UnknownSymbol
from schemas.providers.built_in import (
    BUILT_IN,
    classified,
    facts_of,
    is_priced,
    meant_by,
    not_known,
    unpriced_by,
)
from schemas.providers.facts import ProviderFacts

FACTS = pytest.mark.parametrize("facts", BUILT_IN.values(), ids=lambda facts: facts.name)


@FACTS
def test_a_vendor_is_declared_whole(facts: ProviderFacts) -> None:
    """Name, endpoints, sources of its limits and terms; variables that begin as ours do."""
    assert BUILT_IN[facts.name] is facts
    assert facts.faults() == []
    assert facts.endpoints
    assert facts.plans
    assert facts.notes.terms
    assert facts.notes.delay
    assert facts.notes.coverage
    assert facts.notes.settling
    assert bool(facts.notes.conditions) == bool(facts.unpriced)
    assert all(variable.startswith(f"PRODUCERS_{facts.name.upper()}_") for variable in facts.credentials)


@FACTS
def test_phrases_are_lower_case_and_mean_one_thing(facts: ProviderFacts) -> None:
    """Answers are compared in lower case; a phrase under two meanings would be read as the first."""
    words = facts.words
    kinds = (words.throttled, words.banned, words.unentitled, words.unknown_symbol, words.no_key)
    phrases = [phrase for kind in kinds for phrase in kind]

    assert phrases == [phrase.lower() for phrase in phrases]
    assert len(phrases) == len(set(phrases))


def test_another_vendors_facts_are_not_made_up() -> None:
    """The error says which there are."""
    with pytest.raises(UnknownSymbol, match=r"'acme'.*yahoo finnhub alpaca polygon"):
        facts_of("acme")


def test_a_text_means_what_any_vendor_calls_so() -> None:
    """A symbol asked for in a vendor's spelling is suggested in ours."""
    assert meant_by("brk-b") == ("BRK.B",)
    assert classified("SPY").symbol == "SPY"
    with pytest.raises(UnknownSymbol, match=r"did you mean \^GSPC\?"):
        classified("I:SPX")


@pytest.mark.parametrize(
    ("provider", "conditions", "priced"),
    [
        ("finnhub", "", True), ("finnhub", "1,12", True), ("finnhub", "1,8,24,12", True), ("finnhub", "52,41", False),
        ("finnhub", "152", True), ("polygon", "12,37", True), ("polygon", "14,41,53", False), ("polygon", "2", False),
        ("polygon", "22,41", False), ("alpaca", "@,T,I", True), ("alpaca", "@,4", False), ("alpaca", "@,B", True),
        ("alpaca", "Z", False), ("yahoo", "52", True), ("acme", "52", True),
    ],
)  # fmt: skip
def test_a_trade_at_another_price_than_its_moments_is_told_by_its_conditions(
    provider: str, conditions: str, *, priced: bool
) -> None:
    """By each vendor's own codes; one code of several is enough, and hours and odd lots are no reason."""
    assert is_priced(provider, conditions) is priced
    assert unpriced_by(provider).isdisjoint(conditions.split(",")) is priced


def test_an_unknown_provider_is_told_with_those_who_are_known() -> None:
    """In the order of their names."""
    known = {"b": BUILT_IN["yahoo"], "a": BUILT_IN["alpaca"]}

    assert not_known("c", known, "b") == ("no provider is called c", "did you mean b? known are a, b")
    assert not_known("c", known, None)[1] == "known are a, b"
