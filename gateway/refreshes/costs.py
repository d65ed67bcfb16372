"""The cost of a refresh: requests by provider, how long they take, and whether a provider may be asked as often today; pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.http.problems import Problem
from gateway.refreshes.refresh_request import RefreshWanted
from schemas.macro_keys import series_key
from schemas.providers.facts import ProviderFacts
from schemas.providers.treasury import FIRST_YEAR

# Requests that news of a series takes at the least: of FRED its vintages' days, its description and their values.
LEAST_REQUESTS: Mapping[str, int] = {"fred": 3}
BY_YEARS = "treasury"  # of which one table a year gives all series
USUAL_PER_S = 2.0  # where nobody limits how fast a source is asked


def requests_of(wanted: RefreshWanted, this_year: int) -> dict[str, int]:
    """Return how many requests a refresh takes at the least, by provider."""
    found: dict[str, int] = {}
    for key in wanted.keys:
        provider = series_key(key).provider
        if provider == BY_YEARS:
            found[provider] = this_year - FIRST_YEAR + 1 if wanted.full else 1
        else:
            found[provider] = found.get(provider, 0) + LEAST_REQUESTS.get(provider, 1)
    return found


def eta_s(requests: Mapping[str, int], facts: Mapping[str, ProviderFacts]) -> float:
    """Return in how many seconds so many requests may be done at the pace the sources are asked at, side by side."""
    return round(max((count / _per_s(facts.get(name)) for name, count in requests.items()), default=0.0), 1)


def _per_s(facts: ProviderFacts | None) -> float:
    if facts is None:
        return USUAL_PER_S
    paces = [
        pace
        for pace in (
            facts.limits.per_second,
            None if facts.limits.per_minute is None else facts.limits.per_minute / 60,
        )
        if pace is not None
    ]
    return float(min(paces, default=USUAL_PER_S))


def exhausted(provider: str, used: int, cap: int, reset: str, retry_s: int) -> Problem:
    """Return the Problem of a provider that may not be asked as often any more today."""
    detail = (
        f"{provider} was asked {used} times today, of {cap} that it may be; come again at {reset}, or raise "
        f"providers.{provider}.limits.per_day"
    )
    return Problem(
        code="provider_budget",
        detail=detail,
        retry_after_s=retry_s,
        extra={"cap": cap, "used": used, "reset_time": reset},
    )
