"""The only writer of one raw partition's outputs: a Kafka transaction per run of blocks, fenced per partition.

The transactional id names the raw partition, so whoever takes over fences the predecessor: a frozen one that wakes up
can commit nothing. Progress is written in the same transaction and is the only truth about what was processed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import consumer_config, producer_config
from schemas.errors import BrokerUnavailable, Fenced
from schemas.topics import GAPS, PROGRESS, canonical_of, dead
from stream_processors.memory import PartitionState
from stream_processors.shell.rebuild import PartitionLog
from stream_processors.transaction import Transaction, progress_of

INIT_TIMEOUT_S = 30.0
TRANSACTION_TIMEOUT_MS = 30_000  # the broker aborts what a dead writer left open; readers wait for that
COMMIT_TIMEOUT_S = 25.0  # below the former, so that we learn of a failure before the broker acts
DECIDED_WITHIN_S = 45.0  # the broker aborts a dead neighbour's transaction after 30 s and looks every 10 s
QUEUE_POLL_S = 0.05
QUEUE_MAX_MESSAGES = 20_000  # of one partition's producer
QUEUE_MAX_KBYTES = 32_768
# the end of a partition is only told after this: four of them stand between a takeover and work
FETCH_WAIT_MS = 20
_QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001 - librdkafka's own error codes are spelt so
_FENCED = KafkaError._FENCED  # noqa: SLF001
_FATAL = KafkaError._FATAL  # noqa: SLF001


class PartitionWriter:
    """Writes the transactions of one raw partition; every method blocks and is called by one thread at a time."""

    def __init__(
        self, bootstrap: str, raw_topic: str, partition: int, partitions: int, *, prefix: str = ""
    ) -> None:
        """Hold the names; `take_over` connects."""
        self._bootstrap, self._prefix = bootstrap, prefix
        self._raw_topic, self._partition, self._partitions = raw_topic, partition, partitions
        self._canonical = prefix + canonical_of(raw_topic)
        self._producer: Producer | None = None
        self._canonical_end = 0  # last canonical offset + 1, as confirmed
        self._delivered_end: int | None = None
        self._failed: KafkaError | None = None
        self._fatal: KafkaError | None = None

    @property
    def transactional_id(self) -> str:
        """The id Kafka fences by."""
        return f"{self._prefix}processor-{self._raw_topic}-{self._partition}"

    def take_over(self) -> PartitionState:
        """Fence any predecessor, abort what it left open, and return the state rebuilt from the logs.

        Raises BrokerUnavailable where Kafka does not answer, ConfigurationError where the raw topic is another one.
        """
        self._producer = Producer(
            {
                **producer_config(self._bootstrap, self.transactional_id),
                "error_cb": self._on_error,
                "transactional.id": self.transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "delivery.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "queue.buffering.max.messages": QUEUE_MAX_MESSAGES,
                "queue.buffering.max.kbytes": QUEUE_MAX_KBYTES,
            }
        )
        try:
            self._producer.init_transactions(INIT_TIMEOUT_S)
        except KafkaException as error:
            raise self._meaning(error, "taking over") from error
        consumer, uncommitted = self._consumer(), self._consumer("read_uncommitted")
        try:
            log_of_partition = self._log(consumer)
            log_of_partition.wait_decided(uncommitted, DECIDED_WITHIN_S)
            standing = log_of_partition.rebuild()
        finally:
            consumer.close()
            uncommitted.close()
        self._canonical_end = standing.canonical_end
        return standing.state

    def skipped_records(self, start: int, offset: int) -> bool:
        """Return whether the raw partition holds a record in [start, offset): control records leave holes, too."""
        consumer = self._consumer()
        try:
            first = self._log(consumer).first_offset_from(start)
        finally:
            consumer.close()
        return first is not None and first < offset

    def commit(self, blocks: Sequence[Transaction]) -> None:
        """Write consecutive blocks' outputs and the last one's progress in one transaction: all of it or nothing.

        Raises Fenced where a successor holds the partition, BrokerUnavailable for anything else; after either this
        writer is of no more use and the process should end.
        """
        started_s = monotonic_s()
        producer = self._live()
        messages = [{"key": key, "value": value} for block in blocks for key, value in block.canonical]
        key, value = progress_of(blocks, self._canonical_end)
        try:
            producer.begin_transaction()
            self._produce(self._canonical, messages, report=True)
            self._produce_rest(blocks)
            self._produce(self._prefix + PROGRESS, [{"key": key, "value": value}])
            producer.commit_transaction(COMMIT_TIMEOUT_S)
        except KafkaException as error:
            raise self._meaning(error, "writing") from error
        if messages:
            self._canonical_end = self._delivered()
        metrics.TRANSACTION_MS.observe((monotonic_s() - started_s) * 1_000)

    def close(self) -> None:
        """Let go of the producer without committing anything."""
        self._producer = None

    def _delivered(self) -> int:
        """Return the offset after the last canonical record of this transaction, as its delivery report said."""
        if self._failed is not None:
            raise BrokerUnavailable(
                f"{self.transactional_id}: a record was lost: {self._failed.str()}; restart"
            )
        if self._delivered_end is None:
            raise BrokerUnavailable(f"{self.transactional_id}: a record was not confirmed; restart")
        return self._delivered_end

    def _produce_rest(self, blocks: Sequence[Transaction]) -> None:
        gaps = [record for block in blocks for record in block.gap_records()]
        letters = [record for block in blocks for record in block.dead_records()]
        for topic, records in ((GAPS, gaps), (dead(self._raw_topic), letters)):
            self._produce(self._prefix + topic, [{"key": key, "value": value} for key, value in records])

    def _produce(self, topic: str, messages: list[dict[str, Any]], *, report: bool = False) -> None:
        """Queue every message, in order; only the return value says how many were taken (a head, never more)."""
        self._delivered_end = None if report else self._delivered_end
        if report and messages:
            messages[-1]["callback"] = self._report
        deadline_s = monotonic_s() + COMMIT_TIMEOUT_S
        while messages:
            taken = self._live().produce_batch(topic, messages, partition=self._partition)
            for message in messages[taken:]:
                error = message.pop("_error", None)
                if error is not None and error.code() != _QUEUE_FULL:
                    raise KafkaException(error)
            messages = messages[taken:]
            if messages:
                if monotonic_s() > deadline_s:
                    raise BrokerUnavailable(
                        f"{topic}: the local queue stayed full for {COMMIT_TIMEOUT_S:.0f} s"
                    )
                self._live().poll(QUEUE_POLL_S)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = error
            return
        offset = message.offset()
        self._delivered_end = None if offset is None else offset + 1

    def _live(self) -> Producer:
        if self._producer is None:
            raise Fenced(f"{self.transactional_id} is not owned here; take it over first")
        return self._producer

    def _consumer(self, isolation: str = "read_committed") -> Consumer:
        config = consumer_config(self._bootstrap, f"{self.transactional_id}-reader")
        return Consumer({**config, "fetch.wait.max.ms": FETCH_WAIT_MS, "isolation.level": isolation})

    def _log(self, consumer: Consumer) -> PartitionLog:
        return PartitionLog(consumer, self._raw_topic, self._partition, self._partitions, prefix=self._prefix)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error

    def _meaning(self, error: KafkaException, doing: str) -> Fenced | BrokerUnavailable:
        cause = error.args[0]
        if cause.code() == _FATAL and self._producer is not None:
            # a call that fails after the fact only says "fatal": why, the callback knows
            self._producer.poll(0)
            cause = self._fatal or cause
        if cause.code() in (_FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
            return Fenced(
                f"{self.transactional_id}: a successor owns it ({cause.str()}); let this process end"
            )
        return BrokerUnavailable(f"{doing} {self.transactional_id}: {cause.str()}; is the broker up?")
