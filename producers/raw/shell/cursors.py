"""How far each stream had come when we stopped, as the sink stored it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import asyncpg

from infra.runtime.postgres.pool import connection, pool
from producers.raw.missed import StreamKey
from schemas.errors import StoreUnavailable

READ_WITHIN_S = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# $1: channels, $2: providers; the few streams of symbols no longer configured are dropped afterwards.
LAST_SEEN = """
    SELECT channel, provider, symbol, last_seen FROM cursors
    WHERE channel = ANY($1::text[]) AND provider = ANY($2::text[])
"""


async def read_cursors(dsn: str, streams: Collection[StreamKey]) -> Mapping[StreamKey, int]:
    """Return the last event time (µs) stored of each of `streams` that has one; raise StoreUnavailable."""
    wanted = {(stream.channel, stream.provider, stream.symbol): stream for stream in streams}
    channels = sorted({stream.channel for stream in streams})
    providers = sorted({stream.provider for stream in streams})
    try:
        async with (
            pool(dsn, service="producers", size=1) as opened,
            connection(opened, within_s=READ_WITHIN_S) as reader,
        ):
            rows = await reader.fetch(LAST_SEEN, channels, providers)
    except asyncpg.PostgresError as error:
        raise StoreUnavailable(
            f"cursors cannot be read: {type(error).__name__}; run `mds migrate`"
        ) from error
    found = ((wanted.get((row["channel"], row["provider"], row["symbol"])), row["last_seen"]) for row in rows)
    return {
        stream: (seen - EPOCH) // timedelta(microseconds=1) for stream, seen in found if stream is not None
    }
