"""The end of a refresh: which series say something new, which do not, and which could not be asked for; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.refreshes.refresh_request import RefreshWanted, keyless
from schemas.clocks import Day, iso_day
from schemas.macro_keys import series_key
from schemas.providers.facts import ProviderFacts
from schemas.records import SymbolOutcome

GOOD = ("done", "duplicate")
UNANSWERED = "no producer answered in time; see whether one runs (GET /health), then ask again"


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
