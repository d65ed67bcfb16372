"""Reading logs without a group: where a partition starts and ends, what lies between, and what became of it.

The one place that knows what librdkafka's codes say of a log.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import (
    NO_LEADER_YET,
    NOT_ALLOWED,
    Message,
    consumer_config,
    heard_by,
    unavailable,
)
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.rights import NO_GROUP
from schemas.topics import MOVED_FROM

T = TypeVar("T")

READ_TIMEOUT_S = 15.0
TAIL_BATCH = 2_000
RETRY_POLL_S = 0.1
# A topic just made, a broker just back, a client that waits in vain: the next answer may be another.
TRIED_AGAIN = NO_LEADER_YET | {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - librdkafka's own codes, as opposed to the broker's, are spelt so
    KafkaError._TIMED_OUT,  # noqa: SLF001
}
TRY_S = 4.0
# The log no longer holds the position: truncated, expired, or another log that is shorter.
POSITION_LOST = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError._LOG_TRUNCATION,  # noqa: SLF001
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
# Deleted, or deleted and made again under another id, or a broker that just came up and has not heard of it.
TOPIC_UNKNOWN = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
    }
)
PASSING = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001


class MovedFrom(NamedTuple):
    """The place of a moved record in the topic of the same name it was moved from."""

    partition: int
    offset: int
    known_from_us: int


class LogEvent(Enum):
    """The meaning of a message with an error for its partition."""

    END = "end"  # nothing follows its offset yet; aborted and control records may lie before it
    POSITION_LOST = "position_lost"  # the log does not hold the position any more
    TOPIC_UNKNOWN = "topic_unknown"  # it is gone, or another; its topic id tells
    PASSING = "passing"  # the client tries again by itself
    NOT_ALLOWED = "not_allowed"  # this user may not read it
    DEAD = "dead"  # the client is of no more use
    FAULT = "fault"  # anything else

    @property
    def log_changed(self) -> bool:
        """Whether positions and topic ids must be looked at again."""
        return self in (LogEvent.POSITION_LOST, LogEvent.TOPIC_UNKNOWN)


def event_of(error: KafkaError) -> LogEvent:
    """Return what the error of a message that a consumer gave says of its partition."""
    code = error.code()
    if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
        return LogEvent.END
    if code in POSITION_LOST:
        return LogEvent.POSITION_LOST
    if code in TOPIC_UNKNOWN:
        return LogEvent.TOPIC_UNKNOWN
    if code in NOT_ALLOWED:
        return LogEvent.NOT_ALLOWED
    if error.fatal() or code in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID):  # noqa: SLF001
        return LogEvent.DEAD
    return LogEvent.PASSING if error.retriable() or code in PASSING else LogEvent.FAULT


def append_time_us(message: Message) -> int | None:
    """Return when a broker appended the record, µs; None where its producer stamped it.

    A record that was moved here from another topic was known since the time it was given there.
    """
    kind, stamp_ms = message.timestamp()
    if kind == TIMESTAMP_LOG_APPEND_TIME:
        return stamp_ms * 1_000
    moved = moved_from(message)
    return None if moved is None else moved.known_from_us


def moved_from(message: Message) -> MovedFrom | None:
    """Return where a moved record lay before; None where it was not moved: what the broker stamped itself was not."""
    if message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME:
        return None
    return moved_place(cast("list[tuple[str, bytes | None]]", message.headers() or []))


def moved_place(headers: Iterable[tuple[str, bytes | None]]) -> MovedFrom | None:
    """Return where a record with these headers lay before it was moved; None where it was not."""
    for name, value in headers:
        if name == MOVED_FROM and isinstance(value, bytes):
            parts = value.decode("ascii", "replace").split("/")
            if len(parts) == len(MovedFrom._fields) and all(part.isdecimal() for part in parts):
                return MovedFrom(*map(int, parts))
    return None


class LogReader:
    """Reads any partitions from any offsets, in no group; every method blocks and raises BrokerUnavailable."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        committed: bool = True,
        within_s: float = READ_TIMEOUT_S,
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect lazily; `close` must be called.

        `committed` False also delivers records of transactions that are open or aborted. `within_s` bounds each
        question to the broker; `tuning` are settings of librdkafka that replace ours.
        """
        isolation = "read_committed" if committed else "read_uncommitted"
        settings = {**consumer_config(bootstrap, client_id), "isolation.level": isolation, **(tuning or {})}
        self._tell = settings["error_cb"]
        self._consumer = Consumer({**settings, "error_cb": heard_by(self._on_error)})
        self._within_s = within_s
        self.topic_doubted = False  # until the caller says otherwise: what is read may be another log by now

    def __enter__(self) -> LogReader:
        """Return the reader itself, closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        """Close."""
        self.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return (log start, high watermark) of a partition, asking again while its leader moves."""
        place = Place(topic, partition)
        low, high = self._asked(place, self._consumer.get_watermark_offsets, place)
        return low, high

    def offset_at(self, topic: str, partition: int, time_us: int) -> int | None:
        """Return the offset of the first record appended at or after `time_us`; None where there is none yet."""
        # A negative one is no time to a broker: -1 asks for the end of the log.
        place = Place(topic, partition, max(0, time_us // 1_000))
        (found,) = self._asked(place, self._consumer.offsets_for_times, [place])
        return None if found.offset < 0 else found.offset

    def _asked(self, place: Place, ask: Callable[..., Any], given: Any) -> Any:
        # A new client may wait in vain for a leader it was told of (confluent-kafka-dotnet#1510): no single try has the
        # whole time, and what the cluster looks like is asked anew before the next one.
        deadline_s = monotonic_s() + self._within_s
        while True:
            try:
                return ask(given, timeout=max(RETRY_POLL_S, min(TRY_S, deadline_s - monotonic_s())))
            except KafkaException as error:
                if error.args[0].code() not in TRIED_AGAIN or monotonic_s() >= deadline_s:
                    raise unavailable(f"{place.topic}/{place.partition}", error) from error
            time.sleep(RETRY_POLL_S)
            with suppress(KafkaException):
                self._consumer.list_topics(place.topic, timeout=min(TRY_S, self._within_s))

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._consumer.assign([Place(topic, number, at) for (topic, number), at in starts.items()])

    def unassign(self) -> None:
        """Read nothing."""
        self._consumer.unassign()

    def fetch(self, most: int, *, within_s: float) -> list[Message]:
        """Return what has arrived, waiting up to `within_s` for the first; the order of each partition is kept."""
        try:
            first = self._consumer.poll(within_s)
            if first is not None and first.topic() is None and (error := first.error()) is not None:
                _refuse(error)
            # consume() waits for a full batch until its time-out: only what has already arrived is asked for.
            return [] if first is None else [first, *self._consumer.consume(most - 1, 0)]
        except KafkaException as error:
            raise unavailable("reading", error) from error

    def read(self, topic: str, partition: int, start: int, end: int | None = None) -> Iterator[Message]:
        """Yield the records of a partition from the offset `start` on, as `records_between` does."""
        return records_between(self, topic, partition, start, end)

    def close(self) -> None:
        """Give up the connection."""
        self._consumer.close()

    def _on_error(self, error: KafkaError) -> None:
        # An assigned partition whose topic is gone is told here, never as a message (measured); where the topic is made
        # again and is longer than our position, reading simply goes on in it.
        self.topic_doubted = self.topic_doubted or error.code() in TOPIC_UNKNOWN
        self._tell(error)


def _refuse(error: KafkaError) -> None:
    """Raise where an error that is of no topic says that this user may not even ask for a group."""
    if error.code() in NOT_ALLOWED:
        raise unavailable(f"reading, in the group {NO_GROUP} that nobody joins", KafkaException(error))


class Source(Protocol):
    """The part of a reader that `records_between` uses."""

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on."""

    def fetch(self, most: int, *, within_s: float) -> list[Message]:
        """Return what has arrived, waiting up to `within_s` for the first."""


