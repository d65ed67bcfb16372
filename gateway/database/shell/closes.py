"""Closes before the open of a day, looked for backwards in time, series by series."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.database import statements
from gateway.database.versions import MINUTE, StoredClose
from infra.runtime.postgres.errors import Connection, Record
from schemas.calendar.expected_bars import DAILY
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US
from schemas.streams import BAR_STREAM

FIRST_STEP_US = 10 * DAY_US  # few markets are closed for longer
WIDER = 6  # a step back covers so many times the time of the one before: ten years are five


async def previous_closes(
    connection: Connection, opens: Mapping[str, EventTime], provider: str | None, as_of: KnowledgeTime
) -> dict[str, list[StoredClose]]:
    """Return per symbol the last regular close before its moment of `opens` (µs), of each series of days and of minutes.

    Without a `provider` none of a shadow poll.
    """
    found: dict[str, list[StoredClose]] = {symbol: [] for symbol in opens}
    if not opens:
        return found
    rows = await connection.fetch(statements.SERIES, list(opens), provider, [MINUTE, DAILY])
    left = [row for row in rows if row["name"] == BAR_STREAM.name and row["start_time"] is not None]
    end, step_us = max(opens.values()), FIRST_STEP_US
    while left := [row for row in left if row["start_time"] < min(opens[row["symbol"]], end)]:
        start = max(end - step_us, min(row["start_time"] for row in left))
        came = {
            row["stream_id"]: row
            for row in await connection.fetch(
                statements.PREVIOUS_CLOSES,
                [row["stream_id"] for row in left],
                [row["interval"] == DAILY for row in left],
                [opens[row["symbol"]] for row in left],
                start,
                end,
                as_of,
                provider is not None,
            )
        }
        for series in left:
            if (row := came.get(series["stream_id"])) is not None:
                found[series["symbol"]].append(_close(series, row))
        left = [row for row in left if row["stream_id"] not in came]
        end, step_us = start, step_us * WIDER
    return found


def _close(series: Record, row: Record) -> StoredClose:
    return StoredClose(
        symbol=series["symbol"],
        provider=series["provider"],
        interval=series["interval"],
        close=row["close"],
        event_time=row["event_time"],
        currency=row["currency"],
    )
