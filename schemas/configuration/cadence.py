"""Rules between cadences: tiers in their order, and no more quotes asked for than a provider answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, TypeGuard

from schemas.configuration.tiers import (
    T0_BARS_EVERY_S,
    T0_OPTIONS_EVERY_S,
    T0_QUOTES_EVERY_S,
    T2_BARS_EVERY_S,
    T2_OPTIONS_EVERY_S,
    T2_QUOTES_EVERY_S,
)
from schemas.located_yaml import Fault, Located, Path
from schemas.providers.facts import ProviderFacts
from schemas.universe import TIERS

DEFAULT_EVERY_S: Mapping[str, float] = {
    "bars": 60.0,
    "quotes": 5.0,
    "options": 300.0,
}  # of T1, as the model says
DEFAULTS_S: Mapping[tuple[str, str], float] = {
    ("T0", "bars"): T0_BARS_EVERY_S,
    ("T0", "quotes"): T0_QUOTES_EVERY_S,
    ("T2", "bars"): T2_BARS_EVERY_S,
    ("T2", "quotes"): T2_QUOTES_EVERY_S,
    ("T0", "options"): T0_OPTIONS_EVERY_S,
    ("T2", "options"): T2_OPTIONS_EVERY_S,
}


def tier_faults(
    located: Located, document: Mapping[str, Any], known: Mapping[str, ProviderFacts]
) -> Iterator[Fault]:
    """Yield tiers that are out of order, and paces of quotes that a provider cannot keep.

    Works on the plain value of the file: what is no number, the model says.
    """
    for stream in DEFAULT_EVERY_S:
        yield from _out_of_order(located, document, stream)
    quotes = _within(document, "streams", "quotes")
    given = [quotes.get("provider"), *_listed(quotes.get("providers"))]
    for provider in dict.fromkeys(name for name in given if isinstance(name, str)):
        if provider in known:
            yield from _pace(located, document, known[provider])


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of the file is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _out_of_order(located: Located, document: Mapping[str, Any], stream: str) -> Iterator[Fault]:
    own_s = _every_s(document, "T1", stream)
    if own_s is None:
        return
    for tier, bound, words in (("T0", "at most", "longer than"), ("T2", "at least", "shorter than")):
        every_s = _within(document, "tiers", tier).get(f"{stream}_every_s")
        if not is_number(every_s) or every_s <= 0:
            continue
        if every_s > own_s if tier == "T0" else every_s < own_s:
            order = "T0 is polled most often, T2 least"
            message = f"is {words} streams.{stream}.every_s ({own_s:g} s), which is T1's: {order}"
            yield located.fault(_place(tier, stream), message, f"set it to {bound} {own_s:g}")


def _every_s(document: Mapping[str, Any], tier: str, stream: str) -> float | None:
    """Return the cadence in force of a tier; None where what is given is no cadence."""
    own_s = _within(document, "streams", stream).get("every_s", DEFAULT_EVERY_S[stream])
    if not is_number(own_s) or own_s <= 0:
        return None
    if tier == "T1":
        return own_s
    every_s = _within(document, "tiers", tier).get(f"{stream}_every_s")
    if every_s is None:
        default_s = DEFAULTS_S[tier, stream]
        return min(default_s, own_s) if tier == "T0" else max(default_s, own_s)
    return every_s if is_number(every_s) and every_s > 0 else None


def _pace(located: Located, document: Mapping[str, Any], facts: ProviderFacts) -> Iterator[Fault]:
    """Yield a fault at the tier that asks most, where all tiers together ask more than the provider answers."""
    most = facts.quotes_per_s
    asked = Counter(tier for entry in _listed(document.get("symbols")) if (tier := _tier_of_quotes(entry)))
    cadences: dict[str, float | None] = {
        tier: _every_s(document, tier, "quotes") for tier in TIERS if asked[tier]
    }
    if most is None or not _is_chosen(document, cadences):
        return
    paces = {tier: asked[tier] / every_s for tier, every_s in cadences.items() if every_s is not None}
    if len(paces) < len(cadences) or sum(paces.values()) <= most:
        return
    worst = max(paces, key=lambda tier: paces[tier])
    left = most - (sum(paces.values()) - paces[worst])
    told = f"{facts.name} answers {_many(facts.capabilities.quotes_per_request)}, at most {most:g} a second; "
    told += " and ".join(
        f"{asked[tier]} symbols" + (f" of {tier}" if len(paces) > 1 else "") for tier in paces
    )
    remedy = "move symbols to a slower tier, or poll the other tiers less often"
    if left > 0:
        remedy = f"set it to {ceil(asked[worst] / left * 10) / 10:g} or more"
    yield located.fault(_place(worst, "quotes"), f"is too short: {told}", remedy)


def _many(quotes: int) -> str:
    return "one quote a request" if quotes == 1 else f"{quotes} quotes a request"


def _is_chosen(document: Mapping[str, Any], cadences: Mapping[str, float | None]) -> bool:
    """Whether somebody chose a pace: the default one is slowed down by the provider's limits alone."""
    return "every_s" in _within(document, "streams", "quotes") or set(cadences) - {"T1"} != set()


def _place(tier: str, stream: str) -> Path:
    return ("streams", stream, "every_s") if tier == "T1" else ("tiers", tier, f"{stream}_every_s")


def _tier_of_quotes(entry: Any) -> str:
    """Return the tier in which an entry's quotes are polled; empty where they are not."""
    if not isinstance(entry, dict):
        return "T1"
    streams = entry.get("streams")
    if isinstance(streams, list) and "quotes" not in streams:
        return ""
    return str(entry.get("tier", "T1")) if entry.get("tier", "T1") in TIERS else ""


def _within(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the mapping at a path, an empty one where there is none."""
    here: Any = document
    for part in path:
        here = here.get(part) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
