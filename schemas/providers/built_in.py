"""Vendors we ship, by name, and what a text means in the spelling of any of them."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.errors import UnknownSymbol
from schemas.providers import alpaca, ecb, finnhub, fred, polygon, spelling, treasury, yahoo
from schemas.providers.facts import ProviderFacts
from schemas.providers.spelling import MAX_SHOWN_CHARACTERS, shown
from schemas.symbols.instruments import Instrument, classify

# Everything else finds a vendor by its name: its client below `producers.vendors`, its face below the simulator's.
BUILT_IN: Mapping[str, ProviderFacts] = {
    module.FACTS.name: module.FACTS for module in (yahoo, finnhub, alpaca, polygon, fred, ecb, treasury)
}


def facts_of(provider: str) -> ProviderFacts:
    """Return the facts of a vendor we ship; raise UnknownSymbol for another, whose spelling nothing is known of."""
    facts = BUILT_IN.get(provider)
    if facts is None:
        raise UnknownSymbol(
            f"nothing is known of how {shown(provider)} spells symbols; use one of {' '.join(BUILT_IN)}"
        )
    return facts


def unpriced_by(provider: str) -> frozenset[str]:
    """Return the conditions under which a provider's trades are no last price; none where we do not ship it."""
    facts = BUILT_IN.get(provider)
    return frozenset() if facts is None else facts.unpriced


def is_priced(provider: str, conditions: str) -> bool:
    """Whether a provider's trade under these conditions, comma separated, may be the last price."""
    facts = BUILT_IN.get(provider)
    return facts is None or facts.is_priced(conditions)


def classified(symbol: str) -> Instrument:
    """Return what a canonical symbol names by its spelling; raise UnknownSymbol naming what it may have meant."""
    return spelling.classified(symbol, meant_by)


def meant_by(text: str) -> tuple[str, ...]:
    """Return the canonical symbols that `text` may stand for: itself in capitals, or as some vendor's name."""
    name = text[:MAX_SHOWN_CHARACTERS].strip().upper()
    found = {name} if classify(name) is not None else set[str]()
    for facts in BUILT_IN.values():
        symbol = facts.spelling.symbol(name)
        if symbol is not None and classify(symbol) is not None:
            found.add(symbol)
    return tuple(sorted(found))


def not_known(name: str, known: Mapping[str, ProviderFacts], near: str | None) -> tuple[str, str]:
    """Return the problem and the remedy where a provider of a name is not installed; `near` is what may be meant."""
    hint = f"did you mean {near}? " if near else ""
    return f"no provider is called {shown(name)[1:-1]}", f"{hint}known are {', '.join(sorted(known))}"
