"""Logs as the broker has them: which topic this is, where it starts and ends, where it was cut and grew again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import Topics
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from sinks.progress.positions import UNKNOWN_EPOCH, Log, StoredPosition
from sinks.reading.shell.epochs import EpochSpan, newer_records

ANSWER_WITHIN_S = 10.0
TUNING = {"fetch.wait.max.ms": 20}  # the end of a log is told after one


class TopicLogs:
    """Looks at topics through the admin protocol, off the event loop."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect lazily; topic names are given without `prefix`."""
        self._topics = Topics(bootstrap, "mds-sinks-admin", within_s=ANSWER_WITHIN_S)
        self._bootstrap, self._prefix = bootstrap, prefix

    async def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> dict[TopicPartition, Log]:
        """Return the log of each partition; raise BrokerUnavailable where the broker does not say.

        Where a log has another leader than when it was `stored`, it is read before that position: no record there may
        be newer than that.
        """
        if not partitions:
            return {}
        try:
            logs = await asyncio.to_thread(self._look, sorted(partitions))
            return await asyncio.to_thread(self._compare, logs, stored or {})
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
                leader_epoch=epoch,
            )
            for place, (start, end, epoch) in zip(partitions, bounds.values(), strict=True)
        }

    def _compare(
        self, logs: dict[TopicPartition, Log], stored: Mapping[TopicPartition, StoredPosition]
    ) -> dict[TopicPartition, Log]:
        spans = {
            TopicPartition(self._prefix + place.topic, place.partition): EpochSpan(
                start=logs[place].start,
                end=min(logs[place].end, known.next_offset),
                epoch=known.leader_epoch,
            )
            for place, known in stored.items()
            if UNKNOWN_EPOCH < known.leader_epoch < logs[place].leader_epoch
        }
        if not spans:
            return logs
        with LogReader(self._bootstrap, "mds-sinks-epochs", tuning=TUNING) as reader:
            newer = newer_records(reader, spans)
        return {
            place: replace(log, newer=newer.get(TopicPartition(self._prefix + place.topic, place.partition)))
            for place, log in logs.items()
        }
