"""Whether records wait in a raw partition, as the watchdog asks."""

from __future__ import annotations

from dataclasses import dataclass

from infra.runtime.kafka.logs import LogReader
from schemas.partitions import TopicPartition
from schemas.topics import RAW_BARS
from stream_processors.shell.rebuild import records_wait


@dataclass
class Lane:
    """An owned raw partition."""

    key: TopicPartition
    moved_at_s: float
    done: int


def test_a_broker_that_does_not_answer_is_not_our_stall() -> None:
    """An outage of Kafka must not end every processor."""
    with LogReader("127.0.0.1:1", "test", within_s=0.1) as unreachable:
        assert not records_wait(unreachable, "", Lane(TopicPartition(RAW_BARS, 2), 0.0, 5))
