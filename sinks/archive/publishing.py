"""Publications of a day: which rows, in which order, as of when, and whether anything of it is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from schemas.archive.datasets import Dataset
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US, EPOCH, micros
from schemas.tables import tables

# $1 topic. The exclusive watermark of each of its partitions; and of how many partitions anything is stored.
MARKS = "SELECT partition, complete_before FROM watermarks WHERE topic = $1"
PARTITIONS = "SELECT max(partition) + 1 FROM watermarks"
# $1 kind. Nothing before it is kept any more.
FLOOR = "SELECT floor FROM retention_floors WHERE kind = $1"
# $1 kind, $2 interval.
SYMBOLS = "SELECT DISTINCT symbol FROM v_streams WHERE kind = $1 AND interval = $2 ORDER BY symbol"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The reason why a day is not published now."""

    problem: str


def rows_statement(dataset: Dataset) -> str:
    """Return the SQL of a day's rows: $1 symbols, [$2, $3) event_time, $4 as_of, and of bars $5 the interval.

    Of a slot the version that history would answer with: of all providers' versions known by then, no shadow's, the one
    with the highest position. Of other streams every row known by then.
    """
    shown = ", ".join(column.read for column in dataset.columns)
    found = f"FROM {_view(dataset)} WHERE symbol = ANY ($1::text[]) AND known_from <= $4 AND {_of_day(2, 3)}{_only(dataset, 5)}"
    if dataset.stream.versions == "slots":
        return f"SELECT DISTINCT ON (symbol, event_time) {shown} {found} ORDER BY symbol, event_time, position DESC"
    return f"SELECT {shown} {found} ORDER BY symbol, event_time, known_from, position"


def changed_statement(dataset: Dataset) -> str:
    """Return the SQL that says whether a day has new rows: [$1, $2) event_time, known in ($3, $4], of bars $5 the interval."""
    found = f"FROM {_view(dataset)} WHERE known_from > $3 AND known_from <= $4 AND {_of_day(1, 2)}{_only(dataset, 5)}"
    return f"SELECT EXISTS (SELECT {found})"


def span_of(day: date) -> tuple[EventTime, EventTime]:
    """Return the UTC day [start, end), in µs."""
    start = micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return EventTime(start), EventTime(start + DAY_US)


def pinned(
    marks: Mapping[int, KnowledgeTime],
    partitions: int,
    span: tuple[EventTime, EventTime],
    floor: EventTime | None,
) -> KnowledgeTime | NotYet:
    """Return the as_of a day is published at: the newest that every partition has in full, once it is past the day's end.

    `floor`: what began before it is no longer kept, so that a day before it would be published with holes nobody sees.
    """
    if floor is not None and span[0] < floor:
        return NotYet(
            problem=f"what is stored begins at {_text(floor)}: the day is not whole any more, and is not published"
        )
    missing = [number for number in range(partitions) if number not in marks]
    if missing or not marks:
        return NotYet(problem=f"partitions without a watermark yet: {missing or 'all'}; come again")
    through = KnowledgeTime(min(marks.values()) - 1)
    if through < span[1]:
        return NotYet(
            problem=f"what is stored is complete through {_text(through)}, the day ends at {_text(span[1])}; come again"
        )
    return through


def metadata_of(dataset: Dataset, day: str, as_of: KnowledgeTime, version: str) -> dict[str, str]:
    """Return what a file says of itself."""
    return {
        "mds.dataset": dataset.folder, "mds.day": day, "mds.as_of": _text(as_of), "mds.as_of_us": str(as_of), "mds.version": version,
    }  # fmt: skip


def _view(dataset: Dataset) -> str:
    names = tables(dataset.stream)
    return f"v_{names.versions}_all" if names.superseded else f"v_{names.versions}"


def _of_day(start: int, end: int) -> str:
    return f"event_time >= ${start} AND event_time < ${end} AND route <> 'shadow'"


def _only(dataset: Dataset, place: int) -> str:
    return f" AND interval = ${place}" if dataset.interval else ""


def _text(moment_us: int) -> str:
    return (EPOCH + timedelta(microseconds=moment_us)).isoformat(timespec="microseconds")
