"""Client settings: what every Kafka client of ours shares."""

from __future__ import annotations

import logging
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from infra.runtime.kafka.clients import common_config, read_range


def test_a_client_tells_each_kind_of_error_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """A broker that is away is one line of ours, not forty a second on stderr."""
    config = common_config("127.0.0.1:9", "reader")
    caplog.set_level(logging.WARNING)

    transport, authentication = KafkaError._TRANSPORT, KafkaError._AUTHENTICATION  # noqa: SLF001 - the library's names
    for code in (transport, transport, authentication):
        config["error_cb"](KafkaError(code))

    assert [record.message for record in caplog.records] == ["kafka_client_error"] * 2
    assert config["log_level"] == 2


class Written:
    """A record of a partition."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        """There is none."""

    def offset(self) -> int:
        """Its place."""
        return self._offset


class Endless:
    """A consumer of a partition that somebody writes faster than it is read, without every third offset."""

    def __init__(self) -> None:
        self._next = 0

    def assign(self, assigned: list[TopicPartition]) -> None:
        """Begin there."""
        self._next = assigned[0].offset

    def consume(self, count: int, _: float) -> list[Written]:
        """Return as many records as were asked for; there are always more."""
        first, self._next = self._next, self._next + min(count, 50)
        return [Written(offset) for offset in range(first, self._next) if offset % 3]


@pytest.mark.parametrize("end", [100, 101, 102])
def test_reading_up_to_an_offset_never_follows_a_writer(end: int) -> None:
    """It ends though no end of partition comes, also where the last offset is a control record's."""
    read = [message.offset() for message in read_range(cast(Consumer, Endless()), "t", 0, 4, end)]

    assert read == [offset for offset in range(4, end) if offset % 3]
