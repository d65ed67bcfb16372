"""Bars as history answers them: one version of one bar, and the row a caller sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, get_args

from gateway.database.versions import MINUTE, BarVersion
from gateway.http.columns import DATE, FLAG, NUMBER, TEXT, TIME, WHOLE, Column, rows, words_of
from gateway.http.moments import rfc3339
from gateway.http.parameters import Schema
from schemas.calendar.expected_bars import DAILY
from schemas.clocks import iso_day
from schemas.deriving import Field, own_fields, shown_where_set, written_out
from schemas.fields import AMOUNT, PRICE, VALUE
from schemas.streams import BAR_STREAM, AdjustmentState

MIXED = "mixed"
ADJUSTMENTS = get_args(AdjustmentState)
SESSIONS: Mapping[str, frozenset[str] | None] = {
    "regular": frozenset({"regular"}),
    "extended": frozenset({"pre", "post"}),  # what lies outside the regular session
    "all": None,
}

_SCHEMAS: Mapping[str, Schema] = {
    "double": NUMBER, "long": WHOLE, "int": WHOLE, "boolean": FLAG, "string": TEXT, "enum": TEXT,
    "date": DATE,
}  # fmt: skip
_DECLARED = own_fields(BAR_STREAM)
_SAID = tuple(field for field in _DECLARED if field.roles & {AMOUNT, VALUE})
_GIVEN = tuple(field.name for field in _SAID if field.required)
_OPTIONAL = tuple(field.name for field in _SAID if field.nullable)
_SAID_ONCE = ("adjustment_state", "currency")  # by the answer's `meta`
_DEFAULTED = tuple(
    field.name
    for field in _SAID
    if not field.required and not field.nullable and field.name not in _SAID_ONCE
)
_THROUGH = "adjusted_through"
_FLAGS = tuple(name for name in shown_where_set(BAR_STREAM) if name != _THROUGH)
_WHERE_SAID = (*_OPTIONAL, *_FLAGS)
_ALWAYS = ("revision", "provider", "known_from", *_DEFAULTED)


def _members(names: Iterable[str]) -> str:
    moments = {"event_time", "known_from"}
    return ", ".join(
        f'"{name}": ' + (f"rfc3339(bar.{name})" if name in moments else f"bar.{name}") for name in names
    )


_always: Callable[[BarVersion], dict[str, Any]] = written_out(
    "bar", "{" + _members(("event_time", *_GIVEN, *_ALWAYS)) + "}", {"rfc3339": rfc3339}
)
_where_said: Callable[[BarVersion], tuple[Any, ...]] = attrgetter(*_WHERE_SAID)


def _column(field: Field) -> Column:
    # A day is written as a date here.
    text = field.doc.partition(",")[0] if field.kind == "date" else field.doc
    unit = "currency" if PRICE in field.roles else ""
    always = field.name not in (*_WHERE_SAID, _THROUGH)
    return Column(field.name, _SCHEMAS[field.kind], f"{text[:1].upper()}{text[1:]}.", unit, always=always)


_OWN = {field.name: _column(field) for field in _DECLARED}
_BESIDE = {  # what is no field of a stored bar, or says more in an answer
    column.name: column
    for column in (
        Column("event_time", TIME, "Start of the bar.", "UTC"),
        Column("revision", WHOLE, "Versions that came before this one."),
        Column("provider", TEXT, "Seller of it; mixed where a derived bar has several."),
        Column("known_from", TIME, "Moment this version was first known here.", "UTC"),
        Column("derived", FLAG, "Made here of shorter bars.", always=False),
        Column(
            "base",
            words_of((MINUTE, DAILY)),
            "Interval of the bars a derived bar is made of: of days, each the vendor's own or made of minutes, for weeks and months.",
            always=False,
        ),
        Column("parts", WHOLE, "Bars a derived bar is made of.", "bars", always=False),
        Column(
            "expected",
            WHOLE,
            "Bars the calendar expects a derived bar to be made of; absent where it does not know.",
            "bars",
            always=False,
        ),
        Column(
            "rebased",
            FLAG,
            "With revisions=all: no correction. Its provider tells the version before it again in the shares of another day: all four prices "
            "by one ratio, the volume by its inverse.",
            always=False,
        ),
        Column(
            "complete",
            FLAG,
            "Whether a derived bar has every part there is, each of them complete: of those that lack the ledger says that there is "
            "none. Absent where none is expected.",
            always=False,
        ),
    )
}
_ROW = (
    "event_time",
    *_GIVEN,
    *_ALWAYS,
    *_OPTIONAL,
    "derived",
    *_FLAGS,
    "parts",
    "expected",
    "complete",
    "base",
)
BAR_COLUMNS = (
    *(_BESIDE.get(name) or _OWN[name] for name in _ROW),
    Column("providers", rows(TEXT), "Sellers of what a derived bar is made of, where several.", always=False),
    Column(
        "route",
        words_of(("shadow", "backfill")),
        "Reason it was fetched, where it was not by polling the primary.",
        always=False,
    ),
    Column("adjustment", TEXT, "One of raw, split, all, mixed; only where the rows differ.", always=False),
    Column(
        "currency",
        TEXT,
        "Of its prices; only where the rows differ, and mixed where its parts do: it is no price then.",
        always=False,
    ),
    Column(
        "basis",
        words_of(("mixed", "uncertain")),
        "With adjustment, where its shares are in doubt: mixed holds trades of both sides of a split and is adjusted as one of its day; "
        "uncertain is as it is stored, since nobody can tell whether its provider had rebased it, and there only where that is named.",
        always=False,
    ),
    _OWN[_THROUGH],
    _BESIDE["rebased"],
)

"""Every column of a bar, in the order of all formats; in a table none is left out."""
TABLE_COLUMNS = tuple(column.name for column in BAR_COLUMNS)


def table_row(bar: BarVersion) -> dict[str, Any]:
    """Return the row of a bar in a table: what the answer's `meta` says for all rows elsewhere each row says here."""
    fields = row(bar, with_adjustment=True, with_currency=True)
    return fields | {"route": bar.route, "providers": " ".join(bar.providers or (bar.provider,))}


