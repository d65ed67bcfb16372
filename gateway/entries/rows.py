"""Entries as REST shows them: by the names of their records, days as dates, moments as RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.http.columns import FLAG, NUMBER, TEXT, TIME, WHOLE, Column, or_null, words_of
from gateway.http.moments import rfc3339
from schemas.clocks import iso_day
from schemas.deriving import Field, record_fields
from schemas.entries import CorporateAction, MacroObservation
from schemas.fields import CLOCK
from schemas.identity import event_id
from schemas.streams import ACTION_STREAM, Stream

DATE: dict[str, Any] = {"type": "string", "format": "date"}
PLACE = ("raw_offset", "index")  # said by the event_id
_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "double": NUMBER, "long": WHOLE, "int": WHOLE, "boolean": FLAG, "string": TEXT, "date": DATE,
}  # fmt: skip


def _column(field: Field) -> Column:
    schema = words_of(field.symbols) if field.symbols else _SCHEMAS[field.kind]
    if CLOCK in field.roles:
        schema = TIME
    words = f"{field.doc.partition(',')[0][:1].upper()}{field.doc.partition(',')[0][1:]}."
    return Column(field.name, or_null(schema) if field.nullable else schema, words)


def _columns(stream: Stream) -> tuple[Column, ...]:
    shown = (field for field in record_fields(stream) if field.name not in PLACE)
    return (Column("event_id", TEXT, "Id of this version; its place in our log."), *map(_column, shown))


ACTION_COLUMNS = _columns(ACTION_STREAM)


def entry_row(stream: Stream, partition: int, entry: CorporateAction | MacroObservation) -> dict[str, Any]:
    """Return the JSON row of an entry that lies in `partition`."""
    row: dict[str, Any] = {
        "event_id": event_id(
            stream.topic, entry.symbol, entry.event_time, partition, entry.raw_offset, entry.index
        )
    }
    for field in record_fields(stream):
        if field.name in PLACE:
            continue
        value = getattr(entry, field.name)
        if value is not None and CLOCK in field.roles:
            value = rfc3339(value)
        elif value is not None and field.kind == "date":
            value = iso_day(value)
        row[field.name] = value
    return row
