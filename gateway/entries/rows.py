"""Entries as REST shows them, by the names of their records, days as dates; their places, and which were published by a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.http.columns import DATE, FLAG, NUMBER, TEXT, TIME, WHOLE, Column, or_null, words_of
from gateway.http.moments import rfc3339
from schemas.calendar.sessions import Calendar
from schemas.clocks import KnowledgeTime, date_of, iso_day
from schemas.deriving import Field, record_fields
from schemas.entries import CorporateAction, MacroObservation
from schemas.fields import CLOCK
from schemas.identity import event_id
from schemas.streams import ACTION_STREAM, Stream

Place = tuple[int | str, ...]
T = TypeVar("T")
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


def beyond(found: list[T], after: Place, place: Callable[[T], Place]) -> list[T]:
    """Return what lies after a place of what is in the order of its places; all of it after none."""
    return found[bisect_right(found, after, key=place) :] if after else found


def action_place(action: CorporateAction) -> Place:
    """Return the place of a version among those of its symbol."""
    return action.ex_date, action.provider, action.action_id, action.raw_offset, action.index


def published_by(
    versions: Sequence[CorporateAction], as_of: KnowledgeTime, calendar: Calendar, *, latest: bool
) -> list[CorporateAction]:
    """Return the versions published by `as_of`, in their order; with `latest` the newest of each action alone.

    One without a time of publication counts from the midnight its ex-date begins with at the venue.
    """
    told = [each for each in versions if _published(each, calendar) <= as_of]
    if not latest:
        return told
    newest = {(each.provider, each.action_id): each for each in sorted(told, key=_position)}
    return [each for each in told if newest[each.provider, each.action_id] is each]


def _position(action: CorporateAction) -> tuple[int, int]:
    return action.raw_offset, action.index


def _published(action: CorporateAction, calendar: Calendar) -> int:
    if action.published_at is not None:
        return action.published_at
    return calendar.day_start(date_of(action.ex_date))
