"""Many framed Avro records of one topic as columns, decoded together; decides which rows are well-formed.

Decoding record by record into dictionaries costs more than PostgreSQL needs to store the row, so here every field is
read for all records at once. A row this reader cannot follow is named as odd, never guessed: `schemas.wire.codec` is the
authority on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from struct import pack
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schemas.errors import MalformedPayload
from schemas.topics import catalogue
from schemas.wire.codec import HEADER_BYTES, MAGIC, parsed_schema, read_members
from schemas.wire.member_reading import Member

Kind = Literal["text", "long", "int", "double", "boolean", "enum", "list"]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

PADDING_BYTES = 16  # an eight-byte read at any position of the last record stays inside the buffer
HEADER_MASK = np.uint64(0xFF_FFFF_FFFF)  # the framing's five bytes
STOP_BITS = np.uint64(0x8080_8080_8080_8080)
PAYLOAD_BITS = np.uint64(0x7F7F_7F7F_7F7F_7F7F)
ONE = np.uint64(1)
INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
# Gathering the 7-bit groups of a varint: bits to keep in place, bits to move, and how far.
COMPACTION = tuple(
    (np.uint64(keep), np.uint64(move), np.uint64(shift))
    for keep, move, shift in (
        (0x007F_007F_007F_007F, 0x7F00_7F00_7F00_7F00, 1),
        (0x0000_3FFF_0000_3FFF, 0x3FFF_0000_3FFF_0000, 2),
        (0x0000_0000_0FFF_FFFF, 0x0FFF_FFFF_0000_0000, 4),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvroField:
    """One field of a flat record schema."""

    name: str
    kind: Kind
    nullable: bool = False
    symbols: tuple[bytes, ...] = ()
    members: tuple[AvroField, ...] = ()  # of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text column: where each row's UTF-8 bytes lie in the buffer; `valid` None means no row is null."""

    starts: Integers
    lengths: Integers
    valid: Flags | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column of int64, float64 or bool, an enumeration by the place of its symbol; `valid` None: no row is null."""

    values: NDArray[Any]
    valid: Flags | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """A column of lists: the members of all rows one after the other, by field; row n has those from edges[n] to edges[n + 1]."""

    edges: Integers
    numbers: dict[str, Numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Rows of one topic by field; texts lie in `buffer`."""

    size: int
    buffer: NDArray[np.uint8]
    texts: dict[str, Text]
    numbers: dict[str, Numbers]
    lists: dict[str, Members]

    def integers(self, name: str) -> Integers:
        """Return a column of int64."""
        return self.numbers[name].values


@cache
def fields_of(schema_name: str) -> tuple[AvroField, ...]:
    """Return the fields of a record schema that is flat but for lists of flat records; any other is a programming error."""
    schema: Any = parsed_schema(schema_name)
    return tuple(_field(entry["name"], entry["type"]) for entry in schema["fields"])


def _field(name: str, declared: Any) -> AvroField:
    if isinstance(declared, list):
        _null, inner_type = declared  # ["null", type] is the only union a flat record has
        inner = _field(name, inner_type)
        return AvroField(name=name, kind=inner.kind, nullable=True, symbols=inner.symbols)
    if isinstance(declared, dict) and declared["type"] == "enum":
        return AvroField(
            name=name, kind="enum", symbols=tuple(symbol.encode() for symbol in declared["symbols"])
        )
    if isinstance(declared, dict) and declared["type"] == "array":
        members = tuple(_field(each["name"], each["type"]) for each in declared["items"]["fields"])
        return AvroField(name=name, kind="list", members=members)
    kind: Kind = "text" if declared == "string" else declared
    return AvroField(name=name, kind=kind)


def read_columns(topic: str, values: Sequence[bytes]) -> tuple[Columns, Flags]:
    """Return the columns of framed `values` of `topic`, and which rows are odd.

    An odd row is damaged, of another schema version, or holds an integer beyond 55 bits; its columns are meaningless.
    """
    reader = _Reader(topic, values)
    for field in fields_of(catalogue().topics[topic].schema):
        reader.read(field)
    return reader.finish()


def _column(field: AvroField, found: Sequence[Any]) -> Numbers:
    """Return one field of all members; an enumeration by the place of its symbol."""
    if field.kind == "enum":
        places = {symbol.decode(): place for place, symbol in enumerate(field.symbols)}
        return Numbers(values=np.array([places[symbol] for symbol in found], np.int64))
    if field.kind != "double":
        valid = np.array([value is not None for value in found], np.bool_) if field.nullable else None
        return Numbers(values=np.array([value or 0 for value in found], np.int64), valid=valid)
    values = np.array(found, np.float64)  # None becomes NaN
    if not field.nullable:
        return Numbers(values=values)
    valid = ~np.isnan(values)
    if len(found) - np.count_nonzero(valid) != found.count(None):  # some said NaN themselves
        valid = np.array([value is not None for value in found], np.bool_)
    return Numbers(values=values, valid=valid)


