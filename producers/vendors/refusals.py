"""Meanings of 4xx answers and of errors inside a 200: one table of statuses and words for all vendors."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import (
    MarketDataError,
    NoData,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnentitled,
    UnknownSymbol,
)

BAN_S = 900.0  # Yahoo's blocks last from minutes to more than a quarter of an hour
MAX_WORDS_CHARACTERS = 160
THROTTLED = ("too many requests", "limit reached", "exceeded the maximum requests")
BANNED = ("edge: ", "has been banned", "has been blocked")
UNENTITLED = (
    "not entitled",
    "not_authorized",
    "upgrade your plan",
    "plan doesn't include",
    "subscription does not permit",
    "don't have access to this resource",
)
UNKNOWN_SYMBOL = ("invalid symbol", "symbol not found", "asset not found", "unknown symbol")
KEY_STATUSES = (401, 403)


def meaning(
    provider: str, status: int, words: Sequence[str | None], *, about: str, key: str
) -> MarketDataError:
    """Return what the vendor means by refusing `about`; `key` names the variables its key is set by.

    The vendor's words are repeated only where it does not speak of our key, which they might hold.
    """
    said = " ".join(word for word in words if word)
    lower = said.lower()
    if status == 429 or any(phrase in lower for phrase in (*THROTTLED, *BANNED)):
        banned = any(phrase in lower for phrase in BANNED)
        return ProviderBanned(provider, BAN_S) if banned else ProviderThrottled(provider)
    if status == 402 or any(phrase in lower for phrase in UNENTITLED):
        return ProviderUnentitled(
            f"{provider}'s plan does not include {about}; upgrade it or take another provider for it"
        )
    if status in KEY_STATUSES:
        return ProviderRefused(f"{provider} refused our key with {status}; set {key} to a valid one")
    if any(phrase in lower for phrase in UNKNOWN_SYMBOL):
        return UnknownSymbol(f"{provider} does not know {about}; check its spelling in the configuration")
    if status == 404:
        return NoData(f"{provider} has nothing about {about}")
    return ProviderRefused(
        f"{provider} refused {about} with {status}: {_shown(said)}; check the request and the vendor's notices"
    )


def _shown(words: str) -> str:
    text = "".join(character if character.isprintable() else " " for character in words)
    return text[:MAX_WORDS_CHARACTERS] or "no reason given"
