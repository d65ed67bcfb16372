"""Bars as history answers them: one version of one bar, and the row a caller sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from gateway.database.versions import BarVersion
from gateway.http.moments import rfc3339
from schemas.deriving import own_fields, shown_where_set
from schemas.fields import AMOUNT, VALUE
from schemas.streams import BAR_STREAM

MIXED = "mixed"
SESSIONS: Mapping[str, frozenset[str] | None] = {
    "regular": frozenset({"regular"}),
    "extended": frozenset({"pre", "post"}),  # what lies outside the regular session
    "all": None,
}


_SAID = tuple(field for field in own_fields(BAR_STREAM) if field.roles & {AMOUNT, VALUE})
_GIVEN = tuple(field.name for field in _SAID if field.required)
_OPTIONAL = tuple(field.name for field in _SAID if field.nullable)
_SAID_ONCE = ("adjustment_state", "currency")  # by the answer's `meta`
_DEFAULTED = tuple(
    field.name
    for field in _SAID
    if not field.required and not field.nullable and field.name not in _SAID_ONCE
)
_FLAGS = shown_where_set(BAR_STREAM)
_given, _defaulted = attrgetter(*_GIVEN), [(name, attrgetter(name)) for name in _DEFAULTED]
_optional = [(name, attrgetter(name)) for name in _OPTIONAL]
_flags = [(name, attrgetter(name)) for name in _FLAGS]
CSV_COLUMNS = (
    "event_time", *_GIVEN, "revision", "provider", "known_from", *_DEFAULTED, *_OPTIONAL, "derived", *_FLAGS,
)  # fmt: skip


def row(bar: BarVersion, *, with_adjustment: bool = False) -> dict[str, Any]:
    """Return the JSON row of a bar; optional fields appear only where they say something."""
    fields: dict[str, Any] = {"event_time": rfc3339(bar.event_time)}
    fields.update(zip(_GIVEN, _given(bar), strict=True))
    fields["revision"], fields["provider"] = bar.revision, bar.provider
    fields["known_from"] = rfc3339(bar.known_from)
    for name, get in _defaulted:
        fields[name] = get(bar)
    for name, get in _optional:
        if (value := get(bar)) is not None:
            fields[name] = value
    if bar.derived:
        fields["derived"] = True
    if bar.providers:
        fields["providers"] = list(bar.providers)
    for name, get in _flags:
        if value := get(bar):
            fields[name] = value
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
