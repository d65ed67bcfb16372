"""The table each declared stream is stored in, and how each record field becomes a column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schemas.deriving import SqlType, columns, content, key, newest_table
from schemas.streams import STREAMS, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyColumn:
    """One column: `source` is the record's field; a `constant` is the same in every row and has no source."""

    name: str
    source: str
    type: SqlType
    constant: int | None = None


# the first version of a slot is revision 0
REVISION = CopyColumn(name="revision", source="", type="int4", constant=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of versions, and the table of newest values kept beside it."""

    stream: Stream
    name: str
    key: tuple[str, ...]  # what a version is a version of, besides its event_time
    content: tuple[str, ...]  # what makes two versions the same value; empty: occurrences, never compared
    newest: str  # table of newest values; empty where there is none
    columns: tuple[CopyColumn, ...]

    @property
    def topic(self) -> str:
        """The canonical topic whose records it holds."""
        return self.stream.topic

    @property
    def has_slots(self) -> bool:
        """Whether its values fill numbered slots, so that one can be missing; each has a newest version of its own."""
        return self.stream.versions == "slots"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in COPY order."""
        return tuple(column.name for column in self.columns)


def table_of(stream: Stream) -> Table:
    """Return the table of a declared stream."""
    return Table(
        stream=stream,
        name=stream.name,
        key=key(stream),
        content=content(stream),
        newest=newest_table(stream),
        columns=tuple(CopyColumn(name=c.name, source=c.source, type=c.type) for c in columns(stream)),
    )


def missing_columns(tables: Collection[Table], stored: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return, by stream, what keeps it from being stored: tables and columns a database with `stored` columns lacks."""
    missing: dict[str, list[str]] = {}
    for table in tables:
        # a stream id has room for these alone
        unknown = [name for name in table.key if name not in ("symbol", "provider", "interval")]
        parts = missing[table.stream.name] = [f"series by {name}" for name in unknown]
        for name in filter(None, (table.name, table.newest)):
            if name not in stored:
                parts.append(f"table {name}")
            else:
                parts += [f"column {name}.{each}" for each in table.column_names if each not in stored[name]]
    return missing


TABLES: Mapping[str, Table] = MappingProxyType({stream.topic: table_of(stream) for stream in STREAMS})
