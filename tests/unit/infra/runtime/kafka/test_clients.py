"""Client settings: what every Kafka client of ours shares."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from weakref import ref

import pytest
from confluent_kafka import KafkaError

from infra.runtime.kafka.clients import common_config, producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.kafka.transactions import FencedWriter


def test_a_client_tells_each_kind_of_error_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """A broker that is away is one line of ours, not forty a second on stderr."""
    config = common_config("127.0.0.1:9", "reader")
    caplog.set_level(logging.WARNING)

    transport, authentication = KafkaError._TRANSPORT, KafkaError._AUTHENTICATION  # noqa: SLF001 - the library's names
    for code in (transport, transport, authentication):
        config["error_cb"](KafkaError(code))

    assert [record.message for record in caplog.records] == ["kafka_client_error"] * 2
    assert config["log_level"] == 2


def test_a_record_outside_transactions_is_never_overtaken() -> None:
    """Of two requests the second may be taken where the first was refused, and the first is then taken for its repeat."""
    assert producer_config("127.0.0.1:9", "raw")["max.in.flight.requests.per.connection"] == 1


def _reader() -> LogReader:
    with LogReader("127.0.0.1:9", "reader") as reader:
        return reader


def _publisher() -> Publisher:
    publisher = Publisher("127.0.0.1:9", "publisher")
    publisher.close()
    return publisher


def _writer() -> FencedWriter:
    return FencedWriter("127.0.0.1:9", "writer", timeout_ms=10_000)


@pytest.mark.parametrize("made", [_reader, _publisher, _writer])
def test_a_client_given_up_is_gone_at_once(made: Callable[[], object]) -> None:
    """A process that takes over 384 partitions has more of them than keys of thread-local storage, before any collection."""
    gc.collect()
    gc.disable()
    try:
        held = ref(made())
        assert held() is None
    finally:
        gc.enable()
