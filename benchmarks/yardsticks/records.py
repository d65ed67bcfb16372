"""Canonical trades of one symbol as JSON, decoded and encoded once each: what a yardstick of fan-out has to send.

`python -m benchmarks.yardsticks.records BOOTSTRAP TOPIC PARTITION` prints a line for each that comes from now on.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from infra.runtime.kafka.clients import consumer_config
from schemas.topics import TRADES
from schemas.wire.codec import decode_value

SYMBOL = "SPY"
POLL_S = 0.2
AT_ONCE = 2_000


class Records:
    """Committed records of one partition from its present end on. `fetch` blocks: call it from one thread."""

    def __init__(self, bootstrap: str, topic: str, partition: int) -> None:
        """Begin at the end."""
        self._consumer = Consumer(consumer_config(bootstrap, "yardstick"))
        end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition))[1]
        self._consumer.assign([TopicPartition(topic, partition, end)])

    def fetch(self) -> list[bytes]:
        """Return those that have come, none where none did for a moment."""
        first = self._consumer.poll(POLL_S)
        found = [] if first is None else [first, *self._consumer.consume(AT_ONCE, 0)]
        return [text for message in found if (text := _text(message)) is not None]


def _text(message: Any) -> bytes | None:
    if message.error() is not None:
        return None
    fields = decode_value(TRADES, message.value())
    if fields["symbol"] != SYMBOL:
        return None
    return orjson.dumps({"offset": message.offset(), "event_id": str(message.offset()), **fields})


if __name__ == "__main__":
    records = Records(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    while True:
        for text in records.fetch():
            sys.stdout.buffer.write(text + b"\n")
        sys.stdout.buffer.flush()
