"""Watermarks of the store, followed in memory: an as_of waits for them and `provisional` compares with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from gateway.database.knowledge import AS_OF_WAIT_S, complete_through, not_yet_complete
from gateway.database.shell.snapshot import Snapshots
from gateway.http.moments import rfc3339
from gateway.http.problems import Problem
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.lifecycle import Health
from schemas.clocks import KnowledgeTime
from schemas.errors import StoreUnavailable
from schemas.partitions import TopicPartition

FOLLOW_EVERY_S = 0.1
MAX_REMEMBERED = 1_000  # questions, each for the tenth of a second that a reading is the newest
PART = "database"

log = logging.getLogger(__name__)


class Watermarks:
    """The newest watermarks read; they only rise, so an old reading is merely cautious."""

    def __init__(self, store: Snapshots) -> None:
        """Start with none; `follow` reads them, over a connection that readers have no part in."""
        self._store = store.apart(concurrent=1)
        self._marks: dict[TopicPartition, KnowledgeTime] = {}
        self._through: dict[tuple[tuple[str, ...], tuple[int, ...]], KnowledgeTime | None] = {}
        self._moved = asyncio.Condition()
        self._read_at_s: float | None = None

    async def follow(self, health: Health) -> None:
        """Read for ever; reports the part `database`: ready while the database answers."""
        health.expect(PART)
        while True:
            try:
                marks = await self._store.watermarks()
                health.report(PART, ready=True)
                self._read_at_s = monotonic_s()
                await self._advance(marks)
                await asyncio.sleep(FOLLOW_EVERY_S)
            except (StoreUnavailable, Problem) as error:
                log.warning("watermarks_unread", extra={"error": str(error)})
                health.report(PART, ready=False, error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _advance(self, marks: dict[TopicPartition, KnowledgeTime]) -> None:
        if marks != self._marks:
            async with self._moved:
                self._marks = marks
                self._through.clear()
                self._moved.notify_all()

    def through(self, topics: Iterable[str], partitions: Iterable[int]) -> KnowledgeTime | None:
        """Return the newest as_of complete in all those partitions; None where one has no watermark."""
        asked = tuple(topics), tuple(partitions)
        if asked not in self._through:
            if len(self._through) >= MAX_REMEMBERED:
                self._through.clear()
            names, numbers = asked
            self._through[asked] = complete_through(
                self._marks.get(TopicPartition(topic, number)) for topic in names for number in numbers
            )
        return self._through[asked]

    async def reached(self, as_of: KnowledgeTime, topics: Iterable[str], partitions: Iterable[int]) -> None:
        """Wait, at most 4 s, until `as_of` is complete there; raise the 503 Problem where it is not by then."""
        names, numbers = tuple(topics), tuple(partitions)

        def complete() -> bool:
            through = self.through(names, numbers)
            return through is not None and as_of <= through

        if complete():
            return
        try:
            async with asyncio.timeout(AS_OF_WAIT_S), self._moved:
                await self._moved.wait_for(complete)
        except TimeoutError:
            raise not_yet_complete(as_of, self.through(names, numbers)) from None

    def document(self) -> dict[str, Any]:
        """Return every watermark with its age in wall seconds, and how old this reading is."""
        now = wall_us()
        marks = [
            {
                "topic": topic,
                "partition": partition,
                "complete_before": rfc3339(mark),
                "age_s": (now - mark) / 1e6,
            }
            for (topic, partition), mark in sorted(self._marks.items())
        ]
        read_s = None if self._read_at_s is None else round(monotonic_s() - self._read_at_s, 1)
        return {"seconds_since_read": read_s, "marks": marks}
