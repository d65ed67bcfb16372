"""Columns of answers: name, type, unit and words, declared once for rows, tables, schemas and the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from gateway.http.parameters import Schema

T = TypeVar("T")
R = TypeVar("R")
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
DATE: Schema = {"type": "string", "format": "date"}
ANYTHING: Schema = {}


@dataclass(frozen=True, slots=True)
class Column:
    """One member of an answer; `always` is off where it appears only when it says something."""

    name: str
    schema: Schema
    words: str
    unit: str = ""
    always: bool = True


class Shown(Sequence[R], Generic[T, R]):
    """The rows of items, each made when it is first looked at, after all before it."""

    def __init__(self, items: Sequence[T], show: Callable[[T], R]) -> None:
        """Show each of `items` with `show`."""
        self._items, self._show, self._length = items, show, len(items)
        self._made = list[R]()

    def __len__(self) -> int:
        """Return how many there are."""
        return self._length

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> list[R]: ...
    def __getitem__(self, place: int | slice) -> R | list[R]:
        """Return one row, or a slice of them."""
        if isinstance(place, slice):
            last = max(place.indices(self._length)[:2])
        elif -self._length <= place < self._length:
            last = place % self._length + 1
        else:
            raise IndexError(place)
        begin = len(self._made)
        if begin < last:
            self._made += [self._show(item) for item in self._items[begin:last]]
            if last == self._length:
                self._items = ()  # what is kept of a page is kept once
        return self._made[place]


def or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return (
        {"anyOf": [schema, {"type": "null"}]}
        if "type" not in schema
        else schema
        | {
            "type": [schema["type"], "null"],
            **({"enum": [*schema["enum"], None]} if "enum" in schema else {}),
        }
    )


def words_of(choices: Sequence[str]) -> Schema:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": list(choices)}


def rows(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def by_name(schema: Schema) -> Schema:
    """Return the schema of an object whose members, named by the caller or the service, are alike."""
    return {"type": "object", "additionalProperties": schema}


def record(*columns: Column) -> Schema:
    """Return the schema of an object with these members and no other."""
    return {
        "type": "object",
        "properties": {column.name: _described(column) for column in columns},
        "required": [column.name for column in columns if column.always],
        "additionalProperties": False,
    }


def envelope(data: Schema, *meta: Column, members: Sequence[Column] = ()) -> Schema:
    """Return the schema of {data, ..., meta}; `meta` comes beside the request's id."""
    return record(
        Column("data", data, "What was asked for."),
        *members,
        Column("meta", record(REQUEST, *meta), "About the answer."),
    )


def _described(column: Column) -> dict[str, Any]:
    unit = f" Unit: {column.unit}." if column.unit else ""
    return {**column.schema, "description": f"{column.words}{unit}"}


REQUEST = Column("request_id", TEXT, "Id of the request, for reports.")
AS_OF = Column("as_of", or_null(TIME), "What was known by then; null: nothing is committed.", "UTC")
NEXT_PAGE = Column(
    "next_page_token", or_null(TEXT), "Give it as page_token for the next page; null on the last."
)
UNRESOLVED = Column(
    "unresolved",
    rows(
        record(
            Column("symbol", TEXT, "The symbol as given."),
            Column(
                "code", TEXT, "not_a_symbol, unknown_symbol, ambiguous_symbol, no_value or no_value_then."
            ),
            Column("candidates", rows(TEXT), "What may have been meant.", always=False),
        )
    ),
    "Symbols without a value, and why.",
)
ERRORS = Column(
    "errors",
    rows(
        {
            "type": "object",
            "properties": dict.fromkeys(("param", "code", "detail"), TEXT),
            "required": ["param", "code", "detail"],
        }
    ),
    "Each wrong parameter.",
)
PROBLEM: Schema = {
    **record(
        Column("type", TEXT, "`urn:mds:problem:` and the code."),
        Column("title", TEXT, "The status in words."),
        Column("status", WHOLE, "HTTP status."),
        Column("code", TEXT, "A stable word: see the list of problems."),
        Column("detail", TEXT, "What is wrong, and what would be right."),
        REQUEST,
        Column("trace_id", TEXT, "Its trace, where it is in one.", always=False),
        Column("retryable", FLAG, "Whether the same request can succeed later: see Retry-After."),
        ERRORS,
    ),
    "additionalProperties": True,
}
"""Some problems say more: `stale_value` has age_ms, state and event_time."""
