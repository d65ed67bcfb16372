"""Entries of one series out of a snapshot, as records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from gateway.database.knowledge import check_not_future, no_watermark
from gateway.database.rows import row_reader
from gateway.database.shell.snapshot import YIELD_EVERY_ROWS, Snapshot
from gateway.database.shell.watermarks import Watermarks
from gateway.entries.statements import all_versions, newest_versions
from infra.runtime.clock import wall_us
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import CorporateAction, MacroObservation
from schemas.streams import ACTION_STREAM, BY_RECORD, MACRO_STREAM

MAX_ENTRIES = 100_000  # of one series: every vintage of a century of months, twice
Revisions = Literal["latest", "all"]
E = TypeVar("E", CorporateAction, MacroObservation)

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
