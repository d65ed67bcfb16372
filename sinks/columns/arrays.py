"""Lists of a record as PostgreSQL's binary arrays, one array a field of their members: bytes that COPY sends like a text's.

An array is its number of dimensions, whether it holds nulls, the type of its elements, its length and its first index; then each
element's size and bytes, the size alone where it is null (PostgreSQL 18, src/backend/utils/adt/arrayfuncs.c, array_recv).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.deriving import lists
from schemas.streams import Stream
from sinks.columns.avro import PADDING_BYTES, Columns, Integers, Members, Numbers, Text
from sinks.columns.copy_columns import EPOCHS, FORMATS, NULL, CopyColumn

TYPES: Mapping[str, int] = {"float8": 701, "timestamptz": 1184, "date": 1082, "char": 18}
"""Object ids of the elements' types, the same in every server (src/include/catalog/pg_type.dat)."""
HEADER = Struct(">iiiii")  # dimensions, whether nulls are among them, type, length, first index
EMPTY = Struct(">iii")


class _Elements(NamedTuple):
    """Elements of all rows one after the other; row n has the bytes from edges[n] to edges[n + 1]."""

    data: bytes
    edges: list[int]
    has_nulls: list[bool]


def with_arrays(
    stream: Stream, layout: Sequence[CopyColumn], columns: Columns
) -> tuple[NDArray[np.uint8], dict[str, Text]]:
    """Return the buffer with the arrays of all lists behind it, and the texts with where each row's array lies."""
    letters = {
        f"{name}.{each.name}": np.array([ord(symbol) for symbol in each.symbols], np.uint8)
        for name, members in lists(stream).items()
        for each in members
        if each.symbols
    }
    parts, texts, end = [columns.buffer.tobytes()], dict(columns.texts), len(columns.buffer)
    for column in layout:
        if not column.type.endswith("[]"):
            continue
        name, _, member = column.source.partition(".")
        found, element = columns.lists[name], column.type.removesuffix("[]")
        numbers = found.numbers[member]
        if column.source in letters:
            numbers = Numbers(values=letters[column.source][numbers.values])
        arrays = _arrays(element, found, numbers)
        lengths = np.array([len(each) for each in arrays], np.int64)
        ends = np.cumsum(lengths)
        texts[column.source] = Text(starts=end + ends - lengths, lengths=lengths)
        parts += arrays
        end += int(ends[-1]) if len(ends) else 0
    parts.append(bytes(PADDING_BYTES))
    return np.frombuffer(b"".join(parts), np.uint8), texts


def _arrays(element: str, members: Members, numbers: Numbers) -> list[bytes]:
    """Return the array of each row."""
    made, kind = _elements(element, members.edges, numbers), TYPES[element]
    counts = np.diff(members.edges).tolist()
    found = []
    for row, count in enumerate(counts):
        if count:
            head = HEADER.pack(1, made.has_nulls[row], kind, count, 1)
            found.append(head + made.data[made.edges[row] : made.edges[row + 1]])
        else:
            found.append(EMPTY.pack(0, 0, kind))
    return found


def _elements(element: str, edges: Integers, numbers: Numbers) -> _Elements:
    width = np.dtype(FORMATS[element]).itemsize
    values = numbers.values - EPOCHS[element] if element in EPOCHS else numbers.values
    table = np.empty(len(values), [("size", ">i4"), ("value", FORMATS[element])])
    table["size"], table["value"] = width, values
    sizes = np.full(len(values), 4 + width, np.int64)
    if numbers.valid is None:
        data, nulls = table.tobytes(), np.zeros(len(values), np.int64)
    else:
        nulls = (~numbers.valid).astype(np.int64)
        table["size"][~numbers.valid] = NULL
        sizes[~numbers.valid] = 4
        kept = np.arange(4 + width) < sizes[:, None]
        data = table.view(np.uint8).reshape(len(values), 4 + width)[kept].tobytes()
    places = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    missing = np.concatenate((np.zeros(1, np.int64), np.cumsum(nulls)))
    return _Elements(
        data=data, edges=places[edges].tolist(), has_nulls=(np.diff(missing[edges]) > 0).tolist()
    )
