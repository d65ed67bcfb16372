"""Reads the canonical topics from Kafka: one consumer at the live end, and short bounded reads of what came before.

Neither has a group: every gateway process reads everything, and commits nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import common_config, consumer_config
from schemas.errors import BrokerUnavailable, ConfigurationError
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
}
# librdkafka's own codes, as opposed to the broker's, begin with an underscore.
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001
LOG_CHANGED = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001

Outcome = Literal["complete", "too_many", "expired", "epoch_changed", "unavailable"]
Place = tuple[str, int]
"""A topic, without prefix, and a partition of it."""


class LogReplaced(Exception):
    """The topic is not the one we were reading: recreated, or cut below our position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Result of a bounded read: the records in (asked start, `to`], whole unless `outcome` says otherwise."""

    messages: Sequence[Message]
    to: int
    outcome: Outcome


class Tail:
    """The consumer at the live end of every partition. Its methods block: call them from one worker thread."""

    def __init__(self, bootstrap: str, client_id: str, prefix: str, topics: Sequence[str]) -> None:
        """Connect lazily; `close` must be called."""
        self._prefix = prefix
        self._topics = {prefix + topic: topic for topic in topics}
        self._consumer = Consumer({**consumer_config(bootstrap, client_id), **TUNING})
        self._admin = AdminClient(common_config(bootstrap, f"{client_id}-admin"))

    def epochs(self) -> dict[str, str]:
        """Return the epoch of every topic; raise BrokerUnavailable, or ConfigurationError where one is missing."""
        described = self._admin.describe_topics(
            TopicCollection(list(self._topics)), request_timeout=REQUEST_TIMEOUT_S
        )
        found = {}
        for name, future in described.items():
            try:
                topic = future.result(REQUEST_TIMEOUT_S)
            except (KafkaException, TimeoutError) as error:
                if (
                    isinstance(error, KafkaException)
                    and error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
                ):
                    raise ConfigurationError(
                        f"topic {name} does not exist", remedy="run `mds topics apply`"
                    ) from error
                raise BrokerUnavailable(f"no description of {name}: {error}; is the broker up?") from error
            found[self._topics[name]] = f"{str(topic.topic_id)[:EPOCH_CHARS]}.{len(topic.partitions)}"
        return found

    def ends(self, partitions: int) -> dict[Place, tuple[int, int]]:
        """Return (log start, end) of every partition."""
        return {
            (topic, number): watermarks(self._consumer, name, number)
            for name, topic in self._topics.items()
            for number in range(partitions)
        }

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Begin at these offsets."""
        places = [TopicPartition(self._prefix + topic, number, at) for (topic, number), at in starts.items()]
        self._consumer.assign(places)

    def fetch(self, most: int) -> list[Message]:
        """Return what is there, waiting a moment where nothing is; the order of each partition is kept."""
        first = self._consumer.poll(POLL_S)
        # consume() waits for a full batch until its time-out, so only what already arrived is asked for.
        return [] if first is None else [first, *self._consumer.consume(most - 1, 0)]

    def topic_of(self, message: Message) -> str:
        """Return the topic of a message without its prefix."""
        return self._topics[message.topic() or ""]

    def close(self) -> None:
        """Give up the connection."""
        self._consumer.close()


class LogReader:
    """Bounded reads of one stream's past, a few at a time, each on a thread with a consumer of its own."""

    def __init__(self, bootstrap: str, client_id: str, prefix: str) -> None:
        """Connect lazily; `close` must be called."""
        self._config = {
            **consumer_config(bootstrap, f"{client_id}-reader"),
            **TUNING,
            "queued.min.messages": READ_BATCH,
            "queued.max.messages.kbytes": 4_096,
        }
        self._prefix = prefix
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix=f"{client_id}-reader")
        self._turns = asyncio.Semaphore(READERS)
        self._own = threading.local()
        self._opened: list[Consumer] = []

    async def read(
        self, place: Place, key: str, *, after: int, up_to: int, max_records: int, within_s: float
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

    async def offset_at(self, place: Place, time_us: int) -> int | None:
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
        for consumer in self._opened:
            consumer.close()

    def _consumer(self) -> Consumer:
        if not hasattr(self._own, "consumer"):
            self._own.consumer = Consumer(self._config)
            self._opened.append(self._own.consumer)
        consumer: Consumer = self._own.consumer
        return consumer

    def _offset_at(self, place: Place, time_us: int) -> int | None:
        consumer, name = self._consumer(), self._prefix + place[0]
        low, high = watermarks(consumer, name, place[1])
        try:
            (found,) = consumer.offsets_for_times(
                [TopicPartition(name, place[1], time_us // 1_000)], timeout=REQUEST_TIMEOUT_S
            )
        except KafkaException as error:
            raise BrokerUnavailable(f"{name}/{place[1]}: {error}") from error
        first = high if found.offset < 0 else found.offset
        return None if first <= low and low > 0 else first

    def _read(
        self, place: Place, key: str, after: int, up_to: int, max_records: int, within_s: float
    ) -> Slice:
        consumer, name = self._consumer(), self._prefix + place[0]
        deadline_s = monotonic_s() + within_s
        wanted = None if place[0] == GAPS else key.encode()
        try:
            low, high = watermarks(consumer, name, place[1])
            if after + 1 < low:
                return Slice(messages=(), to=after, outcome="expired")
            if after + 1 > high:
                return Slice(messages=(), to=after, outcome="epoch_changed")
            if up_to <= after or after + 1 == high:
                return Slice(messages=(), to=max(after, up_to), outcome="complete")
            consumer.assign([TopicPartition(name, place[1], after + 1)])
            try:
                return _collect(consumer, wanted, after, up_to, max_records, deadline_s)
            finally:
                consumer.unassign()
        except (KafkaException, BrokerUnavailable):
            return Slice(messages=(), to=after, outcome="unavailable")


def _collect(
    consumer: Consumer, key: bytes | None, after: int, up_to: int, max_records: int, deadline_s: float
) -> Slice:
    found: list[Message] = []
    reached = after
    while True:
        first = consumer.poll(POLL_S)
        batch = [] if first is None else [first, *consumer.consume(READ_BATCH - 1, 0)]
        for message in batch:
            error, offset = message.error(), message.offset()
            if error is not None:
                if error.code() == END_OF_PARTITION:
                    return Slice(messages=found, to=up_to, outcome="complete")
                if error.code() in LOG_CHANGED:
                    return Slice(messages=found, to=reached, outcome="expired")
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


def watermarks(consumer: Consumer, name: str, partition: int) -> tuple[int, int]:
    """Return (log start, end) of a partition by its full topic name; raise BrokerUnavailable."""
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=REQUEST_TIMEOUT_S)
    except KafkaException as error:
        raise BrokerUnavailable(f"{name}/{partition}: {error}; is the broker up?") from error
    return low, high
