"""Bars as history answers them: one version of one bar, and the row a caller sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.moments import rfc3339

MIXED = "mixed"
SESSIONS: Mapping[str, frozenset[str] | None] = {
    "regular": frozenset({"regular"}),
    "extended": frozenset({"pre", "post"}),  # what lies outside the regular session
    "all": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Through whose eyes bars are read: what was known by `as_of` (µs), of one provider or the best of all."""

    as_of: int
    provider: str | None
    sessions: frozenset[str] | None = None  # None: every part of the day


@dataclass(frozen=True, slots=True, kw_only=True)
class BarVersion:
    """A stored version of a bar, or a bar derived from several; times in µs, event_time is the START."""

    event_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None = None
    trade_count: int | None = None
    final: bool
    session: str
    adjustment_state: str
    currency: str = ""
    simulated: bool = False
    provider: str
    route: str = "primary"
    known_from: int
    raw_offset: int
    index: int
    revision: int  # ordinal among the versions of the key; of a derived bar the corrections among its parts
    derived: bool = False
    providers: tuple[str, ...] = ()  # of a derived bar whose parts come from several


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
