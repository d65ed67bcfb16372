"""Records that hold lists read in parts: what is flat by the general reader, lists of numbers by their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple, cast

import fastavro
from fastavro.types import Schema

from schemas.wire.event_reading import Unusual
from schemas.wire.member_reading import Member, MemberReader, member_fields


class _List(NamedTuple):
    name: str
    fields: tuple[str, ...]
    reader: MemberReader
    schema: Schema


class RecordReader:
    """Reads records of one schema."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read records of the schema that a `document` declares."""
        self._parts: list[Schema | _List] = []
        flat: list[Any] = []
        for entry in document["fields"]:
            members = member_fields(entry["type"])
            if members is None:
                flat.append(entry)
                continue
            self._parts += [_part(document, flat)] if flat else []
            names = tuple(member.name for member in members)
            schema = fastavro.parse_schema(entry["type"])
            self._parts.append(_List(entry["name"], names, MemberReader(members), schema))
            flat = []
        self._parts += [_part(document, flat)] if flat else []

    def read(self, stream: BytesIO, data: bytes) -> dict[str, Any]:
        """Return the record that begins where `stream`, over `data`, stands, and leave it behind; raises what fastavro raises."""
        record: dict[str, Any] = {}
        for part in self._parts:
            if isinstance(part, _List):
                rows = _members(part, stream, data)
                record[part.name] = [dict(zip(part.fields, row, strict=True)) for row in rows]
            else:
                record |= cast("dict[str, Any]", fastavro.schemaless_reader(stream, part, None))
        return record

    def members(self, name: str, stream: BytesIO, data: bytes) -> Sequence[Member]:
        """Return the members of the list called `name` that begins where `stream` stands; raises what fastavro raises."""
        part = next(each for each in self._parts if isinstance(each, _List) and each.name == name)
        return _members(part, stream, data)


def _part(document: Mapping[str, Any], flat: Sequence[Any]) -> Schema:
    return fastavro.parse_schema({**document, "fields": list(flat)})


def _members(part: _List, stream: BytesIO, data: bytes) -> Sequence[Member]:
    begin = stream.tell()
    try:
        rows, end = part.reader.read(data, begin)
    except (Unusual, IndexError):  # it may still be right
        found = cast("list[dict[str, Any]]", fastavro.schemaless_reader(stream, part.schema, None))
        return [tuple([each[name] for name in part.fields]) for each in found]
    stream.seek(end)
    return rows
