"""Confirmed publishing: what `publish` returned is in the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.runtime.kafka.clients import DELIVERY_TIMEOUT_MS, heard_by, producer_config
from schemas.errors import BrokerUnavailable

POLL_S = 0.1
STOP_FLUSH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One record to publish; the partition is explicit."""

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
                "error_cb": heard_by(self._on_error),
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