class _Reader:
    """A cursor into every record at once; `fine` marks the rows still followed, the others rest at position 0."""

    def __init__(self, topic: str, values: Sequence[bytes]) -> None:
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        data = b"".join((*values, bytes(PADDING_BYTES)))
        # Views that read eight bytes at any position, aligned or not.
        self._words: NDArray[np.uint64] = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
        self._doubles: NDArray[np.float64] = np.ndarray((len(data) - 7,), "<f8", data, strides=(1,))
        self._buffer = np.frombuffer(data, np.uint8)
        self._ends = np.cumsum(lengths)
        starts = self._ends - lengths
        header = np.frombuffer(pack(">bI", MAGIC, catalogue().topics[topic].schema_id) + bytes(3), "<u8")[0]
        self._fine = (lengths > HEADER_BYTES) & ((self._words[starts] & HEADER_MASK) == header)
        self._at = np.where(self._fine, starts + HEADER_BYTES, 0)
        self._data, self._schema = data, catalogue().topics[topic].schema
        self._texts: dict[str, Text] = {}
        self._numbers: dict[str, Numbers] = {}
        self._lists: dict[str, Members] = {}

    def read(self, field: AvroField) -> None:
        """Read one field of every row and move on."""
        if field.kind == "list":
            self._lists[field.name] = self._list(field)
            return
        valid: Flags | None = None
        if field.nullable:
            branch = self._varint()
            self._require((branch == 0) | (branch == 1))
            valid = branch == 1
        before, fine = self._at, self._fine
        if field.kind == "text":
            self._texts[field.name] = self._text(valid)
        elif field.kind == "enum":
            self._numbers[field.name] = Numbers(values=self._enum(field), valid=valid)
        elif field.kind == "double":
            self._numbers[field.name] = Numbers(values=self._fixed(self._doubles[self._at], 8), valid=valid)
        elif field.kind == "boolean":
            flags = self._buffer[self._at]
            self._require(flags <= 1)
            self._numbers[field.name] = Numbers(values=self._fixed(flags == 1, 1), valid=valid)
        else:
            whole = self._varint()
            if field.kind == "int":
                self._require((whole >= INT_MIN) & (whole <= INT_MAX))
            self._numbers[field.name] = Numbers(values=whole, valid=valid)
        if valid is not None:  # a null takes no bytes, so whatever was read for it is undone
            self._at = np.where(valid, self._at, before)
            self._fine = np.where(valid, self._fine, fine)

    def finish(self) -> tuple[Columns, Flags]:
        """Return the columns, and as odd every row that did not end exactly where its record ends."""
        odd = ~self._fine | (self._at != self._ends)
        columns = Columns(
            size=len(odd), buffer=self._buffer, texts=self._texts, numbers=self._numbers, lists=self._lists
        )
        return columns, odd

    def _list(self, field: AvroField) -> Members:
        """Read a list of each row by itself: where one ends only reading it tells."""
        stream = BytesIO(self._data)
        found: list[Member] = []
        counts = np.zeros(len(self._at), np.int64)
        for row in np.flatnonzero(self._fine).tolist():
            stream.seek(self._at[row])
            try:
                some = read_members(self._schema, field.name, stream, self._data)
            except MalformedPayload:
                self._fine[row], self._at[row] = False, 0
                continue
            self._at[row] = stream.tell()
            counts[row] = len(some)
            found += some
        self._require(self._at <= self._ends)
        edges = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        values = list(zip(*found, strict=True)) or [()] * len(field.members)
        numbers = {each.name: _column(each, held) for each, held in zip(field.members, values, strict=True)}
        return Members(edges=edges, numbers=numbers)

    def _require(self, condition: Flags) -> None:
        self._fine = self._fine & condition
        self._at = np.where(self._fine, self._at, 0)

    def _advance(self, by: Integers | int) -> None:
        self._at = self._at + by
        self._require(self._at <= self._ends)

    def _fixed(self, values: NDArray[Any], width: int) -> NDArray[Any]:
        self._advance(width)
        return values

    def _varint(self) -> Integers:
        word = self._words[self._at]
        stop = ~word & STOP_BITS
        self._require(stop != 0)  # nine bytes and more: beyond 55 bits
        lowest = stop & (~stop + ONE)
        below = lowest - ONE
        payload = word & below & PAYLOAD_BITS | (word & lowest & PAYLOAD_BITS)
        for keep, move, shift in COMPACTION:
            payload = (payload & keep) | ((payload & move) >> shift)
        self._advance((np.bitwise_count(below).astype(np.int64) >> 3) + 1)
        zigzag = (payload >> ONE).astype(np.int64)
        return np.where(payload & ONE, ~zigzag, zigzag)

    def _text(self, valid: Flags | None) -> Text:
        lengths = self._varint()
        self._require((lengths >= 0) & (lengths <= self._ends - self._at))
        lengths = np.where(self._fine, lengths, 0)
        starts = self._at
        self._advance(lengths)
        return Text(starts=starts, lengths=lengths, valid=valid)

    def _enum(self, field: AvroField) -> Integers:
        place = self._varint()
        self._require((place >= 0) & (place < len(field.symbols)))
        return np.where(self._fine, place, 0)
