"""Appending to a topic under stamps of one's own: nothing is lost without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Message, Producer

from infra.runtime.kafka.appending import Appending, Point
from schemas.errors import BrokerUnavailable

POINT = Point(1_500_000, 2, 41)


class FullProducer:
    """A producer whose queue is full until it was polled, and that may fail to deliver."""

    def __init__(self, *, failing: bool = False, left: int = 0) -> None:
        """Deliver unless `failing`; flushing leaves `left` records unconfirmed."""
        self._failing, self._left, self._polled = failing, left, False
        self.sent: list[dict[str, Any]] = []

    def produce(
        self, topic: str, value: Any, key: Any, *, on_delivery: Callable[..., None], **given: Any
    ) -> None:
        """Take a record once there is room."""
        if not self._polled:
            raise BufferError
        self.sent.append({"topic": topic, "value": value, "key": key, **given})
        on_delivery(KafkaError(KafkaError._TIMED_OUT) if self._failing else None, cast("Message", None))  # noqa: SLF001

    def poll(self, _: float) -> None:
        """Make room."""
        self._polled = True

    def flush(self, _: float) -> int:
        """Return how many are not confirmed."""
        return self._left


def appending(producer: FullProducer) -> Appending:
    """Return the appending to a topic."""
    return Appending(producer=cast("Producer", producer), topic="p.raw.bars.v1")


def test_a_record_says_where_it_was_and_since_when_it_is_known() -> None:
    """And waits for room."""
    producer = FullProducer()
    to = appending(producer)
    to.write(2, b"k", b"v", POINT, [("other", b"1")])
    to.finish()

    (sent,) = producer.sent
    assert sent == {
        "topic": "p.raw.bars.v1", "value": b"v", "key": b"k", "partition": 2, "timestamp": 1_500,
        "headers": [("other", b"1"), ("mds-moved-from", b"2/41/1500000")],
    }  # fmt: skip


def test_what_was_not_delivered_ends_it() -> None:
    """At the next record, and at the end."""
    to = appending(FullProducer(failing=True))
    to.write(2, None, b"v", POINT)

    for deed in (lambda: to.write(2, None, b"w", POINT), to.finish):
        with pytest.raises(BrokerUnavailable, match=r"p\.raw\.bars\.v1 not confirmed"):
            deed()
    with pytest.raises(BrokerUnavailable, match="not confirmed within"):
        appending(FullProducer(left=1)).finish()
