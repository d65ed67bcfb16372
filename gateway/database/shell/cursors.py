"""The cursor of a series, read of the database as it is now."""

from __future__ import annotations

from gateway.database import ledger_statements
from gateway.database.cursors import SeriesCursor, collected_ranges, first_absence, longest_session_us
from infra.runtime.postgres.errors import Connection
from schemas.identity import stream_id_of, stream_text
from schemas.ledger.coverage import coverage_of
from schemas.streams import StreamId


async def series_cursor(connection: Connection, stream: StreamId) -> SeriesCursor | None:
    """Return how far a series has come, where it is collected, and where the first thing is missing; None without rows."""
    number, text = stream_id_of(stream), stream_text(stream)
    row = await connection.fetchrow(ledger_statements.CURSOR, number)
    if row is None:
        return None
    ranges = await connection.fetch(ledger_statements.COLLECTED, text)
    collected = collected_ranges(stream, [(each[0], each[1]) for each in ranges], row["last_seen"])
    since = collected[-1][0] if collected else row["start_time"]
    hole = await connection.fetchval(ledger_statements.FIRST_HOLE, stream.symbol, text, since)
    sessions = await connection.fetch(
        ledger_statements.FIRST_ABSENCE, number, since - longest_session_us(stream.interval)
    )
    holes = [hole, *(first_absence(stream, coverage_of(*each), since) for each in sessions)]
    return SeriesCursor(
        start_time=row["start_time"],
        last_seen=row["last_seen"],
        collected=collected,
        hole=min((each for each in holes if each is not None), default=None),
    )
