"""The SQL that reads entries, such as corporate actions and vintages: of each the newest version by some moment, or all.

Arguments are $1 the series' symbol, $2 as_of, $3 a provider (null: all of them, but no shadow), $4 and $5 the first and the last
day that are asked about, $6 how many rows at most. Days are integers, as everywhere here; a row begins with its provider.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Mapping

from gateway.database.rows import bits_of, packed_field, read_columns
from schemas.deriving import items
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream
from schemas.tables import tables

ABOUT: Mapping[str, str] = {ACTION_STREAM.name: "ex_date", MACRO_STREAM.name: "period_start"}
"""The day an entry of a stream is about."""


def newest_versions(stream: Stream) -> str:
    """Return what reads the newest version of each entry known by then, by its day, its provider and its name.

    The day is that of the version: one that was moved out of what is asked about is not in it.
    """
    names = ", ".join(items(stream))
    # Where the day is a part of the name, older versions of it are on that day, too.
    inside = f" AND v.{_asked(stream)}" if ABOUT[stream.name] in items(stream) else ""
    return f"""
        SELECT provider, {_shown(stream, "x")} FROM (
            SELECT DISTINCT ON (s.stream_id, {names}) s.provider, v.* {_found(stream)}{inside}
            ORDER BY s.stream_id, {names}, v.position DESC
        ) x WHERE {_asked(stream)} ORDER BY {_order(stream)} LIMIT $6"""


def all_versions(stream: Stream) -> str:
    """Return what reads every version known by then, by its day, its provider, its name, and its place in the log."""
    return f"""
        SELECT provider, {_shown(stream, "x")} FROM (SELECT s.provider, v.* {_found(stream)}) x
        WHERE {_asked(stream)} ORDER BY {_order(stream)}, position LIMIT $6"""


def _found(stream: Stream) -> str:
    route = packed_field(stream, "route")
    shadow = f"(v.flags & {route.mask}) = {bits_of(stream, 'route', 'shadow')}"
    return (
        f"FROM streams s JOIN {tables(stream).versions} v USING (stream_id) WHERE s.symbol = $1 AND s.kind = '{stream.name}'"
        f" AND v.known_from <= $2 AND (s.provider = $3 OR ($3::text IS NULL AND NOT {shadow}))"
    )


def _asked(stream: Stream) -> str:
    first = "DATE '1970-01-01'"
    return f"{ABOUT[stream.name]} BETWEEN {first} + $4::integer AND {first} + $5::integer"


def _order(stream: Stream) -> str:
    return ", ".join(dict.fromkeys((ABOUT[stream.name], "provider", *items(stream))))


def _shown(stream: Stream, row: str) -> str:
    return ", ".join(
        f"{row}.{column.name} - DATE '1970-01-01'" if column.type == "date" else f"{row}.{column.name}"
        for column in read_columns(stream)
    )
