"""Derivations from the declaration of a stream: Avro, keys, contents, columns, tables, wire and CSV names.

Everything is derived once, at import or at first use; nothing here runs per record.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Literal, NamedTuple, cast, get_args, get_origin, get_type_hints

from schemas.clocks import Day
from schemas.fields import AMOUNT, ASIDE, CLOCK, FLAG, INT32, ITEM, KEY, PRICE, VALUE, Role
from schemas.known import Known
from schemas.records import RawBlock
from schemas.streams import Stream

Kind = Literal["string", "long", "int", "date", "double", "boolean", "enum", "map", "array"]
SqlType = Literal[
    "text", "int8", "int4", "int2", "float8", "bool", "timestamptz", "date", "float8[]", "timestamptz[]", "date[]", "char[]"
]  # fmt: skip
SQL_TYPES: Mapping[str, SqlType] = {
    "string": "text", "enum": "text", "long": "int8", "int": "int4", "date": "date", "double": "float8", "boolean": "bool",
}  # fmt: skip
DDL_TYPES: Mapping[SqlType, str] = {
    "text": 'text COLLATE "C"', "int8": "bigint", "int4": "integer", "int2": "smallint", "float8": "double precision", "bool": "boolean",
    "timestamptz": "timestamptz", "date": "date", "float8[]": "double precision[]", "timestamptz[]": "timestamptz[]", "date[]": "date[]",
    "char[]": '"char"[]',
}  # fmt: skip
ARRAY_TYPES: Mapping[str, SqlType] = {"double": "float8[]", "date": "date[]", "enum": "char[]"}
COLUMN_NAMES = {"index": "idx"}  # `index` is a word of SQL
EVENTS_DOC = "what the response held for this partition; empty in a tick"
NAMESPACE = "mds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One declared field; `default` is MISSING where it must be given, `items` the record class of a list."""

    name: str
    kind: Kind
    nullable: bool
    symbols: tuple[str, ...]
    default: Any
    doc: str
    roles: frozenset[Role]
    items: type | None = None

    @property
    def required(self) -> bool:
        """Whether whoever makes the record must give the field."""
        return self.default is MISSING


class TableColumn(NamedTuple):
    """One column of a table: `source` is the record's field; of a list, `list.member`, one array a member."""

    name: str
    source: str
    type: SqlType
    nullable: bool


def declared_fields(record: type[Any]) -> tuple[Field, ...]:
    """Return the fields a record class itself declares, without what it inherits, in order."""
    own, hints = inspect.get_annotations(record), get_type_hints(record, include_extras=True)
    return tuple(
        _field(field.name, hints[field.name], _default(field))
        for field in fields(record)
        if field.name in own and hasattr(hints[field.name], "__metadata__")
    )


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _field(name: str, hint: Any, default: Any) -> Field:
    base, told = hint.__origin__, hint.__metadata__
    nullable = type(None) in get_args(base)
    if nullable:
        base = next(each for each in get_args(base) if each is not type(None))
    is_day = base is Day
    base = getattr(base, "__supertype__", base)  # a clock is an integer on the wire and in a table
    origin = get_origin(base)
    kind: Kind
    if is_day:
        kind = "date"
    elif origin is Literal:
        kind = "enum"
    elif origin in (Mapping, Sequence):
        kind = "map" if origin is Mapping else "array"
    else:
        whole: Kind = "int" if INT32 in told else "long"
        kinds: Mapping[type, Kind] = {str: "string", int: whole, float: "double", bool: "boolean"}
        kind = kinds[base]
    return Field(
        name=name,
        kind=kind,
        nullable=nullable,
        symbols=get_args(base) if kind == "enum" else (),
        default=default,
        doc=told[-1],
        roles=frozenset(each for each in told if isinstance(each, Role)),
        items=get_args(base)[0] if kind == "array" else None,
    )


@cache
def event_fields(stream: Stream) -> tuple[Field, ...]:
    """Return the fields of one event inside a raw block."""
    return own_fields(stream) + (() if stream.frame is None else declared_fields(stream.frame))


@cache
def own_fields(stream: Stream) -> tuple[Field, ...]:
    """Return the fields an event and its canonical record share."""
    return declared_fields(stream.record)


@cache
def record_fields(stream: Stream) -> tuple[Field, ...]:
    """Return the fields of a canonical record in the order of the wire: the event's, then what is known of it."""
    return own_fields(stream) + declared_fields(Known)


def _avro_field(field: Field) -> dict[str, Any]:
    kind: Any = "int" if field.kind == "date" else field.kind
    if field.kind == "enum":
        name = "".join(word.capitalize() for word in field.name.split("_"))
        fallback = field.symbols[0] if field.required else field.default
        kind = {"type": "enum", "name": name, "symbols": list(field.symbols), "default": fallback}
    elif field.kind == "map":
        kind = {"type": "map", "values": "string"}
    elif field.items is not None:
        kind = {"type": "array", "items": _avro_record(field.items.__name__, declared_fields(field.items))}
    entry: dict[str, Any] = {"name": field.name, "type": ["null", kind] if field.nullable else kind}
    if not field.required and field.kind != "enum":
        entry["default"] = list(field.default) if field.kind == "array" else field.default
    return {**entry, "doc": field.doc}


def _avro_record(name: str, declared: Sequence[Field]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [_avro_field(field) for field in declared]}


