"""Facts of a vendor: which limits hold, which phrases mean what, and which declarations are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.errors import InvalidRecord, UnknownSymbol
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import (
    ANY_VENDOR,
    Limits,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
)
from schemas.providers.spelling import NO_SECURITIES, Spelling

ACME = ProviderFacts(
    name="acme",
    title="ACME",
    capabilities=Capabilities(intervals=("1m",), quotes_per_request=5),
    base_url="https://acme.example",
)


def test_limits_in_force_are_every_plans_then_the_first_plans_then_ours() -> None:
    """A vendor's word goes before our restraint."""
    plans = (
        PricingPlan(name="free", limits=Limits(per_second=1, per_minute=9), source="x", read="2026-01-01"),
    )
    facts = replace(
        ACME, plans=plans, every_plan=Limits(per_second=2), ours=Limits(per_minute=5, concurrency=3)
    )

    assert facts.limits == Limits(per_second=2, per_minute=9, concurrency=3)
    assert facts.quotes_per_s == 10.0
    assert ACME.limits.unlimited
    assert ACME.quotes_per_s is None


def test_phrases_come_on_top_of_anybodys() -> None:
    """And the ban lasts as long as the vendor's own."""
    facts = replace(ACME, refusals=RefusalWords(throttled=("slow down",), ban_s=5.0))

    assert facts.words.throttled == (*ANY_VENDOR.throttled, "slow down")
    assert facts.words.ban_s == 5.0
    assert facts.words.banned == ANY_VENDOR.banned


def test_symbols_are_spelt_as_the_vendor_does() -> None:
    """As we do, unless it says otherwise; what it has no name for is told."""
    assert ACME.symbol_of(ACME.vendor_symbol("BRK.B")) == "BRK.B"
    with pytest.raises(UnknownSymbol, match="'A B' is not a canonical symbol"):
        ACME.vendor_symbol("A B")
    with pytest.raises(InvalidRecord, match="'a b' is no symbol of acme"):
        ACME.symbol_of("a b")
    mute = replace(ACME, spelling=Spelling(lambda _: None, lambda name: name))
    with pytest.raises(UnknownSymbol, match="acme has no name for SPY"):
        mute.vendor_symbol("SPY")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Acme"}, "lower-case"),
        ({"capabilities": Capabilities(intervals=("7m",))}, "'7m' is unknown"),
        ({"capabilities": Capabilities(quotes_per_request=10**6)}, "quotes_per_request"),
        ({"capabilities": Capabilities(intervals=("1m",), bar_symbols_per_request=0)}, "between 1 and 1000"),
        ({"capabilities": Capabilities(intervals=("1m",), bar_symbols_per_request=9)}, "need bars_per_page"),
        ({"capabilities": Capabilities()}, "neither bars nor quotes"),
        ({"capabilities": Capabilities(trades=True)}, "socket_url"),
        ({"socket_url": "wss://acme.example"}, "socket_url"),
        ({"base_url": "ftp://acme.example"}, "base_url"),
        ({"credentials": ("acme key",)}, "no variable's name"),
        ({"endpoint_limits": {"bars": Limits()}}, "none of its endpoints"),
        (
            {"plans": (PricingPlan(name="free", limits=Limits(), source="", read="2026-01-01"),)},
            "lacks its source",
        ),
        (
            {"plans": (PricingPlan(name="free", limits=Limits(), source="x", read="lately"),)},
            "the day it was read",
        ),
        ({"samples": ()}, "no sample symbols"),
        ({"capabilities": Capabilities(macro=True)}, "need series_samples"),
        ({"series_samples": ("FRED:GDPC1",)}, "need series_samples, and only they do"),
        ({"series_samples": ("gdp",), "capabilities": Capabilities(macro=True)}, "'gdp' is no key"),
        ({"key_parameter": "token"}, "it names none"),
        ({"without_key": "a little"}, "it names none"),
        ({"samples": ("A B",)}, "not a canonical symbol"),
        ({"spelling": Spelling(lambda _: "X", lambda _: "Y")}, "spelt back as 'Y'"),
    ],
)
def test_a_wrong_declaration_is_named(changes: dict[str, object], words: str) -> None:
    """Before anything is opened; the right one has no fault."""
    assert ACME.faults() == []
    assert words in "; ".join(replace(ACME, **changes).faults())  # type: ignore[arg-type]


def test_a_provider_of_series_alone_needs_no_symbols() -> None:
    """It carries none, and says so of every one."""
    facts = replace(
        ACME,
        capabilities=Capabilities(macro=True),
        spelling=NO_SECURITIES,
        samples=(),
        series_samples=("FRED:GDPC1",),
    )

    assert facts.faults() == []
    with pytest.raises(UnknownSymbol, match="acme has no name for SPY"):
        facts.vendor_symbol("SPY")
    with pytest.raises(InvalidRecord):
        facts.symbol_of("SPY")
