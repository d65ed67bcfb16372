"""Avro bytes ↔ records, in Confluent framing: 0x00, the schema id as 4 big-endian bytes, Avro binary.

The only user of fastavro. Ids are pinned (`schemas.topics`), so no registry is needed to read or write; the
gateway serves the same ids to stock clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from io import BytesIO
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any, TypeVar, cast

import fastavro
from fastavro.types import Schema

from schemas.errors import InvalidRecord, MalformedPayload
from schemas.records import Discontinuity, RawBlock
from schemas.topics import catalogue
from schemas.wire.member_reading import Member, member_fields
from schemas.wire.record_reading import RecordReader

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAGIC = 0
HEADER_BYTES = 5
MAX_RECORD_BYTES = 1_048_576  # checked before decoding: an Avro length can claim anything

R = TypeVar("R")


class UnknownSchema(MalformedPayload):
    """The schema id is not one of ours, or not one this topic carries."""

    reason = "unknown_schema"


class OversizedRecord(MalformedPayload):
    """The record is larger than any of ours may be."""

    reason = "oversized"


@cache
def schema_text(name: str) -> str:
    """Return the published Avro schema file `name` (such as `bar.v1`), byte for byte."""
    return resources.files("schemas").joinpath("avro", f"{name}.avsc").read_text("utf-8")


@cache
def parsed_schema(name: str) -> Schema:
    """Return the schema `name` parsed for fastavro."""
    return fastavro.parse_schema(json.loads(schema_text(name)))


@cache
def _of_topic(topic: str) -> tuple[bytes, Schema]:
    declared = catalogue().topics[topic]
    return pack(">bI", MAGIC, declared.schema_id), parsed_schema(declared.schema)


def _family(schema: str) -> str:
    return schema.rpartition(".v")[0]


def encode_value(topic: str, value: Mapping[str, Any]) -> bytes:
    """Return the framed bytes of `value` as the newest schema of `topic`; raise InvalidRecord where it does not fit."""
    header, schema = _of_topic(topic)
    out = BytesIO(header)
    out.seek(HEADER_BYTES)
    try:
        fastavro.schemaless_writer(out, schema, value)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidRecord(f"{topic}: {error}; compare the value with its schema") from error
    return out.getvalue()


def encode(topic: str, record: DataclassInstance) -> bytes:
    """Return the framed bytes of a record meant for `topic`."""
    return encode_value(topic, asdict(record))


def encode_events(topic: str, events: Iterable[Mapping[str, Any]], common: Mapping[str, Any]) -> list[bytes]:
    """Return the framed bytes of many canonical values that share `common` (provider, known_from, raw_offset ...).

    Each event must carry its own `index`. One buffer serves all of them: this is the processor's hot path.
    """
    header, schema = _of_topic(topic)
    out, write, values = BytesIO(), fastavro.schemaless_writer, []
    for event in events:
        out.seek(0)
        out.truncate()
        out.write(header)
        write(out, schema, {**event, **common})
        values.append(out.getvalue())
    return values


def decode_value(topic: str, data: bytes | None) -> dict[str, Any]:
    """Return the fields of a framed record read from `topic`.

    Raises OversizedRecord, UnknownSchema or MalformedPayload, each naming what would be right; never
    anything else, whatever the bytes are.
    """
    if data is None:
        raise MalformedPayload(f"{topic}: the record has no value; send an Avro record or nothing")
    if len(data) > _limit(topic):
        raise OversizedRecord(
            f"{topic}: {len(data)} bytes, at most {_limit(topic)} are accepted; split the record"
        )
    if len(data) < HEADER_BYTES or data[0] != MAGIC:
        raise MalformedPayload(f"{topic}: not in Confluent framing (0x00, 4-byte schema id, Avro)")
    reader = catalogue().topics[topic].schema
    (number,) = unpack_from(">I", data, 1)
    writer = catalogue().schema_ids.get(number)
    if writer is None or _family(writer) != _family(reader):
        raise UnknownSchema(
            f"{topic}: schema id {number} is not one of {reader}; use the ids of GET /subjects"
        )
    stream = BytesIO(data)
    stream.seek(HEADER_BYTES)
    reader_schema = None if writer == reader else parsed_schema(reader)
    try:
        value: Any = (
            record_reader(reader).read(stream, data)
            if reader_schema is None and _has_lists(reader)
            else fastavro.schemaless_reader(stream, parsed_schema(writer), reader_schema)
        )
    except Exception as error:
        raise MalformedPayload(f"{topic}: the bytes are not a {reader}: {type(error).__name__}") from error
    if stream.tell() != len(data):
        raise MalformedPayload(
            f"{topic}: {len(data) - stream.tell()} bytes follow the record; send one record a message"
        )
    return cast("dict[str, Any]", value)


def read_members(schema: str, field: str, stream: BytesIO, data: bytes) -> Sequence[Member]:
    """Return the members of the list that is `field` of a record of `schema` and begins where `stream`, over `data`, stands.

    Each is its values in the order of the declaration. Raises MalformedPayload.
    """
    try:
        return record_reader(schema).members(field, stream, data)
    except Exception as error:  # hostile bytes make fastavro raise nearly anything
        raise MalformedPayload(f"the bytes are no {field} of a {schema}: {type(error).__name__}") from error


@cache
def record_reader(schema: str) -> RecordReader:
    """Return the reader of a schema's records."""
    return RecordReader(json.loads(schema_text(schema)))


@cache
def _has_lists(schema: str) -> bool:
    return any(
        member_fields(entry["type"]) is not None for entry in json.loads(schema_text(schema))["fields"]
    )


def _limit(topic: str) -> int:
    declared = catalogue().topics[topic]
    return declared.max_message_bytes if declared.kind == "dead" else MAX_RECORD_BYTES


def decode(topic: str, data: bytes | None, record: Callable[..., R]) -> R:
    """Return the framed record as `record`; raises like `decode_value`."""
    return record(**decode_value(topic, data))


def decode_block(topic: str, data: bytes | None) -> RawBlock:
    """Return a framed raw block; its events stay mappings. Raises like `decode_value`."""
    fields = decode_value(topic, data)
    fields["discontinuities"] = tuple(Discontinuity(**entry) for entry in fields["discontinuities"])
    return RawBlock(**fields)
