"""Logs as the broker has them: which topic this is, where it starts, where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable, ConfigurationError
from sinks.progress.positions import Log
from sinks.progress.watermark import Partition

ANSWER_WITHIN_S = 10.0


class TopicLogs:
    """Looks at topics through the admin protocol, off the event loop."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect lazily; topic names are given without `prefix`."""
        self._topics = Topics(bootstrap, "mds-sinks-admin", within_s=ANSWER_WITHIN_S)
        self._prefix = prefix

    async def look(self, partitions: Collection[Partition]) -> dict[Partition, Log]:
        """Return the log of each partition; raise BrokerUnavailable where the broker does not say."""
        if not partitions:
            return {}
        try:
            return await asyncio.to_thread(self._look, sorted(partitions))
        except ConfigurationError as error:  # deleted meanwhile, and perhaps to be made again
            raise BrokerUnavailable(f"the broker does not describe its topics: {error}") from error

    async def depth(self, topics: Collection[str], partitions: int) -> Mapping[str, int]:
        """Return how many records each topic holds; raises like `look`."""
        logs = await self.look([(topic, number) for topic in topics for number in range(partitions)])
        return {
            topic: sum(log.end - log.start for (name, _), log in logs.items() if name == topic)
            for topic in topics
        }

    def _look(self, partitions: list[Partition]) -> dict[Partition, Log]:
        described = self._topics.describe({self._prefix + topic for topic, _ in partitions})
        bounds = self._topics.bounds([(self._prefix + topic, number) for topic, number in partitions])
        return {
            (topic, number): Log(topic_id=described[self._prefix + topic].topic_id, start=start, end=end)
            for topic, number in partitions
            for start, end in (bounds[self._prefix + topic, number],)
        }
