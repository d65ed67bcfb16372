"""A writer of Kafka transactions that fences whoever wrote under its id before: a frozen one that wakes can commit nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import IN_FLIGHT_OF_TRANSACTIONS, Message, advice, heard_by, producer_config
from schemas.errors import BrokerUnavailable, Fenced

QUEUE_POLL_S = 0.05
# librdkafka's own codes, as opposed to the broker's, begin with an underscore.
_QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001
_FATAL = KafkaError._FATAL  # noqa: SLF001
FENCED = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001
)
CONTENDED = frozenset(
    {
        _FATAL,
        KafkaError._STATE,  # noqa: SLF001 - what a call after the fatal one is told
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.UNKNOWN,  # Kafka 4.2 says so to a commit that arrives in the moment a successor is fencing it
    }
)


class Contended(BrokerUnavailable):
    """Failed in a way that also means: somebody else was taking the id over in that moment."""


class FencedWriter:
    """Writes transactions under one id, one thread at a time; every method blocks.

    Methods raise Fenced where a successor holds the id and BrokerUnavailable for anything else; after either the
    writer is of no more use.
    """

    def __init__(
        self,
        bootstrap: str,
        transactional_id: str,
        *,
        timeout_ms: int,
        linger_ms: float = 5,
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect lazily. The broker aborts after `timeout_ms` what a dead writer left open.

        `tuning` are settings of librdkafka that replace ours.
        """
        config = producer_config(bootstrap, transactional_id, linger_ms=linger_ms)
        self.transactional_id = transactional_id
        self._tell = config["error_cb"]
        self._fatal: KafkaError | None = None
        self._lost: KafkaError | None = None
        self._delivered_ends: dict[str, int] = {}
        self._producer = Producer(
            {
                **config,
                "error_cb": heard_by(self._on_error),
                "transactional.id": transactional_id,
                "max.in.flight.requests.per.connection": IN_FLIGHT_OF_TRANSACTIONS,
                "transaction.timeout.ms": timeout_ms,
                "delivery.timeout.ms": timeout_ms,
                **(tuning or {}),
            }
        )

    def take_over(self, within_s: float) -> None:
        """Fence any predecessor and abort what it left open."""
        try:
            self._producer.init_transactions(within_s)
        except KafkaException as error:
            raise self._meaning(error, "taking over") from error

    def begin(self) -> None:
        """Begin a transaction; nothing is confirmed yet."""
        self._delivered_ends.clear()
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._meaning(error, "writing") from error

    def write(
        self,
        topic: str,
        partition: int,
        records: Iterable[tuple[bytes | None, bytes | None]],
        *,
        within_s: float,
        report: bool = False,
    ) -> None:
        """Queue (key, value) records in order; where `report`, `delivered_end` will tell where the last of the topic went."""
        messages: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in records]
        if report and messages:
            messages[-1]["callback"] = self._report
        deadline_s = monotonic_s() + within_s
        while messages:
            # Only the return value says how many were taken: a head, never more.
            taken = self._producer.produce_batch(topic, messages, partition=partition)
            for message in messages[taken:]:
                error = message.pop("_error", None)
                if error is not None and error.code() != _QUEUE_FULL:
                    raise self._meaning(KafkaException(error), "writing")
            messages = messages[taken:]
            if messages:
                if monotonic_s() > deadline_s:
                    raise BrokerUnavailable(f"{topic}: the local queue stayed full for {within_s:.0f} s")
                self._producer.poll(QUEUE_POLL_S)

    def commit(self, within_s: float) -> None:
        """Commit the transaction: all of it or nothing."""
        try:
            self._producer.commit_transaction(within_s)
        except KafkaException as error:
            raise self._meaning(error, "writing") from error

    def delivered_end(self, topic: str) -> int:
        """Return the offset after the topic's last reported record of this transaction, as its delivery report said."""
        if self._lost is not None:
            raise BrokerUnavailable(
                f"{self.transactional_id}: a record was lost: {self._lost.str()}; restart"
            )
        end = self._delivered_ends.get(topic)
        if end is None:
            raise BrokerUnavailable(f"{self.transactional_id}: a record was not confirmed; restart")
        return end

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._lost = error
            return
        offset, topic = message.offset(), message.topic()
        if offset is not None and topic is not None:
            self._delivered_ends[topic] = offset + 1

    def _on_error(self, error: KafkaError) -> None:
        # Being fenced is how writers take turns; only what else goes wrong is worth a line.
        if error.fatal():
            self._fatal = error
        else:
            self._tell(error)

    def _meaning(self, error: KafkaException, doing: str) -> Fenced | BrokerUnavailable:
        cause = error.args[0]
        if cause.code() == _FATAL:
            # A call that fails after the fact only says "fatal": why, the callback knows.
            self._producer.poll(0)
            cause = self._fatal or cause
        if cause.code() in FENCED:
            return Fenced(
                f"{self.transactional_id}: a successor owns it ({cause.str()}); let this process end"
            )
        kind = Contended if cause.code() in CONTENDED else BrokerUnavailable
        return kind(f"{doing} {self.transactional_id}: {cause.str()}; {advice(cause)}")
