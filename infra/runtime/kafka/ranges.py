"""Stretches of logs that somebody asks for, by offset or by time of knowledge, and what of them the broker has deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from infra.runtime.clock import rfc3339
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, append_time_us, moved_from
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.partitions import TopicPartition
from schemas.topics import CANONICAL_TOPICS
from schemas.wire.codec import decode_value
from schemas.wire.framing import StreamedRecord

MILLISECOND_US = 1_000


class Range(NamedTuple):
    """Offsets [start, end) of a partition of a topic, named without prefix."""

    topic: str
    partition: int
    start: int
    end: int


class DeletedRange(NamedTuple):
    """Offsets [start, end) that were asked for, or may have been, and are deleted; `since_us` is when the next was known."""

    topic: str
    partition: int
    start: int
    end: int
    since_us: int | None

    def __str__(self) -> str:
        """Return it in words."""
        whole = "" if self.since_us is None else f"; whole since {rfc3339(self.since_us)}"
        return f"{self.topic}/{self.partition}: offsets {self.start} to {self.end - 1} are deleted{whole}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The stretch of a log that is asked for: known at or after `since_us` and before `until_us`, from an offset on.

    `positions` are offsets by partition; of None those of every partition that is not named.
    """

    since_us: int | None = None
    until_us: int | None = None
    positions: Mapping[int | None, int]

    def position(self, partition: int) -> int | None:
        """Return the offset asked for in a partition; None where none is."""
        return self.positions.get(partition, self.positions.get(None))


def planned(
    reader: LogReader,
    prefix: str,
    places: Iterable[TopicPartition],
    asked: Sought,
    done: Mapping[TopicPartition, int] | None = None,
) -> tuple[list[Range], list[DeletedRange]]:
    """Return what lies in `asked` of these partitions now, and what of it is deleted; raises like LogReader.

    Where a partition is `done` up to an offset, what lies behind that.
    Raises ConfigurationError where an offset lies behind the end of its log.
    """
    ranges, holes = [], []
    for topic, partition in places:
        low, high = reader.bounds(prefix + topic, partition)
        log = _Log(reader, prefix, topic, partition, low, high)
        position = (done or {}).get(TopicPartition(topic, partition), asked.position(partition))
        if position is not None and position > high:
            raise ConfigurationError(
                f"{prefix}{topic}/{partition} ends at offset {high}, before {position}",
                remedy="name an offset up to there, or `PARTITION:OFFSET` for the partition that is meant",
            )
        start = low if asked.since_us is None or position is not None else log.first_known(asked.since_us)
        end = high if asked.until_us is None else log.first_known(asked.until_us)
        if position is not None:
            start = max(low, position)
        first_us = log.known_since() if low else None
        is_since = asked.since_us is not None and position is None
        begins_behind = is_since and first_us is not None and first_us < (asked.since_us or 0)
        if (position or 0) < low and not begins_behind:
            holes.append(DeletedRange(prefix + topic, partition, position or 0, low, first_us))
        if start < end:
            ranges.append(Range(topic, partition, start, end))
    return ranges, holes


def records(reader: LogReader, prefix: str, each: Range) -> Iterator[StreamedRecord]:
    """Yield the committed records of a range; raises like LogReader.

    Raises ConfigurationError where no broker stamps them, or where its first ones were deleted since it was planned.
    """
    low, _ = reader.bounds(prefix + each.topic, each.partition)
    if low > each.start:
        raise ConfigurationError(
            f"{prefix}{each.topic}/{each.partition}: offsets {each.start} to {min(low, each.end) - 1} were deleted meanwhile",
            remedy="begin anew with what is left, in another target, or read the archive",
        )
    for message in reader.read(prefix + each.topic, each.partition, each.start, each.end):
        yield streamed(message, each.topic, each.partition)


def streamed(message: Message, topic: str, partition: int) -> StreamedRecord:
    """Return a record as a record stream has it; raise ConfigurationError where no broker stamped it."""
    appended_us, moved = append_time_us(message), moved_from(message)
    if appended_us is None:
        raise ConfigurationError(
            f"{topic} is stamped by its producers, not by the broker",
            remedy="set message.timestamp.type=LogAppendTime on it (`mds topics apply`)",
        )
    return StreamedRecord(
        topic=topic,
        partition=partition,
        offset=message.offset() or 0,
        append_time=appended_us,
        key=_bytes(message.key()),
        value=_bytes(message.value()) or b"",
        moved_from=None if moved is None else "/".join(map(str, moved)).encode(),
    )


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data


class _Log(NamedTuple):
    """A partition that is looked into: offsets [low, high)."""

    reader: LogReader
    prefix: str
    topic: str
    partition: int
    low: int
    high: int

    def first_known(self, time_us: int) -> int:
        """Return the first offset known at or after a moment, `high` where there is none.

        Of a raw topic that is the first record appended by then: knowledge time is the running maximum of append times, and
        Kafka keeps those to the millisecond. Records of a canonical topic say it themselves, in order, so it is found by halves.
        """
        if self.topic not in CANONICAL_TOPICS:
            rounded_us = -(-time_us // MILLISECOND_US) * MILLISECOND_US
            found = self.reader.offset_at(self.prefix + self.topic, self.partition, rounded_us)
            return self.high if found is None else min(max(found, self.low), self.high)
        low, high = self.low, self.high
        while low < high:
            middle = (low + high) // 2
            message = self._at(middle)
            if message is None or self._known_us(message) >= time_us:
                high = middle
            else:
                low = (message.offset() or 0) + 1
        return low

    def known_since(self) -> int | None:
        """Return when the first record that is kept was known; None where there is none."""
        message = self._at(self.low)
        return None if message is None else self._known_us(message)

    def _at(self, offset: int) -> Message | None:
        """Return the first record at or after an offset; None where only the marks of transactions follow."""
        return next(self.reader.read(self.prefix + self.topic, self.partition, offset, self.high), None)

    def _known_us(self, message: Message) -> int:
        if self.topic in CANONICAL_TOPICS:
            with suppress(MalformedPayload):
                return int(decode_value(self.topic, _bytes(message.value()))["known_from"])
        return append_time_us(message) or 0
