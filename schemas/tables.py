"""The tables a stream is stored in, derived from its declaration: rows as small as they can be, views that say them in full.

A row names its series by `stream_id`, its place in our log by one integer, and packs enumerations and booleans into
`flags`. Columns of eight bytes come first: PostgreSQL pads every value to its own size. The public contract is the
views `v_<table>`; tables may change, views do not.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from schemas.deriving import DDL_TYPES, TableColumn, columns, content, key, record_fields
from schemas.streams import Stream

ENUM_BITS = 3
MAX_FLAG_BITS = 15  # of a smallint that is never negative
INDEX_BITS = 16
MAX_INDEX = (1 << INDEX_BITS) - 1  # of a record in its raw block
MAX_REVISION = 32_767  # versions of one slot are counted up to here


class Packed(NamedTuple):
    """A field kept in bits of `flags`: an enumeration by the place of its symbol, a boolean (no symbols) as one bit."""

    name: str
    shift: int
    symbols: tuple[str, ...]

    @property
    def mask(self) -> int:
        """The bits of `flags` it takes."""
        return ((1 << ENUM_BITS) - 1 if self.symbols else 1) << self.shift

    def read(self, row: str) -> str:
        """Return the SQL that reads it from the row called `row`."""
        if not self.symbols:
            return f"({row}.flags & {self.mask}) <> 0"
        symbols = ", ".join(f"'{symbol}'" for symbol in self.symbols)
        return f"(ARRAY[{symbols}])[(({row}.flags & {self.mask}) >> {self.shift}) + 1]"


class Tables(NamedTuple):
    """Names of the tables a stream is stored in; empty where its strategy has none."""

    versions: str  # the current version of each slot; otherwise every version, or every occurrence
    superseded: str  # versions of slots that others replaced
    newest: str  # one row a series: the newest value, or of slots the one still forming

    @property
    def timed(self) -> tuple[str, ...]:
        """Those that grow with time and are cut by it."""
        return tuple(filter(None, (self.versions, self.superseded)))


def tables(stream: Stream) -> Tables:
    """Return the tables of a stream, by the strategy it declares."""
    name = stream.name
    return {
        "slots": Tables(name, f"{name}_superseded", f"{name}_forming"),
        "latest": Tables(name, "", f"{name}_latest"),
        "occurrences": Tables(name, "", ""),
    }[stream.versions]


@cache
def packed(stream: Stream) -> tuple[Packed, ...]:
    """Return what `flags` holds, from the lowest bit on; raise ValueError where there is no room for it."""
    found, shift = [], 0
    for field in record_fields(stream):
        if field.kind in ("enum", "boolean") and not field.nullable:
            found.append(Packed(field.name, shift, field.symbols))
            shift += ENUM_BITS if field.symbols else 1
    if shift > MAX_FLAG_BITS or any(len(each.symbols) > 1 << ENUM_BITS for each in found):
        raise ValueError(
            f"stream {stream.name} declares more enumerations and booleans than flags have room for"
        )
    return tuple(found)


@cache
def stored_columns(stream: Stream) -> tuple[TableColumn, ...]:
    """Return the columns of a row as stored, in the order of the table and of COPY; those without a source are counted."""
    apart = {*key(stream), "event_time", "raw_offset", "index", *(each.name for each in packed(stream))}
    own = [column for column in columns(stream) if column.source not in apart]
    short = [TableColumn("revision", "", "int2", nullable=False)] if stream.versions == "slots" else []
    return (
        TableColumn("stream_id", "stream_id", "int8", nullable=False),
        TableColumn("event_time", "event_time", "timestamptz", nullable=False),
        TableColumn("position", "position", "int8", nullable=False),
        *(column for column in own if column.type not in ("int4", "text")),
        *(column for column in own if column.type == "int4"),
        *short,
        TableColumn("flags", "flags", "int2", nullable=False),
        *(column for column in own if column.type == "text"),
    )


def compared(stream: Stream) -> tuple[tuple[str, ...], int]:
    """Return by which columns, and by which bits of `flags`, two versions of a value are compared."""
    said = set(content(stream))
    mask = sum(each.mask for each in packed(stream) if each.name in said)
    return tuple(column.name for column in stored_columns(stream) if column.source in said), mask


def create_tables(stream: Stream) -> str:
    """Return the SQL that creates the stream's tables and views, for the migration that brings it."""
    lines = "".join(
        f"    {column.name} {DDL_TYPES[column.type]}{'' if column.nullable else ' NOT NULL'},\n"
        for column in stored_columns(stream)
    )
    made = tables(stream)
    slot, place = "stream_id, event_time", "stream_id, event_time, position"
    own = slot if made.superseded else place
    text = f"CREATE TABLE {made.versions} (\n{lines}    PRIMARY KEY ({own})\n) PARTITION BY RANGE (event_time);\n"
    text += f"CREATE INDEX {made.versions}_by_knowledge ON {made.versions} USING brin (known_from);\n"
    if made.superseded:
        text += (
            f"CREATE TABLE {made.superseded} (\n    LIKE {made.versions},\n    PRIMARY KEY ({place})\n"
            ") PARTITION BY RANGE (event_time);\n"
        )
    if made.newest:
        text += f"CREATE TABLE {made.newest} (\n    LIKE {made.versions},\n    PRIMARY KEY (stream_id)\n) WITH (fillfactor = 50);\n"
    return text + "".join(create_views(stream))


def create_views(stream: Stream) -> Iterator[str]:
    """Yield the SQL that creates each view of the stream: the names of its record, without what storing made of them."""
    made = tables(stream)
    yield _view(stream, f"v_{made.versions}", made.versions)
    if made.superseded:
        both = f"(SELECT * FROM {made.versions} UNION ALL SELECT * FROM {made.superseded})"
        yield _view(stream, f"v_{made.versions}_all", both)
    if made.newest:
        # A bar whose final version is stored forms no more; its last row only waits to be written over.
        final = (
            f"(SELECT FROM {made.versions} v WHERE v.stream_id = r.stream_id AND v.event_time = r.event_time)"
        )
        yield _view(
            stream, f"v_{made.newest}", made.newest, f" WHERE NOT EXISTS {final}" if made.superseded else ""
        )


def _view(stream: Stream, name: str, source: str, where: str = "") -> str:
    bits = {each.name: each for each in packed(stream)}
    series = set(key(stream))
    shown = []
    for column in columns(stream):
        if column.source in bits:
            shown.append(f"{bits[column.source].read('r')} AS {column.name}")
        elif column.source in ("raw_offset", "index"):
            read = (
                f"r.position >> {INDEX_BITS}"
                if column.source == "raw_offset"
                else f"(r.position & {MAX_INDEX})::integer"
            )
            shown.append(f"{read} AS {column.name}")
        else:
            shown.append(f"{'s' if column.source in series else 'r'}.{column.name}")
    if stream.versions == "slots":
        shown.append("r.revision::integer AS revision")
    shown += ["r.position", "r.stream_id"]
    return (
        f"CREATE VIEW {name} AS\n    SELECT {', '.join(shown)}\n"
        f"    FROM {source} r JOIN streams s USING (stream_id){where};\n"
    )
