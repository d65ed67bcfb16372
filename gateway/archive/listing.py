"""`/archive`: what may be asked, what is answered, and the rows of the listing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.archive.contents import DatasetContents, Missing, PartitionContents, Summed
from gateway.archive.day_gaps import GAP
from gateway.http.columns import TEXT, TIME, WHOLE, Column, envelope, or_null, record, rows, words_of
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.moments import rfc3339
from gateway.http.parameters import Day
from schemas.archive.datasets import Dataset, Publication
from schemas.archive.manifest import KeptFile
from schemas.clocks import EventTime, KnowledgeTime

DAY: Mapping[str, str] = {"type": "string", "format": "date"}


@dataclass(frozen=True, kw_only=True)
class ArchiveQuery(Query):
    """Query of `GET /archive`."""

    day: EventTime | None = parameter(
        Day(),
        "List the files of this UTC day, of raw topics by append time, and what is missing of it; without it days are added up.",
    )


_DAY = record(
    Column("date", dict(DAY), "UTC."),
    Column("files", WHOLE, "Files of the day."),
    Column("rows", WHOLE, "Records in them; of a dataset those of the latest publication.", "rows"),
    Column("bytes", WHOLE, "Their length.", "bytes"),
    Column("as_of", TIME, "Of a dataset: what the latest publication knows.", "UTC", always=False),
)
_FILE = record(
    Column("path", TEXT, "Get it at /archive/ and this."),
    Column("rows", WHOLE, "Records in it.", "rows"),
    Column("bytes", WHOLE, "Its length.", "bytes"),
    Column("sha256", TEXT, "Of its bytes; also its ETag."),
    Column("first_offset", WHOLE, "Of a raw topic: first offset.", always=False),
    Column("last_offset", WHOLE, "Last offset, inclusive.", always=False),
    Column("first_append_time", TIME, "The earliest record was appended.", "UTC", always=False),
    Column("last_append_time", TIME, "The latest record was appended.", "UTC", always=False),
    Column("as_of", TIME, "Of a dataset: it has what was known by then.", "UTC", always=False),
)
_MISSING = record(
    Column("kind", words_of(("lost", "pruned")), "Lost before it was archived, or deleted on request."),
    Column("partition", WHOLE, "Of the topic."),
    Column("first_offset", WHOLE, "First offset."),
    Column("last_offset", WHOLE, "Last offset, inclusive."),
    Column("from_time", or_null(TIME), "What is there before it was appended then; null: nothing.", "UTC"),
    Column("to_time", or_null(TIME), "What comes after it was appended then; null: nothing yet.", "UTC"),
)
_PARTITION = record(
    Column("partition", WHOLE, "Its number."),
    Column("first_offset", WHOLE, "The first that is kept."),
    Column("next_offset", WHOLE, "The first that is not archived yet."),
    Column("complete_before", or_null(TIME), "All that was known before it is archived.", "UTC"),
    Column("damage", TEXT, "What is wrong with its manifest; nothing behind it is listed.", always=False),
)
_NAMED = record(
    Column("name", TEXT, "A raw topic, or the folder of a dataset."),
    Column("kind", words_of(("raw", "published")), "Raw records, or canonical values of a day."),
    Column("incarnation", TEXT, "Of a raw topic: its topic id as folders have it.", always=False),
    Column(
        "complete_before",
        or_null(TIME),
        "Of a raw topic: all that was known before it, in every partition, is archived; null: nothing is sure yet.",
        "UTC",
        always=False,
    ),
    Column("days", rows(_DAY), "Days with files, in order; of one day only that."),
    Column("partitions", rows(_PARTITION), "Of a raw topic.", always=False),
    Column("files", rows(_FILE), "Of the day asked for.", always=False),
    Column(
        "missing", rows(_MISSING), "Offsets that are not kept; of one day those it may lie in.", always=False
    ),
    Column("damage", TEXT, "What is wrong with the manifest of a dataset.", always=False),
)
LISTING = Endpoint(
    method="GET",
    path="/archive",
    scope="read",
    topic="Archive",
    summary="What is archived and published, day by day, and what is missing of a day.",
    query=ArchiveQuery,
    answers={
        200: (
            Answer(
                words="Raw topics, each incarnation apart, then published datasets.",
                schema=envelope(
                    rows(_NAMED),
                    Column("day", dict(DAY), "As asked.", always=False),
                    members=(
                        Column("gaps", rows(record(*GAP)), "Holes of the day asked for.", always=False),
                    ),
                ),
            ),
        )
    },
    problems=("no_archive", "overloaded", "store_unavailable"),
)


def topic_row(
    topic: str, incarnation: str, parts: Mapping[int, PartitionContents], *, expected: int, day: str | None
) -> dict[str, Any]:
    """Return the row of one incarnation of a raw topic that is expected to have so many partitions."""
    marks = [contents.complete_before for contents in parts.values()]
    known = [mark for mark in marks if mark is not None]
    is_whole = len(known) == len(marks) >= expected
    return {
        "name": topic,
        "kind": "raw",
        "incarnation": incarnation,
        "complete_before": rfc3339(min(known)) if is_whole else None,
        "days": _summed_days(parts.values(), day),
        "partitions": [_partition(number, contents) for number, contents in parts.items()],
        "missing": [
            row
            for number, contents in parts.items()
            for each in contents.missing()
            if (row := _missing(number, each)) and (day is None or _may_lie_in(each, day))
        ],
    }


def dataset_row(dataset: Dataset, contents: DatasetContents, day: str | None) -> dict[str, Any]:
    """Return the row of a published dataset; of one day with its files."""
    days = {each: lines for each, lines in contents.days().items() if day in (None, each)}
    row: dict[str, Any] = {
        "name": dataset.folder,
        "kind": "published",
        "days": [
            {
                "date": each,
                "files": len(lines),
                "rows": lines[-1].rows,
                "bytes": sum(line.file_bytes for line in lines),
                "as_of": rfc3339(lines[-1].as_of_us),
            }
            for each, lines in days.items()
        ],
    }
    if day is not None:
        row["files"] = [_published(dataset, line) for line in days.get(day, ())]
    return row | ({"damage": contents.damage} if contents.damage else {})


def file_rows(folder: str, lines: Iterable[KeptFile]) -> list[dict[str, Any]]:
    """Return the rows of a partition's files."""
    return [
        {
            "path": f"{folder}/{line.path}",
            "rows": line.rows,
            "bytes": line.file_bytes,
            "sha256": line.sha256,
            "first_offset": line.start,
            "last_offset": line.end - 1,
            "first_append_time": rfc3339(line.first_append_us),
            "last_append_time": rfc3339(line.last_append_us),
        }
        for line in lines
    ]


