"""Kafka as every service uses it: client settings that agree with each other, confirmed publishing, tail reading.

librdkafka's own defaults are wrong for us in two places that fail silently: its partitioner differs from
Java's and Faust's, and idempotence is off. Both are set here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from infra.runtime.clock import monotonic_s
from schemas.errors import BrokerUnavailable, ConfigurationError

log = logging.getLogger(__name__)

LOG_CRITICAL = 2  # syslog's scale
TELL_AGAIN_S = 10.0
DELIVERY_TIMEOUT_MS = 120_000
UNKNOWN_TOPIC_AFTER_MS = 5_000  # a topic the broker does not know by then does not exist
QUEUE_MAX_MESSAGES = 100_000
QUEUE_MAX_KBYTES = 131_072
MAX_MESSAGE_BYTES = 4_194_304
POLL_S = 0.1
READ_TIMEOUT_S = 15.0
TAIL_BATCH = 2_000
STOP_FLUSH_S = 5.0
LEADER_MOVING = (  # a topic just made, or a broker just back
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - librdkafka's own code for the same
)


def common_config(bootstrap: str, client_id: str) -> dict[str, Any]:
    """Return the settings every client shares."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        # librdkafka would write to stderr, between our JSON, forty lines a second while a broker is away; what it
        # has to say comes through the callback as well.
        "log_level": LOG_CRITICAL,
        "error_cb": _teller(client_id),
        "log.connection.close": False,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "socket.keepalive.enable": True,
    }


def _teller(client_id: str) -> Callable[[KafkaError], None]:
    """Return a callback that logs a client's errors, each kind at most once in ten seconds."""
    told_s: dict[int, float] = {}

    def tell(error: KafkaError) -> None:
        now_s = monotonic_s()
        if now_s - told_s.get(error.code(), -TELL_AGAIN_S) >= TELL_AGAIN_S:
            told_s[error.code()] = now_s
            log.warning(
                "kafka_client_error",
                extra={"client": client_id, "error": error.str(), "fatal": error.fatal()},
            )

    return tell


def producer_config(bootstrap: str, client_id: str, *, linger_ms: float = 5) -> dict[str, Any]:
    """Return settings of an idempotent producer: acks=all, bounded queue, Kafka's own partitioner."""
    return {
        **common_config(bootstrap, client_id),
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": linger_ms,
        "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_AFTER_MS,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.messages": QUEUE_MAX_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_MAX_KBYTES,
    }


