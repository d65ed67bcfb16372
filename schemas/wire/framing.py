"""A length-prefixed stream of Kafka records, so that a replay can pipe one service's output into another's input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from schemas.errors import MalformedPayload

# topic bytes, partition, offset, append time, key bytes (-1: none), value bytes, bytes of where it was moved from (-1: not)
_HEAD = Struct(">HiqqiIh")
MAX_VALUE_BYTES = 4_194_304


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedRecord:
    """One record with its place in the log; `append_time` in µs; `topic` without any prefix.

    `moved_from` is the header of a record that came from another topic, where its append time is from.
    """

    topic: str
    partition: int
    offset: int
    append_time: int
    key: bytes | None
    value: bytes
    moved_from: bytes | None = None


END = StreamedRecord(topic="", partition=0, offset=0, append_time=0, key=None, value=b"")
"""The last record of a stream whose reader must know that its writer did not die."""


def write_record(out: BinaryIO, record: StreamedRecord) -> None:
    """Append one record to the stream."""
    topic, key, moved = record.topic.encode(), record.key, record.moved_from
    place = (len(topic), record.partition, record.offset, record.append_time)
    out.write(_HEAD.pack(*place, _size(key), len(record.value), _size(moved)))
    out.write(topic + (key or b"") + record.value + (moved or b""))


def read_records(source: BinaryIO) -> Iterator[StreamedRecord]:
    """Yield every record; raise MalformedPayload where the stream ends inside one."""
    while head := _exactly(source, _HEAD.size, may_end=True):
        topic_bytes, partition, offset, append_time, key_bytes, value_bytes, moved_bytes = _HEAD.unpack(head)
        if value_bytes > MAX_VALUE_BYTES or key_bytes > MAX_VALUE_BYTES:
            raise MalformedPayload(f"a record of {value_bytes} bytes; this is not a record stream")
        yield StreamedRecord(
            topic=_exactly(source, topic_bytes).decode(),
            partition=partition,
            offset=offset,
            append_time=append_time,
            key=None if key_bytes < 0 else _exactly(source, key_bytes),
            value=_exactly(source, value_bytes),
            moved_from=None if moved_bytes < 0 else _exactly(source, moved_bytes),
        )


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _exactly(source: BinaryIO, size: int, *, may_end: bool = False) -> bytes:
    data = source.read(size)
    if len(data) != size and not (may_end and not data):
        raise MalformedPayload("the record stream ends inside a record; run the replay again")
    return data
