"""Series and watermarks in a real PostgreSQL: how far each has come, and that one number is one series."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.errors import Connection
from schemas.clocks import EventTime, KnowledgeTime
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from sinks.ledger.cursors import Cursor
from sinks.ledger.memory import Book, Changes
from sinks.store.shell.series import store_streams, store_watermarks, stored_streams

SPY, QUOTES = StreamId("bars", "1m", "yahoo", "SPY"), StreamId("quotes", "", "yahoo", "SPY")


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database of this test alone."""
    opened = await asyncpg.connect(database)
    await register_times(opened)
    yield opened
    await opened.close()


def cursor(start: int, last: int) -> Cursor:
    """Return a cursor."""
    return Cursor(start=EventTime(start), last_seen=EventTime(last))


async def test_a_series_goes_on_only_forward_and_is_kept_without_rows(connection: Connection) -> None:
    """Of the partitions that are asked for, and what is declared."""
    await store_streams(
        connection, Book(), Changes(cursors={SPY: cursor(50, 90)}, partitions={SPY: 2, QUOTES: 3})
    )
    await store_streams(connection, Book(), Changes(cursors={SPY: cursor(40, 70)}, partitions={SPY: 2}))
    await connection.execute("UPDATE streams SET kind = 'auctions' WHERE kind = 'quotes'")

    assert await stored_streams(connection, [2, 3]) == {SPY: cursor(40, 90)}
    assert await stored_streams(connection, [1]) == {}


async def test_two_series_under_one_number_are_refused(connection: Connection) -> None:
    """Or one would be stored as the other."""
    await store_streams(connection, Book(), Changes(partitions={SPY: 2}))
    await connection.execute("UPDATE streams SET symbol = 'QQQ'")
    with pytest.raises(RuntimeError, match="one number"):
        await store_streams(connection, Book(), Changes(partitions={SPY: 2}))


async def test_a_watermark_never_goes_back(connection: Connection) -> None:
    """Whatever is claimed again."""
    for moment in (7, 9, 8):
        await store_watermarks(connection, {TopicPartition("bars.v1", 1): KnowledgeTime(moment)})
    assert await connection.fetchval("SELECT complete_before FROM watermarks") == 9
