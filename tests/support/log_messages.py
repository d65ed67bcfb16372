"""Messages as a Kafka client gives them: records, and errors that say something of their partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from confluent_kafka import KafkaError

from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogEvent

# librdkafka's own error codes are spelt so
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001
TRANSPORT = KafkaError._TRANSPORT  # noqa: SLF001
FATAL = KafkaError._FATAL  # noqa: SLF001
CHANGED = [
    (KafkaError._AUTO_OFFSET_RESET, LogEvent.POSITION_LOST),  # noqa: SLF001
    (KafkaError._LOG_TRUNCATION, LogEvent.POSITION_LOST),  # noqa: SLF001
    (KafkaError.OFFSET_OUT_OF_RANGE, LogEvent.POSITION_LOST),
    (KafkaError._UNKNOWN_TOPIC, LogEvent.TOPIC_UNKNOWN),  # noqa: SLF001
    (KafkaError._UNKNOWN_PARTITION, LogEvent.TOPIC_UNKNOWN),  # noqa: SLF001
    (KafkaError.UNKNOWN_TOPIC_OR_PART, LogEvent.TOPIC_UNKNOWN),
    (KafkaError.UNKNOWN_TOPIC_ID, LogEvent.TOPIC_UNKNOWN),
    (KafkaError.INCONSISTENT_TOPIC_ID, LogEvent.TOPIC_UNKNOWN),
]
"""Every code that means the log is not what it was, and what each says."""


@dataclass(frozen=True)
class Given:
    """A message; the client's own class cannot be made by hand."""

    at: int
    fault: KafkaError | None = None
    name: str = "t"
    number: int = 0

    def error(self) -> KafkaError | None:
        """What it says instead of holding a record."""
        return self.fault

    def offset(self) -> int:
        """Its place."""
        return self.at

    def topic(self) -> str:
        """Where it lies."""
        return self.name

    def partition(self) -> int:
        """Where it lies there."""
        return self.number

    def key(self) -> bytes:
        """Whose it is."""
        return b"SPY"


def record(offset: int) -> Message:
    """Return the record at `offset` of partition 0 of topic t, with the key SPY."""
    return cast(Message, Given(offset))


def said(code: int, offset: int = 0) -> Message:
    """Return a message that is an error."""
    return cast(Message, Given(offset, KafkaError(code)))