def records_between(
    source: Source, topic: str, partition: int, start: int, end: int | None = None
) -> Iterator[Message]:
    """Yield the records of a partition from `start` to its end, or those before the offset `end`; blocking.

    The end is the end-of-partition event, never the high watermark: aborted and control records lie below that
    and are never delivered. Where others go on writing that event may never come: then give the `end` that
    `bounds` told. Raises BrokerUnavailable when no record comes for 15 s, or the log is not what it was.
    """
    limit = sys.maxsize if end is None else end
    if start >= limit:
        return
    source.assign({TopicPartition(topic, partition): start})
    heard_s = monotonic_s()
    while True:
        batch = source.fetch(TAIL_BATCH, within_s=READ_TIMEOUT_S)
        for message in batch:
            if message.topic() is not None and (message.topic(), message.partition()) != (topic, partition):
                # A client that has read another partition may still hand out what it had of it, its end as well: taken
                # for ours it would hide all that there is.
                continue
            if (error := message.error()) is None:
                heard_s, offset = monotonic_s(), message.offset() or 0
                if offset < limit:
                    yield message
                if offset >= limit - 1:
                    return
                continue
            event = event_of(error)
            if event is LogEvent.END:
                return
            if event is not LogEvent.PASSING:
                raise BrokerUnavailable(f"{topic}/{partition} cannot be read: {error.str()}")
        if not batch or monotonic_s() - heard_s > READ_TIMEOUT_S:
            raise BrokerUnavailable(
                f"{topic}/{partition} gave nothing for {READ_TIMEOUT_S:.0f} s; is the broker up?"
            )


def newest(
    reader: LogReader, topic: str, partition: int, found: Callable[[Message], T | None], *, window: int
) -> tuple[T | None, int]:
    """Return what `found` makes of the last record it is not None for, and where the log ended before that was read.

    Looks back `window` offsets, then twice as far, until there is one or the log begins: aborted and control records
    count as offsets, too. Raises BrokerUnavailable.
    """
    low, high = reader.bounds(topic, partition)
    while True:
        start, last = max(low, high - window), None
        for message in reader.read(topic, partition, start, high):
            made = found(message)
            last = last if made is None else made
        if last is not None or start == low:
            return last, high
        window *= 2
