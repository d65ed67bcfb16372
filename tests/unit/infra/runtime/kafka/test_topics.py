"""Questions to a broker that is not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable
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
