"""Columns of a topic's records in a file: those of the archive for raw topics, the declared ones of its stream otherwise."""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from schemas.clocks import day_of, iso_day
from schemas.deriving import columns, record_fields
from schemas.errors import MalformedPayload
from schemas.fields import CLOCK
from schemas.intervals import EPOCH, micros
from schemas.streams import BY_TOPIC
from schemas.wire.codec import decode_value
from schemas.wire.framing import StreamedRecord

ColumnKind = Literal[
    "text",
    "long",
    "int",
    "double",
    "boolean",
    "moment",
    "day",
    "bytes",
    "doubles",
    "moments",
    "days",
    "texts",
]
KINDS: Mapping[str, ColumnKind] = {
    "string": "text", "enum": "text", "long": "long", "int": "int", "double": "double", "boolean": "boolean",
    "date": "day",
}  # fmt: skip
OF_LISTS: Mapping[str, ColumnKind] = {
    "float8[]": "doubles", "timestamptz[]": "moments", "date[]": "days", "char[]": "texts",
}  # fmt: skip
# Others have no spelling, and readers of Parquet fail on them.
FIRST_US, LAST_US = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))
FIRST_DAY, LAST_DAY = day_of(date.min), day_of(date.max)
MOMENTS, DAYS = (FIRST_US, LAST_US), (FIRST_DAY, LAST_DAY)
BOUNDS: Mapping[str, tuple[int, int]] = {"moment": MOMENTS, "moments": MOMENTS, "day": DAYS, "days": DAYS}


class FileColumn(NamedTuple):
    """A column of a file; a moment is µs since the Unix epoch, UTC, a day counts from 1970-01-01."""

    name: str
    kind: ColumnKind
    nullable: bool = False


RAW_COLUMNS = (
    FileColumn("partition", "int"),
    FileColumn("offset", "long"),
    FileColumn("append_time", "moment"),
    FileColumn("key", "bytes", nullable=True),
    FileColumn("value", "bytes", nullable=True),
    FileColumn("moved_from", "bytes", nullable=True),
)


def columns_of(topic: str) -> tuple[FileColumn, ...]:
    """Return the columns of a raw or canonical topic, in order; a list of records is one list a field of theirs."""
    stream = BY_TOPIC.get(topic)
    if stream is None:
        return RAW_COLUMNS
    fields = {each.name: each for each in record_fields(stream)}
    found = []
    for column in columns(stream):
        if "." in column.source:
            found.append(FileColumn(column.name, OF_LISTS[column.type]))
        else:
            each = fields[column.source]
            kind = "moment" if CLOCK in each.roles else KINDS[each.kind]
            found.append(FileColumn(each.name, kind, nullable=each.nullable))
    return tuple(found)


def row_maker(topic: str) -> Callable[[StreamedRecord], tuple[Any, ...]]:
    """Return what makes the row of a record of a topic; it raises MalformedPayload where the record is none of it."""
    stream = BY_TOPIC.get(topic)
    if stream is None:
        return lambda r: (r.partition, r.offset, r.append_time, r.key, r.value or None, r.moved_from)
    readers = [_reader(column.source) for column in columns(stream)]
    bounded = [
        (place, column.name, *BOUNDS[column.kind])
        for place, column in enumerate(columns_of(topic))
        if column.kind in BOUNDS
    ]

    def row(record: StreamedRecord) -> tuple[Any, ...]:
        fields = decode_value(topic, record.value)
        values = tuple([read(fields) for read in readers])
        for place, name, first, last in bounded:
            value = values[place]
            for each in value if isinstance(value, list) else (value,):
                if each is not None and not first <= each <= last:
                    raise MalformedPayload(f"{name} is {each}, which is in no year of the calendar")
        return values

    return row


def _reader(source: str) -> Callable[[Mapping[str, Any]], Any]:
    name, _, field = source.partition(".")
    if not field:
        return itemgetter(name)
    return lambda fields: [member[field] for member in fields[name]]


def csv_text(declared: Sequence[FileColumn], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV, spelt as the gateway's: RFC 3339 in UTC, `true` and `false`, nothing for null; bytes as base64.

    A list is one cell, a JSON array.
    """
    out = StringIO()
    cells = [CELLS[column.kind] for column in declared]
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows(
        ["" if value is None else cell(value) for cell, value in zip(cells, row, strict=True)] for row in rows
    )
    return out.getvalue()


def _moment(moment_us: int) -> str:
    return f"{(EPOCH + timedelta(microseconds=moment_us)).isoformat(timespec='microseconds')[:-6]}Z"


CELLS: Mapping[ColumnKind, Callable[[Any], str]] = {
    "text": str, "long": str, "int": str, "double": str, "boolean": lambda value: str(value).lower(),
    "moment": _moment, "day": iso_day, "bytes": lambda value: b64encode(value).decode(),
    "doubles": json.dumps, "texts": json.dumps,
    "moments": lambda values: json.dumps([None if each is None else _moment(each) for each in values]),
    "days": lambda values: json.dumps([None if each is None else iso_day(each) for each in values]),
}  # fmt: skip