def _published(dataset: Dataset, line: Publication) -> dict[str, Any]:
    return {
        "path": f"{dataset.folder}/{line.path}",
        "rows": line.rows,
        "bytes": line.file_bytes,
        "sha256": line.sha256,
        "as_of": rfc3339(line.as_of_us),
    }


def _summed_days(parts: Iterable[PartitionContents], day: str | None) -> list[dict[str, Any]]:
    summed: dict[str, Summed] = {}
    for contents in parts:
        pruned_to = 0 if contents.tail is None else contents.tail.pruned_to
        for each, found in contents.days.items():
            if day in (None, each) and (kept := found.kept(pruned_to)).files:
                summed[each] = summed.get(each, Summed()) + kept
    return [
        {"date": each, "files": one.files, "rows": one.rows, "bytes": one.file_bytes}
        for each, one in sorted(summed.items())
    ]


def _partition(number: int, contents: PartitionContents) -> dict[str, Any]:
    tail = contents.tail
    row: dict[str, Any] = {
        "partition": number,
        "first_offset": 0 if tail is None else tail.pruned_to,
        "next_offset": 0 if tail is None else tail.next_offset,
        "complete_before": _moment(contents.complete_before),
    }
    return row | ({"damage": contents.damage} if contents.damage else {})


def _missing(number: int, missing: Missing) -> dict[str, Any]:
    return {
        "kind": missing.kind,
        "partition": number,
        "first_offset": missing.start,
        "last_offset": missing.end - 1,
        "from_time": _moment(missing.from_us),
        "to_time": _moment(missing.to_us),
    }


def _may_lie_in(missing: Missing, day: str) -> bool:
    first, last = (None if each is None else rfc3339(each)[:10] for each in (missing.from_us, missing.to_us))
    return (first is None or first <= day) and (last is None or last >= day)


def _moment(moment: KnowledgeTime | int | None) -> str | None:
    return None if moment is None else rfc3339(moment)
