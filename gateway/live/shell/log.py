"""Reads the canonical topics from Kafka: one consumer at the live end, and short bounded reads of what came before.

Neither has a group: every gateway process reads everything, and commits nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.kafka.topics import Topics
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import GAPS

READERS = 4  # bounded reads at a time in this process
TURN_WITHIN_S = 30.0  # for a free reader, where very many clients come back at once
READ_BATCH = 2_000
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

Outcome = Literal["complete", "too_many", "expired", "epoch_changed", "unavailable"]


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
    if said is LogEvent.DEAD:
        raise BrokerUnavailable(f"the consumer is dead: {error.str()}")
    return said is LogEvent.END


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Result of a bounded read: the records in (asked start, `to`], whole unless `outcome` says otherwise."""

    messages: Sequence[Message]
    to: CanonicalOffset
    outcome: Outcome


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


class PastReader:
    """Bounded reads of one stream's past, a few at a time, each on a thread with a reader of its own."""

    def __init__(self, bootstrap: str, client_id: str, prefix: str) -> None:
        """Connect lazily; `close` must be called."""
        self._bootstrap, self._client_id, self._prefix = bootstrap, f"{client_id}-reader", prefix
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix=f"{client_id}-reader")
        self._turns = asyncio.Semaphore(READERS)
        self._own = threading.local()
        self._opened: list[LogReader] = []

    async def read(
        self,
        place: TopicPartition,
        key: str,
        *,
        after: CanonicalOffset,
        up_to: CanonicalOffset,
        max_records: int,
        within_s: float,
    ) -> Slice:
        """Return the committed records of `key` in (after, up_to], at most `max_records` of them.

        Of a topic that is not keyed by symbol every record is returned. Never raises for the broker's sake: the
        outcome says what went wrong, and `to` how far the records returned are whole.
        """
        try:
            async with asyncio.timeout(TURN_WITHIN_S):
                await self._turns.acquire()
        except TimeoutError:
            return Slice(messages=(), to=after, outcome="unavailable")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._read, place, key, after, up_to, max_records, within_s
            )
        finally:
            self._turns.release()

    async def offset_at(self, place: TopicPartition, time_us: int) -> CanonicalOffset | None:
        """Return the offset below which everything was appended before `time_us`; None where that is expired.

        Raises BrokerUnavailable.
        """
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._offset_at, place, time_us
            )

    def close(self) -> None:
        """Wait for reads under way, each bounded, and disconnect."""
        self._threads.shutdown(cancel_futures=True)
        for reader in self._opened:
            reader.close()

    def _reader(self) -> LogReader:
        if not hasattr(self._own, "reader"):
            self._own.reader = LogReader(
                self._bootstrap, self._client_id, within_s=REQUEST_TIMEOUT_S, tuning={**TUNING, **PAST_TUNING}
            )
            self._opened.append(self._own.reader)
        reader: LogReader = self._own.reader
        return reader

    def _offset_at(self, place: TopicPartition, time_us: int) -> CanonicalOffset | None:
        reader, name = self._reader(), self._prefix + place.topic
        low, high = reader.bounds(name, place.partition)
        found = reader.offset_at(name, place.partition, time_us)
        first = high if found is None else found
        return None if first <= low and low > 0 else CanonicalOffset(first)

    def _read(
        self,
        place: TopicPartition,
        key: str,
        after: CanonicalOffset,
        up_to: CanonicalOffset,
        max_records: int,
        within_s: float,
    ) -> Slice:
        reader, name = self._reader(), self._prefix + place.topic
        deadline_s = monotonic_s() + within_s
        wanted = None if place.topic == GAPS else key.encode()
        try:
            low, high = reader.bounds(name, place.partition)
            if after + 1 < low:
                return Slice(messages=(), to=after, outcome="expired")
            if after + 1 > high:
                return Slice(messages=(), to=after, outcome="epoch_changed")
            if up_to <= after or after + 1 == high:
                return Slice(messages=(), to=max(after, up_to), outcome="complete")
            reader.assign({TopicPartition(name, place.partition): after + 1})
            try:
                return collect(reader, wanted, after, up_to, max_records, deadline_s)
            finally:
                reader.unassign()
        except BrokerUnavailable:
            return Slice(messages=(), to=after, outcome="unavailable")


class Fetching(Protocol):
    """The consumer that reads, once it was assigned."""

    def fetch(self, most: int, *, within_s: float) -> Sequence[Message]:
        """Return what has arrived, waiting up to `within_s` for the first."""


def collect(
    source: Fetching,
    key: bytes | None,
    after: CanonicalOffset,
    up_to: CanonicalOffset,
    max_records: int,
    deadline_s: float,
) -> Slice:
    """Return the records of `key` (None: all) in (after, up_to], read until `deadline_s` on the monotonic clock."""
    found: list[Message] = []
    reached = after
    while True:
        for message in source.fetch(READ_BATCH, within_s=POLL_S):
            error = message.error()
            offset: Any = message.offset()  # not wrapped, as in `Tail.address_of`
            if error is not None:
                event = event_of(error)
                if event is LogEvent.END:
                    return Slice(messages=found, to=up_to, outcome="complete")
                if event.log_changed:
                    return Slice(messages=found, to=reached, outcome=_outcome_of(event))
                continue  # the client retries by itself until the deadline
            if offset is None or offset > up_to:
                return Slice(messages=found, to=up_to, outcome="complete")
            if key is None or message.key() == key:
                if len(found) == max_records:
                    return Slice(messages=found, to=reached, outcome="too_many")
                found.append(message)
            reached = offset
        if reached >= up_to:
            return Slice(messages=found, to=up_to, outcome="complete")
        if monotonic_s() > deadline_s:
            outcome: Outcome = "unavailable" if reached == after else "too_many"
            return Slice(messages=found, to=reached, outcome=outcome)


def _outcome_of(event: LogEvent) -> Outcome:
    # A topic nobody knows at this moment may be one deleted for good or a broker that just came up: ask again.
    return "expired" if event is LogEvent.POSITION_LOST else "unavailable"
