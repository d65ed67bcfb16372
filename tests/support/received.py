"""Records as Kafka would have given them, without Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.partitions import partition_of
from schemas.records import Evidence, Progress
from schemas.streams import STREAMS, Bar, Quote, Trade
from schemas.topics import DEFAULT_PARTITIONS, EVIDENCE, PROGRESS
from schemas.wire.codec import encode
from sinks.batch.batch import PartitionRecords

TOPIC_OF: dict[type, str] = {
    **{stream.record: stream.topic for stream in STREAMS}, Evidence: EVIDENCE, Progress: PROGRESS,
}  # fmt: skip
APPENDED_MS = 1_381_152_660_000


@dataclass(frozen=True)
class Message:
    """A record with its offset."""

    bytes_: bytes | None
    at: int = 0

    def value(self) -> bytes | None:
        """Return the bytes."""
        return self.bytes_

    def key(self) -> bytes:
        """Return some key."""
        return b"key"

    def offset(self) -> int:
        """Return the offset."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """Return the append time."""
        return 2, APPENDED_MS


@dataclass(frozen=True)
class ReadMessage(Message):
    """A record as a consumer gave it: with the length of its value and the epoch of the leader it was read from."""

    key_: bytes = b"key"

    def key(self) -> bytes:
        """Return its key."""
        return self.key_

    def __len__(self) -> int:
        return len(self.bytes_ or b"")

    def leader_epoch(self) -> int | None:
        """Return the epoch."""
        return 3


def home(symbol: str) -> int:
    """Return the partition of a symbol."""
    return partition_of(symbol, DEFAULT_PARTITIONS)


def a_part(
    records: Iterable[Bar | Quote | Trade | Evidence], *, partition: int | None = None, at_end: bool = True
) -> PartitionRecords:
    """Return what was read of one partition: `records` of one kind, from offset 0."""
    records = list(records)
    messages = [Message(encode(TOPIC_OF[type(record)], record), at) for at, record in enumerate(records)]
    number = home(records[0].symbol) if partition is None else partition
    part = PartitionRecords(
        topic=TOPIC_OF[type(records[0])],
        partition=number,
        partitions=DEFAULT_PARTITIONS,
        end=len(messages),
        at_end=at_end,
    )
    part.records.extend(messages)
    return part