def row(bar: BarVersion, *, with_adjustment: bool = False, with_currency: bool = False) -> dict[str, Any]:
    """Return the JSON row of a bar; optional fields appear only where they say something."""
    fields = _always(bar)
    for name, value in zip(_WHERE_SAID, _where_said(bar), strict=True):
        if value is not None and value is not False:
            fields[name] = value
    if bar.derived:
        fields |= _made_of(bar)
    if bar.route != "primary":
        fields["route"] = bar.route
    if bar.adjusted_through is not None:
        fields[_THROUGH] = iso_day(bar.adjusted_through)
    if bar.rebased:
        fields["rebased"] = True
    if with_adjustment:
        fields["adjustment"] = bar.adjustment_state
    if with_currency:
        fields["currency"] = bar.currency
    if bar.basis is not None and (bar.basis.uncertain or bar.basis.mixed):
        fields["basis"] = "uncertain" if bar.basis.uncertain else MIXED
    return fields


def _made_of(bar: BarVersion) -> dict[str, Any]:
    """Return what a derived bar says of its parts."""
    said: dict[str, Any] = {"derived": True, "base": bar.base, "parts": bar.parts}
    if bar.expected is not None:
        said["expected"] = bar.expected
    if bar.complete is not None:
        said["complete"] = bar.complete
    if bar.providers:
        said["providers"] = list(bar.providers)
    return said


def one_or_mixed(values: Iterable[str]) -> str | None:
    """Return the value all share, "mixed" where they differ, None where there is none."""
    found = set(values)
    if len(found) > 1:
        return MIXED
    return next(iter(found), None)
