"""The account of a refresh: requests it costs and whether a provider may be asked for them, and what came of it; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.http.problems import Problem
from gateway.refreshes.refresh_request import RefreshWanted, keyless
from schemas.clocks import Day, iso_day
from schemas.macro_keys import series_key
from schemas.providers.facts import ProviderFacts
from schemas.providers.treasury import FIRST_YEAR
from schemas.records import SymbolOutcome

# Requests that news of a series takes at the least: of FRED its vintages' days, its description and their values.
LEAST_REQUESTS: Mapping[str, int] = {"fred": 3}
BY_YEARS = "treasury"  # of which one table a year gives all series
USUAL_PER_S = 2.0  # where nobody limits how fast a source is asked
GOOD = ("done", "duplicate")
UNANSWERED = "no producer answered in time; see whether one runs (GET /health), then ask again"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVintages:
    """Values and revisions of a series that were stored since a moment: how many, and their first and last period."""

    count: int
    first: Day
    last: Day


def outcome_row(
    wanted: RefreshWanted,
    outcomes: Mapping[str, SymbolOutcome],
    stored: Mapping[str, StoredVintages],
    without_vintages: Collection[str],
    facts: Mapping[str, ProviderFacts],
) -> dict[str, Any]:
    """Return what is said of a refresh that ended, each key once.

    `without_vintages` are keys whose newest value came without one from a source that gives them for a key: where all of
    them were asked for that is a failure, else a remark.
    """
    failed = {key: _failure(outcomes.get(key)) for key in wanted.keys if not _is_good(outcomes.get(key))}
    lacking = [
        key
        for key in wanted.keys
        if key in without_vintages and key not in failed and _facts(key, facts) is not None
    ]
    if wanted.full:
        failed |= {key: ("provider_disabled", _why(key, facts)) for key in lacking}
    good = [key for key in wanted.keys if key not in failed]
    return {
        "changed": [
            {
                "key": key,
                "vintages": stored[key].count,
                "first": iso_day(stored[key].first),
                "last": iso_day(stored[key].last),
            }
            for key in good
            if key in stored
        ],
        "unchanged": [key for key in good if key not in stored],
        "failed": [{"key": key, "code": code, "detail": detail} for key, (code, detail) in failed.items()],
        "without_vintages": lacking,
    }


def _is_good(outcome: SymbolOutcome | None) -> bool:
    return outcome is not None and outcome.status in GOOD


def _failure(outcome: SymbolOutcome | None) -> tuple[str, str]:
    if outcome is None:
        return "expired", UNANSWERED
    return outcome.status, outcome.reason


def _facts(key: str, facts: Mapping[str, ProviderFacts]) -> ProviderFacts | None:
    """Return the facts of a series' source if it gives less without a key."""
    found = facts.get(series_key(key).provider)
    return found if found is not None and found.without_key else None


def _why(key: str, facts: Mapping[str, ProviderFacts]) -> str:
    found = _facts(key, facts)
    return "" if found is None else keyless(found)
