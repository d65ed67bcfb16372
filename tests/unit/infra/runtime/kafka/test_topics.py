"""Questions to a broker that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.runtime.kafka.topics import Bounds, Topics
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import catalogue


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda broker: broker.brokers(), id="brokers"),
        pytest.param(lambda broker: broker.partition_counts(), id="partition counts"),
        pytest.param(lambda broker: broker.describe(["trades.v1"]), id="topic ids"),
        pytest.param(lambda broker: broker.bounds([("trades.v1", 0)]), id="bounds"),
        pytest.param(lambda broker: broker.create(catalogue().topics, partitions=4), id="creation"),
    ],
)
def test_no_question_outlasts_a_broker_that_does_not_answer(ask: Callable[[Topics], object]) -> None:
    """Each is an outage in its own words, whichever way the library says so."""
    with pytest.raises(BrokerUnavailable, match="is the broker up"):
        ask(Topics("127.0.0.1:1", "test", within_s=0.2))


class _Admin:
    """A client whose broker has led no partition yet the first `moving` times it is asked."""

    def __init__(self, moving: int, code: int) -> None:
        self._left, self._code = moving, code

    def list_offsets(self, asked: Iterable[Any], **_: object) -> dict[Any, Future[Any]]:
        """Answer like the library."""
        self._left -= 1
        answers: dict[Any, Future[Any]] = {}
        for place in asked:
            answers[place] = Future()
            if self._left >= 0:
                answers[place].set_exception(KafkaException(KafkaError(self._code)))
            else:
                answers[place].set_result(SimpleNamespace(offset=7, leader_epoch=3))
        return answers


def asked_of(admin: _Admin, within_s: float) -> dict[TopicPartition, Bounds]:
    """Return the bounds that a client tells."""
    broker = Topics("127.0.0.1:1", "test", within_s=within_s)
    broker._admin = admin  # type: ignore[assignment]  # noqa: SLF001 - the library cannot be told to fail
    return broker.bounds([TopicPartition("trades.v1", 2)])


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE])
def test_where_a_log_ends_is_asked_again_while_its_leader_moves(code: int) -> None:
    """As of a topic that was just made; within the time a question has, and not for what will not pass."""
    assert asked_of(_Admin(2, code), 20.0) == {TopicPartition("trades.v1", 2): Bounds(7, 7, 3)}
    with pytest.raises(BrokerUnavailable):
        asked_of(_Admin(1_000_000, code), 0.3)
    with pytest.raises(BrokerUnavailable):
        asked_of(_Admin(1, KafkaError.TOPIC_AUTHORIZATION_FAILED), 20.0)
