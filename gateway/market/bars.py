"""Bars as history answers them: one version of one bar, and the row a caller sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.database.versions import BarVersion
from gateway.http.columns import FLAG, NUMBER, TEXT, TIME, WHOLE, Column, rows, words_of
from gateway.http.moments import rfc3339

MIXED = "mixed"
ADJUSTMENTS = ("raw", "split", "all")
SESSIONS: Mapping[str, frozenset[str] | None] = {
    "regular": frozenset({"regular"}),
    "extended": frozenset({"pre", "post"}),  # what lies outside the regular session
    "all": None,
}

BAR_COLUMNS = (
    Column("event_time", TIME, "Start of the bar.", "UTC"),
    Column("open", NUMBER, "First price.", "currency"),
    Column("high", NUMBER, "Highest price.", "currency"),
    Column("low", NUMBER, "Lowest price.", "currency"),
    Column("close", NUMBER, "Last price.", "currency"),
    Column("volume", NUMBER, "Traded.", "shares, coins or contracts"),
    Column("final", FLAG, "No more trades will come into it; it may still be corrected."),
    Column("revision", WHOLE, "Versions that came before this one."),
    Column("provider", TEXT, "Who gave it; mixed where a derived bar has several."),
    Column("known_from", TIME, "When this version was first known here.", "UTC"),
    Column(
        "session", TEXT, "Part of the trading day it lies in: pre, regular, post, closed; as asked for days."
    ),
    Column("vwap", NUMBER, "Price weighted by volume.", "currency", always=False),
    Column("trade_count", WHOLE, "Trades in it.", always=False),
    Column("derived", FLAG, "Made here of 1-minute bars.", always=False),
    Column(
        "providers", rows(TEXT), "Who gave the minutes of a derived bar, where several did.", always=False
    ),
    Column("simulated", FLAG, "Of the simulator, not of a market.", always=False),
    Column(
        "route",
        words_of(("shadow", "backfill")),
        "How it came, where not by polling the primary.",
        always=False,
    ),
    Column("adjustment", TEXT, "raw, split or all; only where the rows differ.", always=False),
)
_NOT_IN_A_TABLE = frozenset({"providers", "route", "adjustment"})
TABLE_COLUMNS = tuple(column.name for column in BAR_COLUMNS if column.name not in _NOT_IN_A_TABLE)


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
