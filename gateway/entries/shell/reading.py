"""Entries of one series out of a snapshot, as records: of each the newest version by some moment, or all.

Arguments of the statements are $1 the series' symbol, $2 as_of, $3 a provider (null: all of them, but no shadow), $4 and $5 the
first and the last day that are asked about, $6 how many rows at most. Days are integers; a row begins with its provider.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from gateway.database.knowledge import check_not_future, no_watermark
from gateway.database.rows import bits_of, packed_field, read_columns, row_reader
from gateway.database.shell.snapshot import YIELD_EVERY_ROWS, Snapshot
from gateway.database.shell.watermarks import Watermarks
from infra.runtime.clock import wall_us
from schemas.clocks import Day, KnowledgeTime
from schemas.deriving import items
from schemas.entries import CorporateAction, MacroObservation
from schemas.streams import ACTION_STREAM, BY_RECORD, MACRO_STREAM, Stream
from schemas.tables import tables

MAX_ENTRIES = 100_000  # of one series: every vintage of a century of months, twice
Revisions = Literal["latest", "all"]
E = TypeVar("E", CorporateAction, MacroObservation)

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


def last_day(stream: Stream) -> str:
    """Return what reads the last day anything was told of by then, from the end of what is asked; null where nothing was."""
    about = f"v.{ABOUT[stream.name]}"
    return f"""
        SELECT max(day) FROM streams s CROSS JOIN LATERAL (
            SELECT {about} - DATE '1970-01-01' AS day FROM {tables(stream).versions} v
            WHERE v.stream_id = s.stream_id AND {_known(stream)} AND v.{_asked(stream)} ORDER BY {about} DESC LIMIT 1) e
        WHERE s.symbol = $1 AND s.kind = '{stream.name}'"""


def day_of_row(stream: Stream, *, backward: bool) -> str:
    """Return what reads the day of the row after the $2 first ones, or before the last, on the days [$3, $4]; null: there is none.

    Rows are counted of each provider alone, whatever is known of them: by the index of entries, which it never leaves.
    """
    about, (choose, order) = f"v.{ABOUT[stream.name]}", ("max", "DESC") if backward else ("min", "ASC")
    first = "DATE '1970-01-01'"
    return f"""
        SELECT {choose}(day) FROM streams s CROSS JOIN LATERAL (
            SELECT {about} - {first} AS day FROM {tables(stream).versions} v
            WHERE v.stream_id = s.stream_id AND {about} BETWEEN {first} + $3::integer AND {first} + $4::integer
            ORDER BY {about} {order} OFFSET $2 LIMIT 1) e
        WHERE s.symbol = $1 AND s.kind = '{stream.name}'"""


def _found(stream: Stream) -> str:
    return (
        f"FROM streams s JOIN {tables(stream).versions} v USING (stream_id) WHERE s.symbol = $1 AND s.kind = '{stream.name}'"
        f" AND {_known(stream)}"
    )


def _known(stream: Stream) -> str:
    route = packed_field(stream, "route")
    shadow = f"(v.flags & {route.mask}) = {bits_of(stream, 'route', 'shadow')}"
    return f"v.known_from <= $2 AND (s.provider = $3 OR ($3::text IS NULL AND NOT {shadow}))"


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


_NEWEST = {stream.name: newest_versions(stream) for stream in (ACTION_STREAM, MACRO_STREAM)}
_EVERY = {stream.name: all_versions(stream) for stream in (ACTION_STREAM, MACRO_STREAM)}
_READERS: Mapping[type, Callable[..., Any]] = {
    record: row_reader(BY_RECORD[record], record) for record in (CorporateAction, MacroObservation)
}


async def entries(
    snapshot: Snapshot,
    record: type[E],
    symbol: str,
    *,
    as_of: KnowledgeTime,
    provider: str | None,
    days: tuple[Day, Day],
    revisions: Revisions = "latest",
) -> list[E]:
    """Return what was said of the days [first, last] and known by `as_of`: by day, provider and name, at most MAX_ENTRIES.

    Of each entry its newest version then, or all of them in the order they came.
    """
    statement = (_NEWEST if revisions == "latest" else _EVERY)[BY_RECORD[record].name]
    rows = await snapshot.fetch(statement, symbol, as_of, provider, *days, MAX_ENTRIES)
    read, found = _READERS[record], list[E]()
    for begin in range(0, len(rows), YIELD_EVERY_ROWS):
        found += [cast("E", read(row, symbol, row[0])) for row in rows[begin : begin + YIELD_EVERY_ROWS]]
        await asyncio.sleep(0)  # a long answer must not hold up the WebSocket clients
    return found


async def moment_of(
    asked: KnowledgeTime | None, watermarks: Watermarks, topics: Sequence[str], partitions: Sequence[int]
) -> KnowledgeTime:
    """Return the moment a question is answered at: as asked, once what is stored has reached it, else how far that is.

    Raises the Problem of one in the future, of one not reached within 4 s, and of a store that has committed nothing.
    """
    if asked is not None:
        check_not_future(asked, wall_us())
        await watermarks.reached(asked, topics, partitions)
        return asked
    through = watermarks.through(topics, partitions)
    if through is None:
        raise no_watermark()
    return through


def told_by(
    as_of: KnowledgeTime, watermarks: Watermarks, topics: Sequence[str], partition: int
) -> KnowledgeTime:
    """Return up to when what was told counts of what was published by `as_of`: all that was told since, too."""
    through = watermarks.through(topics, [partition])
    return as_of if through is None else max(as_of, through)
