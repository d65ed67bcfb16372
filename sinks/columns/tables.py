"""The tables each declared stream is stored in, and how each record becomes a row of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from schemas.deriving import key
from schemas.streams import STREAMS, Stream
from schemas.tables import INDEX_BITS, Packed, Tables, compared, packed, stored_columns, tables
from sinks.columns.arrays import with_arrays
from sinks.columns.avro import Columns, Integers, Numbers
from sinks.columns.copy_columns import CopyColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Storage of a stream: the tables by name, their columns, and what makes two versions the same value."""

    stream: Stream
    names: Tables
    columns: tuple[CopyColumn, ...]
    compared: tuple[str, ...]  # columns
    compared_flags: int  # bits of `flags`; without either, rows are occurrences and never compared
    packed: tuple[Packed, ...]

    @property
    def topic(self) -> str:
        """The canonical topic whose records it holds."""
        return self.stream.topic

    @property
    def name(self) -> str:
        """The table of versions."""
        return self.names.versions

    @property
    def has_slots(self) -> bool:
        """Whether its values fill numbered slots, so that one can be missing; each has a current version of its own."""
        return self.stream.versions == "slots"

    @property
    def has_entries(self) -> bool:
        """Whether its values are told from one another by a name of their own, whatever their moment."""
        return self.stream.versions == "entries"

    @property
    def has_versions(self) -> bool:
        """Whether a value may be told again, so that it is compared with what is stored."""
        return self.stream.versions != "occurrences"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in COPY order."""
        return tuple(column.name for column in self.columns)


def table_of(stream: Stream) -> Table:
    """Return the tables of a declared stream."""
    names, flags = compared(stream)
    return Table(
        stream=stream,
        names=tables(stream),
        # the first version of a slot is revision 0
        columns=tuple(
            CopyColumn(name=c.name, source=c.source, type=c.type, constant=None if c.source else 0)
            for c in stored_columns(stream)
        ),
        compared=names,
        compared_flags=flags,
        packed=packed(stream),
    )


def with_stored(table: Table, columns: Columns, stream_ids: Integers) -> Columns:
    """Return the columns with those that are stored and not read: the series' number, the place in our log, flags, arrays.

    `stream_ids[row]` is the number of each row's series.
    """
    flags = np.zeros(columns.size, np.int64)
    for part in table.packed:
        flags |= columns.integers(part.name).astype(np.int64) << part.shift
    position = (columns.integers("raw_offset") << INDEX_BITS) + columns.integers("index")
    derived = {"stream_id": stream_ids, "position": position, "flags": flags}
    numbers = columns.numbers | {name: Numbers(values=values) for name, values in derived.items()}
    buffer, texts = columns.buffer, columns.texts
    if columns.lists:
        buffer, texts = with_arrays(table.stream, table.columns, columns)
    return Columns(size=columns.size, buffer=buffer, texts=texts, numbers=numbers, lists=columns.lists)


def missing_columns(
    stored_in: Collection[Table], stored: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    """Return, by stream, what keeps it from being stored: tables and columns a database with `stored` columns lacks."""
    missing: dict[str, list[str]] = {}
    for table in stored_in:
        # a stream id has room for these alone
        unknown = [name for name in key(table.stream) if name not in ("symbol", "provider", "interval")]
        parts = missing[table.stream.name] = [f"series by {name}" for name in unknown]
        for name in table.names.all:
            if name not in stored:
                parts.append(f"table {name}")
            else:
                parts += [f"column {name}.{each}" for each in table.column_names if each not in stored[name]]
    return missing


TABLES: Mapping[str, Table] = MappingProxyType({stream.topic: table_of(stream) for stream in STREAMS})
