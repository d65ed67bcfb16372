"""Publishing on the real broker."""

from __future__ import annotations

import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.errors import BrokerUnavailable
from schemas.topics import BARS


async def test_offsets_come_back_in_order_and_only_after_confirmation(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """What publish returns is in the log, at those offsets."""
    publisher = Publisher(kafka_bootstrap, "test")
    records = [Outgoing(topic=topic_prefix + BARS, partition=1, value=str(n).encode()) for n in range(500)]
    try:
        placed = await publisher.publish(records)
    finally:
        publisher.close()
    with LogReader(kafka_bootstrap, "test") as reader:
        read = [(m.offset(), m.value()) for m in reader.read(topic_prefix + BARS, 1, 0)]

    assert read == list(zip(placed, (record.value for record in records), strict=True))


async def test_a_topic_that_does_not_exist_is_an_error_not_a_new_topic(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Auto-creation is off: a typo in a name loses nothing silently."""
    publisher = Publisher(kafka_bootstrap, "test")
    try:
        with pytest.raises(BrokerUnavailable, match="nosuch"):
            await publisher.publish([Outgoing(topic=topic_prefix + "nosuch", partition=0, value=b"x")])
    finally:
        publisher.close()
