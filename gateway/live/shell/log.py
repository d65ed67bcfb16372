"""Reads the canonical topics from Kafka at their live end, and what every reader of them must know of a log that changes.

There is no group: every gateway process reads everything, and commits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.kafka.topics import Topics
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition

READ_BATCH = 1_000
POLL_S = 0.2
REQUEST_TIMEOUT_S = 5.0
EPOCH_CHARS = 8  # of a 128-bit topic id: enough to tell one incarnation from another
TUNING: Mapping[str, Any] = {
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 32_768,  # the bound of what waits for us in the client
    "fetch.queue.backoff.ms": 10,  # the default of a second stalls a full queue for a second
    "fetch.wait.max.ms": 100,
    "topic.metadata.propagation.max.ms": 1_000,  # for so long only does a topic that is gone pass for a new one
}
PAST_TUNING: Mapping[str, Any] = {"queued.min.messages": READ_BATCH, "queued.max.messages.kbytes": 4_096}


class LogReplaced(Exception):
    """The topic is not the one we were reading: recreated, or cut below our position."""


class LogDoubtful(Exception):
    """The topic may be another one than we were reading: only its epoch tells."""


def ends_partition(event: Message) -> bool:
    """Return whether a message that is no record says where its partition ends; what passes by itself says nothing.

    Raises LogReplaced or LogDoubtful where the log is not what it was, BrokerUnavailable where nothing more will come.
    """
    error = event.error()
    if error is None:
        return False
    said = event_of(error)
    where = f"{event.topic()}/{event.partition()}"
    if said is LogEvent.POSITION_LOST:
        raise LogReplaced(f"{where} no longer has our position: {error.str()}")
    if said is LogEvent.TOPIC_UNKNOWN:
        raise LogDoubtful(f"{where} is not known any more: {error.str()}")
    if said is LogEvent.NOT_ALLOWED:
        raise BrokerUnavailable(f"{where} may not be read by this user: {error.str()}")
    if said is LogEvent.DEAD:
        raise BrokerUnavailable(f"the consumer is dead: {error.str()}")
    return said is LogEvent.END


class Tail:
    """The consumer at the live end of every partition. Its methods block: call them from one worker thread."""

    def __init__(self, bootstrap: str, client_id: str, prefix: str, topics: Sequence[str]) -> None:
        """Connect lazily; `close` must be called."""
        self._prefix = prefix
        self._topics = {prefix + topic: topic for topic in topics}
        self._places: dict[tuple[str | None, int | None], TopicPartition] = {}  # as messages say it, as we do
        self._reader = LogReader(bootstrap, client_id, within_s=REQUEST_TIMEOUT_S, tuning=TUNING)
        self._admin = Topics(bootstrap, f"{client_id}-admin", within_s=REQUEST_TIMEOUT_S)

    @property
    def doubtful(self) -> bool:
        """Whether a topic was not known to the broker since `trust`: only its epoch tells if it is another one."""
        return self._reader.topic_doubted

    def doubt(self) -> None:
        """Note that a topic may be another one."""
        self._reader.topic_doubted = True

    def trust(self) -> None:
        """Note that the epochs were looked at and are the same."""
        self._reader.topic_doubted = False

    def epochs(self) -> dict[str, str]:
        """Return the epoch of every topic; raise BrokerUnavailable, or ConfigurationError where one is missing."""
        return {
            self._topics[name]: f"{topic.topic_id[:EPOCH_CHARS]}.{topic.partitions}"
            for name, topic in self._admin.describe(self._topics).items()
        }

    def ends(self, partitions: int) -> dict[TopicPartition, tuple[CanonicalOffset, CanonicalOffset]]:
        """Return (log start, end) of every partition, topics without prefix; raise BrokerUnavailable."""
        ends = {}
        for name, topic in self._topics.items():
            for number in range(partitions):
                low, high = self._reader.bounds(name, number)
                ends[TopicPartition(topic, number)] = CanonicalOffset(low), CanonicalOffset(high)
        return ends

    def assign(self, starts: Mapping[TopicPartition, CanonicalOffset]) -> None:
        """Begin at these offsets."""
        self._reader.assign(
            {TopicPartition(self._prefix + topic, number): at for (topic, number), at in starts.items()}
        )

    def fetch(self, most: int) -> list[Message]:
        """Return what is there, waiting a moment where nothing is; the order of each partition is kept."""
        return self._reader.fetch(most, within_s=POLL_S)

    def address_of(self, message: Message) -> tuple[TopicPartition, CanonicalOffset]:
        """Return the partition of a message, its topic without prefix, and its offset there."""
        named = message.topic(), message.partition()
        place = self._places.get(named)
        if place is None:
            place = self._places[named] = TopicPartition(self._topics[named[0] or ""], named[1] or 0)
        # Not wrapped: this is done for every record, and these topics have no offsets of another kind.
        offset: Any = message.offset() or 0
        return place, offset

    def close(self) -> None:
        """Give up the connection."""
        self._reader.close()


class Fetching(Protocol):
    """The consumer that reads, once it was assigned."""

    def fetch(self, most: int, *, within_s: float) -> Sequence[Message]:
        """Return what has arrived, waiting up to `within_s` for the first."""


def collect(source: Fetching, after: int, up_to: int, deadline_s: float) -> tuple[Sequence[Message], int]:
    """Return the records in (after, up_to], offsets, as far as there are any, and up to where they are whole.

    Reads until `deadline_s` on the monotonic clock. Raises BrokerUnavailable where nothing can be said of the log then.
    """
    found: list[Message] = []
    reached = after
    while True:
        for message in source.fetch(READ_BATCH, within_s=POLL_S):
            error = message.error()
            offset: Any = message.offset()  # not wrapped, as in `Tail.address_of`
            if error is not None:
                event = event_of(error)
                if event is LogEvent.END:
                    return found, max(reached, min(up_to, offset - 1))
                if event.log_changed:
                    raise BrokerUnavailable(f"the log is not what it was: {error.str()}")
                continue  # the client retries by itself until the deadline
            if offset is None or offset > up_to:
                return found, up_to
            found.append(message)
            reached = offset
        if reached >= up_to:
            return found, up_to
        if monotonic_s() > deadline_s:
            if reached == after:
                raise BrokerUnavailable(f"nothing came of {after + 1} to {up_to} in time")
            return found, reached
