"""Logs as the broker has them: which topic this is, where it starts, where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from infra.runtime.kafka.topics import Topics
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from sinks.progress.positions import Log

ANSWER_WITHIN_S = 10.0


class TopicLogs:
    """Looks at topics through the admin protocol, off the event loop."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect lazily; topic names are given without `prefix`."""
        self._topics = Topics(bootstrap, "mds-sinks-admin", within_s=ANSWER_WITHIN_S)
        self._prefix = prefix

    async def look(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Log]:
        """Return the log of each partition; raise BrokerUnavailable where the broker does not say."""
        if not partitions:
            return {}
        try:
            return await asyncio.to_thread(self._look, sorted(partitions))
        except ConfigurationError as error:  # deleted meanwhile, and perhaps to be made again
            raise BrokerUnavailable(f"the broker does not describe its topics: {error}") from error

    def _look(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Log]:
        described = self._topics.describe({self._prefix + topic for topic, _ in partitions})
        bounds = self._topics.bounds(
            [TopicPartition(self._prefix + topic, number) for topic, number in partitions]
        )
        return {
            place: Log(
                topic_id=described[self._prefix + place.topic].topic_id,
                start=CanonicalOffset(start),
                end=CanonicalOffset(end),
            )
            for place, (start, end) in zip(partitions, bounds.values(), strict=True)
        }
