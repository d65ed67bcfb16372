"""Bars as history answers them: one version of one bar, and the row a caller sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.database.versions import BarVersion
from gateway.http.moments import rfc3339

MIXED = "mixed"
SESSIONS: Mapping[str, frozenset[str] | None] = {
    "regular": frozenset({"regular"}),
    "extended": frozenset({"pre", "post"}),  # what lies outside the regular session
    "all": None,
}


def row(bar: BarVersion, *, with_adjustment: bool = False) -> dict[str, Any]:
    """Return the JSON row of a bar; optional fields appear only where they say something."""
    fields: dict[str, Any] = {
        "event_time": rfc3339(bar.event_time),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "final": bar.final,
        "revision": bar.revision,
        "provider": bar.provider,
        "known_from": rfc3339(bar.known_from),
        "session": bar.session,
    }
    if bar.vwap is not None:
        fields["vwap"] = bar.vwap
    if bar.trade_count is not None:
        fields["trade_count"] = bar.trade_count
    if bar.derived:
        fields["derived"] = True
    if bar.providers:
        fields["providers"] = list(bar.providers)
    if bar.simulated:
        fields["simulated"] = True
    if bar.route != "primary":
        fields["route"] = bar.route
    if with_adjustment:
        fields["adjustment"] = bar.adjustment_state
    return fields


def one_or_mixed(values: Iterable[str]) -> str | None:
    """Return the value all share, "mixed" where they differ, None where there is none."""
    found = set(values)
    if len(found) > 1:
        return MIXED
    return next(iter(found), None)


def adjustments(bars: Sequence[BarVersion]) -> dict[str, list[str]]:
    """Return which adjustment states the bars have, each with its providers."""
    found: dict[str, set[str]] = {}
    for bar in bars:
        found.setdefault(bar.adjustment_state, set()).add(bar.provider)
    return {state: sorted(providers) for state, providers in sorted(found.items())}
