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

from schemas.deriving import ARRAY_TYPES, DDL_TYPES, TableColumn, columns, content, items, key, record_fields
from schemas.streams import Stream

ENUM_BITS = 3  # of every enumeration of a stream without entries, whatever it needs: its rows are many
MAX_FLAG_BITS = 15  # of a smallint that is never negative
INDEX_BITS = 16
MAX_INDEX = (1 << INDEX_BITS) - 1  # of a record in its raw block
FOUR_BYTES = ("int4", "date")
ARRAYS = (*ARRAY_TYPES.values(), "timestamptz[]")
MAX_REVISION = 32_767  # versions of one slot are counted up to here


class Packed(NamedTuple):
    """A field kept in bits of `flags`: an enumeration by the place of its symbol, a boolean (no symbols) as one bit."""

    name: str
    shift: int
    symbols: tuple[str, ...]
    bits: int

    @property
    def mask(self) -> int:
        """The bits of `flags` it takes."""
        return ((1 << self.bits) - 1) << self.shift

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
    whole: bool = False  # few rows, each kept for good: nothing is cut by time

    @property
    def all(self) -> tuple[str, ...]:
        """All there are."""
        return tuple(filter(None, (self.versions, self.superseded, self.newest)))

    @property
    def timed(self) -> tuple[str, ...]:
        """Those that grow with time and are cut by it."""
        return () if self.whole else tuple(filter(None, (self.versions, self.superseded)))


def tables(stream: Stream) -> Tables:
    """Return the tables of a stream, by the strategy it declares."""
    name = stream.name
    return {
        "slots": Tables(name, f"{name}_superseded", f"{name}_forming"),
        "latest": Tables(name, "", f"{name}_latest"),
        "occurrences": Tables(name, "", ""),
        "entries": Tables(name, "", "", whole=stream.for_good),
    }[stream.versions]


@cache
def packed(stream: Stream) -> tuple[Packed, ...]:
    """Return what `flags` holds, from the lowest bit on; raise ValueError where there is no room for it."""
    found, shift = [], 0
    for field in record_fields(stream):
        if field.kind in ("enum", "boolean") and not field.nullable:
            bits = _bits(stream, len(field.symbols)) if field.symbols else 1
            found.append(Packed(field.name, shift, field.symbols, bits))
            shift += bits
    if shift > MAX_FLAG_BITS or any(len(each.symbols) > 1 << each.bits for each in found):
        raise ValueError(
            f"stream {stream.name} declares more enumerations and booleans than flags have room for"
        )
    return tuple(found)


def _bits(stream: Stream, symbols: int) -> int:
    return (symbols - 1).bit_length() if stream.versions == "entries" else ENUM_BITS


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
        *(column for column in own if column.type not in (*FOUR_BYTES, "text") and column.type not in ARRAYS),
        *(column for column in own if column.type in FOUR_BYTES),
        *short,
        TableColumn("flags", "flags", "int2", nullable=False),
        *(column for column in own if column.type == "text"),
        *(column for column in own if column.type in ARRAYS),
    )


def compared(stream: Stream) -> tuple[tuple[str, ...], int]:
    """Return by which columns, and by which bits of `flags`, two versions of a value are compared."""
    said = set(content(stream))
    mask = sum(each.mask for each in packed(stream) if each.name in said)
    return tuple(c.name for c in stored_columns(stream) if c.source.partition(".")[0] in said), mask


def create_tables(stream: Stream) -> str:
    """Return the SQL that creates the stream's tables and views, for the migration that brings it."""
    lines = "".join(
        f"    {column.name} {DDL_TYPES[column.type]}{'' if column.nullable else ' NOT NULL'},\n"
        for column in stored_columns(stream)
    )
    made = tables(stream)
    slot, place = "stream_id, event_time", "stream_id, event_time, position"
    own = slot if made.superseded else place
    cut = "" if made.whole else " PARTITION BY RANGE (event_time)"
    text = f"CREATE TABLE {made.versions} (\n{lines}    PRIMARY KEY ({own})\n){cut};\n"
    if named := items(stream):
        entry = ", ".join(("stream_id", *named, "position"))
        # a unique index of a table that is cut by time would have to hold the time
        unique = "UNIQUE " if made.whole else ""
        text += f"CREATE {unique}INDEX {made.versions}_by_entry ON {made.versions} ({entry});\n"
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
