"""Logs as the broker has them: which topic this is, where it starts, where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from infra.runtime.kafka.clients import common_config
from schemas.errors import BrokerUnavailable
from sinks.progress.positions import Log
from sinks.progress.watermark import Partition

ANSWER_WITHIN_S = 10.0
NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # what a broker without topic ids answers


class TopicLogs:
    """Looks at topics through the admin protocol, off the event loop."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect lazily; topic names are given without `prefix`."""
        self._admin = AdminClient(common_config(bootstrap, "mds-sinks-admin"))
        self._prefix = prefix

    async def look(self, partitions: Collection[Partition]) -> dict[Partition, Log]:
        """Return the log of each partition; raise BrokerUnavailable where the broker does not say."""
        if not partitions:
            return {}
        try:
            return await asyncio.to_thread(self._look, sorted(partitions))
        except (KafkaException, TimeoutError) as error:
            raise BrokerUnavailable(f"the broker does not describe its topics: {error}; is it up?") from error

    async def depth(self, topics: Collection[str], partitions: int) -> Mapping[str, int]:
        """Return how many records each topic holds; raises like `look`."""
        logs = await self.look([(topic, number) for topic in topics for number in range(partitions)])
        return {
            topic: sum(log.end - log.start for (name, _), log in logs.items() if name == topic)
            for topic in topics
        }

    def _look(self, partitions: list[Partition]) -> dict[Partition, Log]:
        names = sorted({self._prefix + topic for topic, _ in partitions})
        described = self._admin.describe_topics(TopicCollection(names), request_timeout=ANSWER_WITHIN_S)
        ids = {name: str(future.result(ANSWER_WITHIN_S).topic_id) for name, future in described.items()}
        if NO_TOPIC_ID in ids.values():
            cluster = (
                self._admin.describe_cluster(request_timeout=ANSWER_WITHIN_S)
                .result(ANSWER_WITHIN_S)
                .cluster_id
            )
            ids = dict.fromkeys(names, f"cluster {cluster}")
        starts = self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {
            partition: Log(
                topic_id=ids[self._prefix + partition[0]], start=starts[partition], end=ends[partition]
            )
            for partition in partitions
        }

    def _offsets(self, partitions: list[Partition], spec: Any) -> dict[Partition, int]:
        asked = {TopicPartition(self._prefix + topic, number): spec for topic, number in partitions}
        answers = self._admin.list_offsets(asked, request_timeout=ANSWER_WITHIN_S)
        return {
            (tp.topic[len(self._prefix) :], tp.partition): future.result(ANSWER_WITHIN_S).offset
            for tp, future in answers.items()
        }
