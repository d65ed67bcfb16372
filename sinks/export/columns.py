"""Columns of a topic's records in a file: those of the archive for raw topics, the declared ones of its stream otherwise."""

from __future__ import annotations

import csv
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any, Literal, NamedTuple

from schemas.clocks import day_of, iso_day
from schemas.deriving import record_fields
from schemas.errors import MalformedPayload
from schemas.fields import CLOCK
from schemas.intervals import EPOCH, micros
from schemas.streams import BY_TOPIC
from schemas.wire.codec import decode_value
from schemas.wire.framing import StreamedRecord

ColumnKind = Literal["text", "long", "int", "double", "boolean", "moment", "day", "bytes"]
KINDS: Mapping[str, ColumnKind] = {
    "string": "text", "enum": "text", "long": "long", "int": "int", "double": "double", "boolean": "boolean",
    "date": "day",
}  # fmt: skip
# Others have no spelling, and readers of Parquet fail on them.
FIRST_US, LAST_US = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))
FIRST_DAY, LAST_DAY = day_of(date.min), day_of(date.max)


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
    """Return the columns of a raw or canonical topic, in order."""
    stream = BY_TOPIC.get(topic)
    if stream is None:
        return RAW_COLUMNS
    return tuple(
        FileColumn(each.name, "moment" if CLOCK in each.roles else KINDS[each.kind], nullable=each.nullable)
        for each in record_fields(stream)
    )


def row_maker(topic: str) -> Callable[[StreamedRecord], tuple[Any, ...]]:
    """Return what makes the row of a record of a topic; it raises MalformedPayload where the record is none of it."""
    if topic not in BY_TOPIC:
        return lambda r: (r.partition, r.offset, r.append_time, r.key, r.value or None, r.moved_from)
    columns = columns_of(topic)
    names = [column.name for column in columns]
    moments = [column.name for column in columns if column.kind == "moment"]
    written = [column.name for column in columns if column.kind == "day"]

    def row(record: StreamedRecord) -> tuple[Any, ...]:
        fields = decode_value(topic, record.value)
        for name in moments:
            moment_us = fields[name]
            if moment_us is not None and not FIRST_US <= moment_us <= LAST_US:
                raise MalformedPayload(f"{name} is {moment_us}, which is in no year of the calendar")
        for name in written:
            if fields[name] is not None and not FIRST_DAY <= fields[name] <= LAST_DAY:
                raise MalformedPayload(f"{name} is {fields[name]}, which is in no year of the calendar")
        return tuple([fields[name] for name in names])

    return row


def csv_text(columns: Sequence[FileColumn], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV, spelt as the gateway's: RFC 3339 in UTC, `true` and `false`, nothing for null; bytes as base64."""
    out = StringIO()
    cells = [CELLS[column.kind] for column in columns]
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
}  # fmt: skip