def record_schema(stream: Stream) -> dict[str, Any]:
    """Return the Avro schema of a canonical record."""
    schema = _avro_record(stream.record.__name__, record_fields(stream))
    return {**_heading(schema["name"], inspect.getdoc(stream.record) or ""), "fields": schema["fields"]}


def raw_schema(stream: Stream) -> dict[str, Any]:
    """Return the Avro schema of a raw block, whose last field is the list of its events."""
    events = _avro_record(f"{stream.record.__name__}Event", event_fields(stream))
    declared = [_avro_field(field) for field in declared_fields(RawBlock)]
    declared.append({"name": "events", "type": {"type": "array", "items": events}, "doc": EVENTS_DOC})
    return {**_heading(f"Raw{stream.name.capitalize()}Block", stream.raw_doc), "fields": declared}


def _heading(name: str, doc: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": NAMESPACE, "doc": doc}


def _names(declared: Sequence[Field], *roles: Role, without: Role | None = None) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in declared
        if field.roles.intersection(roles) and (without is None or without not in field.roles)
    )


@cache
def key(stream: Stream) -> tuple[str, ...]:
    """Return the fields that name a series: the symbol, who gives it, then what else the stream declares."""
    symbol, *others = _names(own_fields(stream), KEY)
    return (symbol, *_names(declared_fields(Known), KEY), *others)


@cache
def said(stream: Stream) -> tuple[str, ...]:
    """Return the fields that say what a value is, without its clocks and origin."""
    return _names(own_fields(stream), AMOUNT, VALUE)


@cache
def items(stream: Stream) -> tuple[str, ...]:
    """Return the fields that name an entry within its series; none of a stream whose values are named by their moment."""
    return _names(own_fields(stream), ITEM)


@cache
def days(stream: Stream) -> tuple[str, ...]:
    """Return the fields that are calendar days."""
    return tuple(field.name for field in own_fields(stream) if field.kind == "date")


def content(stream: Stream) -> tuple[str, ...]:
    """Return the fields two versions of a value are compared by; none of occurrences, which never are."""
    return () if stream.versions == "occurrences" else said(stream)


@cache
def aside(stream: Stream) -> str | None:
    """Return the day that an event ends with and no version differs by alone, None where it has none.

    Raises ValueError where a declaration asks for more: bytes are compared up to it, and only those of slots are.
    """
    found = [field for field in own_fields(stream) if ASIDE in field.roles]
    if not found:
        return None
    last = event_fields(stream)[-1]
    if stream.versions != "slots" or found != [last] or last.kind != "date" or not last.nullable:
        raise ValueError(
            f"{stream.name}: what is told aside is one nullable day of slots, the last of an event"
        )
    return last.name


@cache
def amounts(stream: Stream) -> tuple[str, ...]:
    """Return the fields that must be finite and zero or more where they are given, `prices` by a rule of their own."""
    return _names(own_fields(stream), AMOUNT)


@cache
def prices(stream: Stream) -> tuple[str, ...]:
    """Return the amounts that are above zero, or any number where the instrument's prices may be negative."""
    return _names(own_fields(stream), PRICE)


@cache
def texts(stream: Stream) -> tuple[str, ...]:
    """Return the free texts of what a value says."""
    return tuple(f.name for f in own_fields(stream) if VALUE in f.roles and f.kind == "string")


@cache
def clocks(stream: Stream) -> tuple[str, ...]:
    """Return the fields that are moments."""
    return _names(record_fields(stream), CLOCK)


@cache
def shown(stream: Stream) -> tuple[str, ...]:
    """Return the fields a WebSocket record shows where they say something.

    Key and interval are said by the stream's name, place by the event_id.
    """
    keys = _names(declared_fields(Known), KEY)
    own = _names(own_fields(stream), ITEM, AMOUNT, VALUE, without=FLAG)
    return tuple(dict.fromkeys((*clocks(stream), *keys, *own)))


@cache
def shown_where_set(stream: Stream) -> tuple[str, ...]:
    """Return the fields a WebSocket record shows only where they are set."""
    return _names(own_fields(stream), FLAG)


@cache
def columns(stream: Stream) -> tuple[TableColumn, ...]:
    """Return the record's fields as columns, as the public views show them, in the record's order."""
    return tuple(column for field in record_fields(stream) for column in _columns(field))


def _columns(field: Field) -> Iterator[TableColumn]:
    if field.items is None:
        kind: SqlType = "timestamptz" if CLOCK in field.roles else SQL_TYPES[field.kind]
        yield TableColumn(COLUMN_NAMES.get(field.name, field.name), field.name, kind, nullable=field.nullable)
        return
    for each in declared_fields(field.items):
        kind = "timestamptz[]" if CLOCK in each.roles else ARRAY_TYPES[each.kind]
        name = f"{field.name.removesuffix('s')}_{each.name}"
        yield TableColumn(name, f"{field.name}.{each.name}", kind, nullable=False)


def lists(stream: Stream) -> Mapping[str, tuple[Field, ...]]:
    """Return the fields of a stream's record that are lists, with the fields of their members."""
    return {
        field.name: declared_fields(field.items) for field in own_fields(stream) if field.items is not None
    }


def written_out(arguments: str, expression: str, known: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the function of `arguments` that an expression put together from declared names stands for.

    Where something is made of every row, a loop over names takes twice the time of the same written by hand.
    """
    return cast(
        "Callable[..., Any]",
        eval(f"lambda {arguments}: {expression}", dict(known)),  # noqa: S307 - of our own names
    )
