"""Shows how many dead letters of the sink's topics wait for somebody to deal with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from infra.runtime import metrics
from schemas.errors import BrokerUnavailable
from schemas.topics import dead, partition_count
from sinks.reading.shell.logs import TopicLogs

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
