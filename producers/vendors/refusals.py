"""Meaning of a 4xx answer, or of an error inside a 200: by its status and by the phrases of the vendor's facts."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import (
    MarketDataError,
    NoData,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnentitled,
    UnknownSymbol,
)
from schemas.providers.facts import ProviderFacts

MAX_WORDS_CHARACTERS = 160
KEY_STATUSES = (401, 403)
OF_A_KEY = ("api key", "apikey")  # Polygon answers 400 where there is none


def meaning(facts: ProviderFacts, status: int, words: Sequence[str | None], *, about: str) -> MarketDataError:
    """Return what the vendor means by refusing `about`.

    The vendor's words are repeated only where it does not speak of our key, which they might hold.
    """
    provider, known = facts.name, facts.words
    said = " ".join(word for word in words if word)
    lower = said.lower()
    if status == 429 or any(phrase in lower for phrase in (*known.throttled, *known.banned)):
        banned = any(phrase in lower for phrase in known.banned)
        return ProviderBanned(provider, known.ban_s) if banned else ProviderThrottled(provider)
    if status == 402 or any(phrase in lower for phrase in known.unentitled):
        return ProviderUnentitled(
            f"{provider}'s plan does not include {about}; upgrade it or take another provider for it"
        )
    if status in KEY_STATUSES or any(phrase in lower for phrase in (*known.no_key, *OF_A_KEY)):
        return ProviderRefused(
            f"{provider} refused our key with {status}; set {facts.keys or 'its key'} to a valid one"
        )
    if any(phrase in lower for phrase in known.unknown_symbol):
        return UnknownSymbol(f"{provider} does not know {about}; check its spelling in the configuration")
    if status == 404:
        return NoData(f"{provider} has nothing about {about}")
    return ProviderDeclined(
        f"{provider} refused {about} with {status}: {_shown(said)}; check the request and the vendor's notices"
    )


def _shown(words: str) -> str:
    text = "".join(character if character.isprintable() else " " for character in words)
    return text[:MAX_WORDS_CHARACTERS] or "no reason given"
