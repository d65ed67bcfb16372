"""Rows of the compact tables turned into records: which columns are read, and what their bits and positions say."""

from __future__ import annotations

from collections.abc import Callable
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
    arguments = ", ".join(f"{name}={text}" for name, text in said.items())
    return written_out(f"row, {', '.join(key(stream))}", f"record({arguments})", known | {"record": record})


def _by_flags(stream: Stream, field: Packed) -> tuple[bool | str, ...]:
    every = sum(each.mask for each in packed(stream))
    return tuple(_said(field, (flags & field.mask) >> field.shift) for flags in range(every + 1))


def _said(field: Packed, number: int) -> bool | str:
    if not field.symbols:
        return bool(number)
    return field.symbols[number] if number < len(field.symbols) else ""
