"""Topics of the real broker, created and checked."""

from __future__ import annotations

import pytest

from infra.runtime.kafka.topics import check_topics, ensure_topics
from schemas.errors import ConfigurationError
from schemas.topics import GAPS, RAW_BARS, partition_count


def test_topics_are_created_once_with_their_configuration(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A second run creates nothing; counts are checked at start."""
    assert ensure_topics(kafka_bootstrap, prefix=topic_prefix) == []
    check_topics(kafka_bootstrap, {topic_prefix + GAPS: partition_count()}, client_id="test")
    for name, count, told in (
        (RAW_BARS, partition_count() + 1, "never changes in place"),
        ("nosuch", partition_count(), "mds topics apply"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            check_topics(kafka_bootstrap, {topic_prefix + name: count}, client_id="test")
