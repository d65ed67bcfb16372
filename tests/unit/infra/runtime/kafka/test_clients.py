"""Client settings: what every Kafka client of ours shares."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from infra.runtime.kafka.clients import common_config, producer_config


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
