"""Tables of the canonical topics, and the column of each record field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from schemas.identity import BAR_CONTENT, QUOTE_CONTENT
from schemas.topics import BARS, QUOTES, TRADES, catalogue
from sinks.columns.avro import fields_of

SqlType = Literal["text", "int8", "int4", "float8", "bool", "timestamptz"]
TIMES = frozenset({"event_time", "known_from", "received_time"})
SQL_TYPES: Mapping[str, SqlType] = MappingProxyType(
    {"text": "text", "enum": "text", "long": "int8", "int": "int4", "double": "float8", "boolean": "bool"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `source` is the record's field; a `constant` is the same in every row and has no source."""

    name: str
    source: str
    type: SqlType
    constant: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of versions, and the table of newest values kept beside it."""

    topic: str
    name: str
    key: tuple[str, ...]  # what a version is a version of, besides its event_time
    content: tuple[str, ...]  # what makes two versions the same value; empty: occurrences, never compared
    newest: str  # table of newest values; empty where there is none
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in COPY order."""
        return tuple(column.name for column in self.columns)


def _columns(topic: str) -> tuple[Column, ...]:
    columns = []
    for field in fields_of(catalogue().topics[topic].schema):
        kind: SqlType = "timestamptz" if field.name in TIMES else SQL_TYPES[field.kind]
        columns.append(
            Column(name="idx" if field.name == "index" else field.name, source=field.name, type=kind)
        )
    return tuple(columns)


REVISION = Column(
    name="revision", source="", type="int4", constant=0
)  # the first version of a bar is revision 0
TABLES: Mapping[str, Table] = MappingProxyType(
    {
        QUOTES: Table(
            topic=QUOTES,
            name="quotes",
            key=("symbol", "provider"),
            content=QUOTE_CONTENT,
            newest="quotes_latest",
            columns=_columns(QUOTES),
        ),
        TRADES: Table(
            topic=TRADES,
            name="trades",
            key=("symbol", "provider"),
            content=(),
            newest="",
            columns=_columns(TRADES),
        ),
        BARS: Table(
            topic=BARS,
            name="bars",
            key=("symbol", "provider", "interval"),
            content=BAR_CONTENT,
            newest="bars_current",
            columns=_columns(BARS),
        ),
    }
)
