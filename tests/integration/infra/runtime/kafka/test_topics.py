"""Topics of the real broker, created and checked."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer

from infra.runtime.kafka.clients import (
    check_partitions,
    consumer_config,
)
from infra.runtime.kafka.topics import ensure_topics
from schemas.errors import ConfigurationError
from schemas.topics import GAPS, RAW_BARS, partition_count


def test_topics_are_created_once_with_their_configuration(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A second run creates nothing; counts are checked at start."""
    consumer = Consumer(consumer_config(kafka_bootstrap, "test"))

    assert ensure_topics(kafka_bootstrap, prefix=topic_prefix) == []
    check_partitions(consumer, topic_prefix + GAPS, partition_count())
    with pytest.raises(ConfigurationError, match="never changes in place"):
        check_partitions(consumer, topic_prefix + RAW_BARS, partition_count() + 1)
    with pytest.raises(ConfigurationError, match="mds topics apply"):
        check_partitions(consumer, topic_prefix + "nosuch", partition_count())
    consumer.close()
