"""What transactions left to publish reaches the real broker, and is deleted only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.postgres.pool import pool
from schemas.errors import BrokerUnavailable
from schemas.topics import GAPS
from sinks.store.shell.outbox import DRAIN_ROWS, Outbox
from tests.support.eventually import eventually
from tests.support.sink_records import count, query

WITHIN_S = 30.0


async def leave(dsn: str, values: Sequence[bytes]) -> None:
    """Leave records to publish, as a transaction of a sink does."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany(
            "INSERT INTO outbox (topic, partition, key, value) VALUES ($1, 0, $2, $3)",
            [(GAPS, b"SPY", value) for value in values],
        )
    finally:
        await connection.close()


def published(bootstrap: str, prefix: str) -> list[bytes]:
    """Return what is in the topic."""
    with LogReader(bootstrap, "test-outbox") as reader:
        return [message.value() or b"" for message in reader.read(prefix + GAPS, 0, 0)]


@asynccontextmanager
async def an_outbox(dsn: str, publisher: Any, prefix: str) -> AsyncIterator[Outbox]:
    async with pool(dsn, service="test", size=2) as opened:
        yield Outbox(opened, cast(Publisher, publisher), prefix=prefix)


class _Away:
    """A broker that is away for the first few publications."""

    def __init__(self, publisher: Publisher, times: int) -> None:
        self.publisher, self.left = publisher, times

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Fail, or publish."""
        if self.left:
            self.left -= 1
            raise BrokerUnavailable("away")
        return await self.publisher.publish(records)


async def test_rows_are_published_in_order_a_piece_at_a_time(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Five hundred in one transaction, the oldest first; then there is nothing to do."""
    values = [f"{number:04d}".encode() for number in range(DRAIN_ROWS + 3)]
    await leave(database, values)
    publisher = Publisher(kafka_bootstrap, "test-outbox")
    try:
        async with an_outbox(database, publisher, topic_prefix) as outbox:
            drained = [await outbox.drain() for _ in range(3)]
    finally:
        publisher.close()

    assert drained == [DRAIN_ROWS, 3, 0]
    assert await asyncio.to_thread(published, kafka_bootstrap, topic_prefix) == values
    assert await count(database, "outbox") == 0


async def test_an_outage_keeps_the_rows_and_is_waited_out(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """What is left while it runs is published without being asked for twice."""
    await leave(database, [b"first"])
    publisher = Publisher(kafka_bootstrap, "test-outbox")
    away = _Away(publisher, 2)
    try:
        async with an_outbox(database, away, topic_prefix) as outbox:
            running = asyncio.ensure_future(outbox.run())
            await eventually(lambda: away.left == 1, within_s=WITHIN_S)
            kept = await count(database, "outbox")
            await leave(database, [b"second"])
            outbox.filled()

            async def is_empty() -> bool:
                return await count(database, "outbox") == 0

            await eventually(is_empty, within_s=WITHIN_S)
            running.cancel()
    finally:
        publisher.close()

    assert kept == 1
    assert await asyncio.to_thread(published, kafka_bootstrap, topic_prefix) == [b"first", b"second"]


async def test_two_replicas_share_the_rows(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """What one has locked the other leaves alone."""
    await leave(database, [b"mine"])
    holder = await asyncpg.connect(database)
    publisher = Publisher(kafka_bootstrap, "test-outbox")
    try:
        async with an_outbox(database, publisher, topic_prefix) as outbox, holder.transaction():
            await holder.fetch("SELECT id FROM outbox FOR UPDATE")
            assert await outbox.drain() == 0
    finally:
        publisher.close()
        await holder.close()

    assert [row["value"] for row in await query(database, "SELECT value FROM outbox")] == [b"mine"]
