"""Rows of the compact tables turned into records: which columns are read, and what their bits and positions say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from schemas.deriving import TableColumn, key, written_out
from schemas.streams import Stream
from schemas.tables import INDEX_BITS, MAX_INDEX, Packed, packed, stored_columns


def read_columns(stream: Stream) -> tuple[TableColumn, ...]:
    """Return the columns that are read of a row, in order: all but the series' number, which the reader knows by then."""
    return tuple(column for column in stored_columns(stream) if column.name != "stream_id")


def packed_field(stream: Stream, name: str) -> Packed:
    """Return where in `flags` a field is."""
    return next(each for each in packed(stream) if each.name == name)


def bits_of(stream: Stream, name: str, symbol: str) -> int:
    """Return what `flags` hold of an enumeration where it says `symbol`, among the other bits of its mask."""
    field = packed_field(stream, name)
    return field.symbols.index(symbol) << field.shift


def row_reader(stream: Stream, record: type[Any]) -> Callable[..., Any]:
    """Return the function that makes a `record` of a row and the fields of its series' key, in the key's order.

    A row has one column of the statement's own before `read_columns`. Bits are looked up here, not in the server: there
    every one of them would be a column more to send and to decode.
    """
    places = {column.name: place for place, column in enumerate(read_columns(stream), start=1)}
    flags, position = f"row[{places.pop('flags')}]", f"row[{places.pop('position')}]"
    if "revision" not in record.__dataclass_fields__:
        places.pop("revision", None)
    said = {name: name for name in key(stream)}
    said |= {name: f"row[{place}]" for name, place in places.items()}
    said |= {"raw_offset": f"{position} >> {INDEX_BITS}", "index": f"{position} & {MAX_INDEX}"}
    said |= {each.name: f"of_{each.name}[{flags}]" for each in packed(stream)}
    known = {f"of_{each.name}": _by_flags(stream, each) for each in packed(stream)}
    return record_maker(record, ("row", *key(stream)), said, known)


def record_maker(
    record: type[Any], arguments: Sequence[str], said: Mapping[str, str], known: Mapping[str, Any]
) -> Callable[..., Any]:
    """Return the function of `arguments` that makes a `record` with what is `said` of its fields, each an expression of them.

    Other fields have their defaults. Slots are set one by one: the constructor of a frozen record looks up each by its
    name, which takes twice the time. Raises TypeError where a record has no slots, looks at itself when it is made, or
    lacks a field.
    """
    if hasattr(record, "__post_init__") or record.__dictoffset__:
        raise TypeError(f"{record.__name__} is more than its slots; call it")
    values, names = dict(known) | {"record": record, "fresh": object.__new__}, dict(said)
    for each in fields(record):
        values[f"set_{each.name}"] = getattr(record, each.name).__set__
        if each.name not in names:
            if each.default is MISSING:
                raise TypeError(f"nothing is said of {each.name}, which {record.__name__} must have")
            names[each.name], values[f"default_{each.name}"] = f"default_{each.name}", each.default
    settings = ", ".join(f"set_{each.name}(made, {names[each.name]})" for each in fields(record))
    return written_out(", ".join(arguments), f"(made := fresh(record), {settings})[0]", values)


def _by_flags(stream: Stream, field: Packed) -> tuple[bool | str, ...]:
    every = sum(each.mask for each in packed(stream))
    return tuple(_said(field, (flags & field.mask) >> field.shift) for flags in range(every + 1))


def _said(field: Packed, number: int) -> bool | str:
    if not field.symbols:
        return bool(number)
    return field.symbols[number] if number < len(field.symbols) else ""
