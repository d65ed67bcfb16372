"""Publishes what transactions left to publish: dead letters and gaps, confirmed by Kafka before they are deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.postgres.errors import Pool
from infra.runtime.postgres.pool import connection
from schemas.errors import BrokerUnavailable, StoreUnavailable
from schemas.topics import dead, partition_count
from sinks.reading.shell.logs import TopicLogs

log = logging.getLogger(__name__)

DRAIN_ROWS = 500
DRAIN_WITHIN_S = 20.0  # below the server's limit for an idle transaction
LOOK_EVERY_S = 1.0  # for rows another replica left behind


DRAIN_OUTBOX = (
    "SELECT id, topic, partition, key, value FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
)
DELETE_OUTBOX = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class Outbox:
    """Drains the outbox table into Kafka; several replicas share the work by skipping locked rows."""

    def __init__(self, pool: Pool, publisher: Publisher, *, prefix: str) -> None:
        """Publish to topics named with `prefix`."""
        self._pool = pool
        self._publisher = publisher
        self._prefix = prefix
        self._filled = asyncio.Event()

    def filled(self) -> None:
        """Say that a transaction left something: it is published without waiting."""
        self._filled.set()

    async def run(self) -> None:
        """Drain for ever; an outage of Kafka or PostgreSQL is waited out."""
        while True:
            self._filled.clear()
            try:
                if await self.drain():
                    continue
            except (StoreUnavailable, BrokerUnavailable, TimeoutError) as error:
                log.warning("outbox_waiting", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await asyncio.wait_for(self._filled.wait(), LOOK_EVERY_S)
            except TimeoutError:
                pass

    async def drain(self) -> int:
        """Publish up to 500 rows and return how many. After an error some may be published again: that is harmless."""
        async with connection(self._pool, within_s=DRAIN_WITHIN_S) as borrowed, borrowed.transaction():
            rows = await borrowed.fetch(DRAIN_OUTBOX, DRAIN_ROWS)
            if not rows:
                return 0
            outgoing = [
                Outgoing(
                    topic=self._prefix + row["topic"],
                    partition=row["partition"],
                    key=row["key"],
                    value=row["value"],
                )
                for row in rows
            ]
            await self._publisher.publish(outgoing)
            await borrowed.execute(DELETE_OUTBOX, [row["id"] for row in rows])
        return len(rows)


COUNT_EVERY_S = 30.0


async def watch_dead_letters(logs: TopicLogs, topics: Sequence[str]) -> None:
    """Count the dead letters of `topics` for ever; an outage keeps the last count."""
    twins = {dead(topic): topic for topic in topics}
    while True:
        try:
            for twin, depth in (await logs.depth(list(twins), partition_count())).items():
                metrics.DLQ_DEPTH.labels(twins[twin]).set(depth)
        except BrokerUnavailable:
            pass  # the service says so itself
        await asyncio.sleep(COUNT_EVERY_S)
