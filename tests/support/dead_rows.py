"""Dead events in a database, put there by hand or by a sink's reading, and how they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from infra.runtime.postgres import dead_events as store
from infra.runtime.postgres import pool as postgres
from schemas.dead_events import DeadEvent
from schemas.partitions import TopicPartition
from schemas.topics import DEFAULT_PARTITIONS
from sinks.reading.shell.dead_letters import DeadLetters
from sinks.reading.shell.logs import TopicLogs
from tests.support.backfill_jobs import opened
from tests.support.sink_records import query


async def dead(dsn: str, events: Sequence[DeadEvent]) -> None:
    """Put events into a database as a sink does, in this order."""
    connection = await opened(dsn)
    try:
        for event in events:
            place = event.place
            end = {TopicPartition(place.topic, place.partition): (place.topic_id, place.offset + 1)}
            await store.store(connection, [event], end)
    finally:
        await connection.close()


async def stands(dsn: str) -> dict[int, str]:
    """Return the state of every event by its id."""
    return {row[0]: row[1] for row in await query(dsn, "SELECT dead_id, state FROM dead_events ORDER BY 1")}


@asynccontextmanager
async def indexed(bootstrap: str, prefix: str, dsn: str) -> AsyncIterator[DeadLetters]:
    """Read topics of dead letters into the database as a sink does, when told so."""
    async with postgres.pool(dsn, service="test", size=2) as pool:
        yield DeadLetters(
            bootstrap, TopicLogs(bootstrap, prefix=prefix), pool, DEFAULT_PARTITIONS, prefix=prefix
        )