def consumer_config(bootstrap: str, client_id: str, *, group: str | None = None) -> dict[str, Any]:
    """Return settings of a read-committed consumer that commits nothing by itself and reports end of partition.

    Without a `group` the consumer is for `assign` only. An offset out of range is an error, never a silent jump.
    """
    return {
        **common_config(bootstrap, client_id),
        "group.id": group or f"{client_id}-unused",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "partition.assignment.strategy": "range",
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,  # how long an end of partition takes to be reported
        "fetch.queue.backoff.ms": 20,  # the default of a second stalls a reader whose queue was full
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One record to publish; the partition is explicit, because consumers and sinks rely on ours."""

    topic: str
    partition: int
    value: bytes
    key: bytes | None = None


class Publisher:
    """Publishes records and returns only when the broker has confirmed every one of them.

    One thread polls delivery reports; the local queue is bounded, and a full one slows the caller down. A fatal
    producer error (idempotence lost) fails every later call: let the process end and restart.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        linger_ms: float = 5,
        delivery_timeout_ms: int = DELIVERY_TIMEOUT_MS,
    ) -> None:
        """Connect lazily; `close` must be called.

        `delivery_timeout_ms` 0 never gives up on a record: a broker that is away only delays, and nothing is sent
        twice or out of order because of it.
        """
        config = producer_config(bootstrap, client_id, linger_ms=linger_ms)
        self._tell = config["error_cb"]
        self._producer = Producer(
            {
                **config,
                "delivery.timeout.ms": delivery_timeout_ms,
                "error_cb": self._on_error,
            }
        )
        self._fatal: KafkaError | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"{client_id}-delivery", daemon=True)
        self._thread.start()

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Publish in order and return the offsets; raise BrokerUnavailable where any is not confirmed.

        After an error some of the records may be in the log: callers publish values whose repetition is harmless.
        """
        loop = asyncio.get_running_loop()
        reports: list[asyncio.Future[int]] = []
        for record in records:
            report: asyncio.Future[int] = loop.create_future()
            reports.append(report)
            await self._enqueue(record, loop, report)
        results = await asyncio.gather(*reports, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, int)]

    async def _enqueue(
        self, record: Outgoing, loop: asyncio.AbstractEventLoop, report: asyncio.Future[int]
    ) -> None:
        def settle(offset: int | None, error: BrokerUnavailable | None) -> None:
            if report.done():
                return
            if error is not None:
                report.set_exception(error)
            elif offset is not None:
                report.set_result(offset)

        def delivered(error: KafkaError | None, message: Message) -> None:
            failure = (
                None if error is None else BrokerUnavailable(f"{record.topic} not confirmed: {error.str()}")
            )
            loop.call_soon_threadsafe(settle, message.offset(), failure)

        while True:
            if self._fatal is not None:
                raise BrokerUnavailable(f"the producer is dead: {self._fatal.str()}; restart the process")
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, partition=record.partition, on_delivery=delivered
                )
                return
            except BufferError:
                await asyncio.sleep(POLL_S)  # the local queue is full: the broker sets the pace
            except KafkaException as error:
                raise BrokerUnavailable(f"{record.topic} not accepted: {error}") from error

    def close(self) -> None:
        """Flush what is queued, for at most 5 s, and stop the thread."""
        self._producer.flush(STOP_FLUSH_S)
        self._closed.set()
        self._thread.join(STOP_FLUSH_S)

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(POLL_S)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        self._tell(error)


def read_range(
    consumer: Consumer, topic: str, partition: int, start: int, end: int | None = None
) -> Iterator[Message]:
    """Yield the committed records of a partition from `start` to its end, or those before the offset `end`; blocking.

    The end is the end-of-partition event, never the high watermark: aborted and control records lie below that
    and are never delivered. Where others go on writing that event may never come: then give the `end` that
    `offsets` told. Raises BrokerUnavailable when nothing comes for 15 s.
    """
    limit = sys.maxsize if end is None else end
    if start >= limit:
        return
    consumer.assign([TopicPartition(topic, partition, start)])
    while True:
        # consume() waits for a full batch or the whole time-out: wait for one record, then take what is queued.
        batch = consumer.consume(1, READ_TIMEOUT_S)
        batch += consumer.consume(TAIL_BATCH, 0)
        if not batch:
            raise BrokerUnavailable(
                f"{topic}/{partition} gave nothing for {READ_TIMEOUT_S:.0f} s; is the broker up?"
            )
        for message in batch:
            error = message.error()
            if error is None:
                offset = message.offset() or 0
                if offset < limit:
                    yield message
                if offset >= limit - 1:
                    return
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                return
            elif not error.retriable():
                raise BrokerUnavailable(f"{topic}/{partition} cannot be read: {error.str()}")


def offsets(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Return (log start, high watermark) of a partition; raise BrokerUnavailable where the broker does not say."""
    deadline_s = monotonic_s() + READ_TIMEOUT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=READ_TIMEOUT_S
            )
        except KafkaException as error:
            if error.args[0].code() in LEADER_MOVING and monotonic_s() < deadline_s:
                time.sleep(POLL_S)
                continue
            raise BrokerUnavailable(f"{topic}/{partition}: {error}") from error
        return low, high


def check_partitions(consumer: Consumer, topic: str, expected: int) -> None:
    """Raise ConfigurationError unless the broker's topic has the declared number of partitions."""
    try:
        metadata = consumer.list_topics(topic, timeout=READ_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise BrokerUnavailable(f"no metadata of {topic}: {error}") from error
    actual = len(metadata.partitions)
    if metadata.error is not None or actual == 0:
        raise ConfigurationError(f"topic {topic} does not exist", remedy="run `mds topics apply`")
    if actual != expected:
        raise ConfigurationError(
            f"topic {topic} has {actual} partitions, topics.yaml declares {expected}",
            remedy="restore the declared count; it never changes in place",
        )
