"""PostgreSQL as far as the ledger's statements ask it: each answered by walking the model's tables."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from schemas.deriving import COLUMN_NAMES
from schemas.identity import stream_id_of
from schemas.records import Evidence, Gap
from schemas.streams import StreamId
from schemas.topics import BARS
from sinks.store.shell import coverage, gaps
from tests.model.database import Database

T = TypeVar("T")
Row = Mapping[str, Any]
FOR_EVER = 1 << 62


def done(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as ended:
        value: T = ended.value
        return value
    raise AssertionError("it waits for something the model does not have")


async def at_once(work: Callable[..., T], *arguments: Any) -> T:
    """Stand for `asyncio.to_thread`: deciding takes no time here."""
    return work(*arguments)


class Tables:
    """A connection to the model's database."""

    def __init__(self, database: Database) -> None:
        """Answer from `database`."""
        self._database = database

    async def fetch(self, statement: str, *arguments: Sequence[Any]) -> list[Row]:
        """Return the rows a statement asks for."""
        return [dict(row) for row in ANSWERS[statement](self._database, list(zip(*arguments, strict=True)))]


def _evidence(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    found: dict[tuple[Any, ...], Evidence] = {}
    for stream, _, low, high in asked:
        told = database.evidence[stream].items()
        blind = [e for _, e in told if e.kind == "blind" and _meet(e.from_time, e.to_time, low, high)]
        first = min([low, *(e.from_time for e in blind)])
        last = max([high, *(e.to_time or 0 for e in blind)])
        found |= {
            key: e for key, e in told if e.kind != "collected" and _meet(e.from_time, e.to_time, first, last)
        }
    return map(_row, found.values())


def _gaps(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    found = {
        gap.gap_id: gap
        for stream, low, high in asked
        for gap in database.gaps[stream].values()
        if _meet(gap.from_time, gap.to_time, low, high)
    }
    return ({**_row(gap), "partition": 0} for gap in found.values())


def _bars(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    for number, series, low, high in asked:
        for provider, symbol, interval, start in database.keys[BARS]:
            if low <= start < high and series == stream_id_of(StreamId("bars", interval, provider, symbol)):
                yield {"number": number, "event_time": start}


def _reach(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    for (stream,) in asked:
        unfilled = sorted(
            (gap.from_time, gap.to_time) for gap in database.gaps[stream].values() if gap.state != "filled"
        )
        if unfilled:
            yield {"stream": stream, "low": unfilled[0][0], "high": unfilled[-1][1]}


def _covered(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    for (number,) in asked:
        rows = _coverage_rows(database, number)
        if rows:
            yield {**rows[-1], "low": rows[0]["start_time"]}


def _coverage(database: Database, asked: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    found = {
        (number, row["start_time"]): row
        for number, low, high in asked
        for row in _coverage_rows(database, number)
        if low <= row["start_time"] < high
    }
    return iter(found.values())


def _coverage_rows(database: Database, number: int) -> list[dict[str, Any]]:
    rows = []
    for series, covered in database.coverage.items():
        if stream_id_of(series) == number:
            for start in sorted(covered):
                absent, empty = covered[start].packed()
                told = {
                    "start_time": start,
                    "expected": covered[start].expected,
                    "absent": absent,
                    "empty": empty,
                }
                rows.append({"stream_id": number, **told})
    return rows


ANSWERS: Mapping[str, Callable[[Database, Sequence[tuple[Any, ...]]], Iterator[Row]]] = {
    gaps.LOAD_EVIDENCE: _evidence,
    gaps.LOAD_GAPS: _gaps,
    gaps.STORED_SLOTS["bars"]: _bars,
    coverage.LOAD_REACH: _reach,
    coverage.LOAD_COVERED: _covered,
    coverage.LOAD_COVERAGE: _coverage,
}


def _meet(low: int, high: int | None, start: int, end: int) -> bool:
    return low < end and start < (FOR_EVER if high is None else high)


def _row(record: Evidence | Gap) -> dict[str, Any]:
    return {COLUMN_NAMES.get(each.name, each.name): getattr(record, each.name) for each in fields(record)}
