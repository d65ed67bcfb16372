"""Series in PostgreSQL, with how far each has come, and the watermarks of their partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.clocks import KnowledgeTime
from schemas.identity import stream_id_of
from schemas.partitions import TopicPartition
from schemas.streams import STREAM_NAMES, StreamId
from sinks.ledger.cursors import Cursor
from sinks.ledger.memory import Book, Changes

LOAD_STREAMS = """
    SELECT kind, interval, provider, symbol, start_time, last_seen FROM streams WHERE partition = ANY($1::int[])
"""
# A row not returned is another series under the same number.
STORE_STREAMS = """
    INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition, start_time, last_seen)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::timestamptz[],
        $8::timestamptz[])
    ON CONFLICT (stream_id) DO UPDATE
    SET start_time = LEAST(streams.start_time, excluded.start_time),
        last_seen = GREATEST(streams.last_seen, excluded.last_seen)
    WHERE (streams.kind, streams.interval, streams.provider, streams.symbol)
        = (excluded.kind, excluded.interval, excluded.provider, excluded.symbol)
    RETURNING 1
"""
STORE_WATERMARKS = """
    INSERT INTO watermarks (topic, partition, complete_before)
    SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[])
    ON CONFLICT (topic, partition) DO UPDATE
    SET complete_before = GREATEST(watermarks.complete_before, excluded.complete_before)
"""


async def stored_streams(connection: Connection, numbers: Sequence[int]) -> dict[StreamId, Cursor | None]:
    """Return the series of partition numbers, and the cursor of each that has rows which count.

    What is no longer declared is kept, and left out.
    """
    rows = await connection.fetch(LOAD_STREAMS, numbers)
    return {
        StreamId(row["kind"], row["interval"], row["provider"], row["symbol"]): None
        if row["last_seen"] is None
        else Cursor(start=row["start_time"], last_seen=row["last_seen"])
        for row in rows
        if row["kind"] in STREAM_NAMES
    }


async def store_streams(connection: Connection, book: Book, changes: Changes) -> None:
    """Store the series of a batch that are new to `book` or moved."""
    rows = list[tuple[Any, ...]]()
    for key, partition in changes.partitions.items():
        cursor = changes.cursors.get(key)
        if key in book.series and (cursor is None or cursor == book.cursors.get(key)):
            continue
        start, last = (None, None) if cursor is None else (cursor.start, cursor.last_seen)
        named = (stream_id_of(key), key.name, key.interval, key.provider, key.symbol)
        rows.append((*named, partition, start, last))
    if rows:
        stored = await connection.fetch(STORE_STREAMS, *map(list, zip(*rows, strict=True)))
        if len(stored) != len(rows):
            raise RuntimeError(
                "two series have one number in table streams, or a row of it was changed by hand"
            )


async def store_watermarks(connection: Connection, complete: Mapping[TopicPartition, KnowledgeTime]) -> None:
    """Move the watermarks of partitions."""
    if complete:
        rows = [(topic, number, moment) for (topic, number), moment in complete.items()]
        await connection.execute(STORE_WATERMARKS, *map(list, zip(*rows, strict=True)))
