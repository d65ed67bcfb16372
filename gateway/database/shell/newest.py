"""Newest values of symbols, and closes before the open of a day: what is kept as newest, else looked for backwards in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.database import statements
from gateway.database.rows import row_reader
from gateway.database.versions import MINUTE, VALUE_STREAMS, StoredClose, StoredSeries, Value
from gateway.http.moments import ALL_KNOWN
from infra.runtime.postgres.errors import Connection, Record
from schemas.calendar.expected_bars import DAILY
from schemas.clocks import EventTime, KnowledgeTime
from schemas.deriving import key
from schemas.intervals import AHEAD_US, DAY_US
from schemas.providers.built_in import unpriced_by
from schemas.streams import BAR_STREAM, Stream

FIRST_STEP_US = DAY_US
FIRST_CLOSES_US = 10 * DAY_US  # few markets are closed for longer
WIDER = 4  # a step back covers so many times the time of the one before: a year is five

Newest = dict[int, Value]
"""The newest value of each series, by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestAsked:
    """Choice of what counts as the newest value: known by `as_of` (None: now), not later than `latest_event`, or a shadow poll's."""

    as_of: KnowledgeTime | None
    latest_event: EventTime
    shadows: bool


async def newest_values(
    connection: Connection, symbols: Sequence[str], provider: str | None, wanted: NewestAsked
) -> dict[str, list[Value]]:
    """Return per symbol the newest quote, trade and 1-minute bar of each provider, or of the one given.

    A forming bar counts where no moment is asked about: of the past none is kept.
    """
    found: dict[str, list[Value]] = {symbol: [] for symbol in symbols}
    rows = await connection.fetch(statements.SERIES, symbols, provider, [MINUTE])
    for stream in VALUE_STREAMS:
        series = {row["stream_id"]: StoredSeries(**row) for row in rows if row["name"] == stream.name}
        newest = await _kept(connection, stream, series, wanted) if wanted.as_of is None else {}
        rest = {number: each for number, each in series.items() if number not in newest}
        newest |= await _stored(connection, stream, rest, wanted)
        for value in newest.values():
            found[value.symbol].append(value)
    return found


async def _kept(
    connection: Connection, stream: Stream, series: Mapping[int, StoredSeries], wanted: NewestAsked
) -> Newest:
    """Return what is kept as newest; of bars the forming one, unless its series has come to its end."""
    if not series or stream.name not in statements.NEWEST_KEPT:
        return {}
    rows = await connection.fetch(statements.NEWEST_KEPT[stream.name], list(series), wanted.shadows)
    found = _values(stream, rows, series)
    if stream.versions != "slots":
        return found
    seen = {number: each.last_seen for number, each in series.items()}
    return {
        number: bar
        for number, bar in found.items()
        if (last := seen[number]) is None or bar.event_time > last
    }


async def _stored(
    connection: Connection, stream: Stream, series: Mapping[int, StoredSeries], wanted: NewestAsked
) -> Newest:
    """Look back from the newest rows, in wider and wider steps: each opens only the partitions of its time."""
    found: Newest = {}
    as_of = ALL_KNOWN if wanted.as_of is None else wanted.as_of
    end, step_us = wanted.latest_event + 1, FIRST_STEP_US
    while left := _reaching(series, found, end):
        # How far a series has come is said by what was known then, which its newest row may be a little ahead of.
        end = min(end, 1 + AHEAD_US + max(last for _, last in left.values()))
        start = max(end - step_us, min(first for first, _ in left.values()))
        unpriced = [",".join(sorted(unpriced_by(series[number].provider))) for number in left]
        rows = await connection.fetch(
            statements.NEWEST_OF[stream.name], list(left), start, end, as_of, wanted.shadows, unpriced
        )
        found |= _values(stream, rows, series)
        end, step_us = start, step_us * WIDER
    return found


def _reaching(
    series: Mapping[int, StoredSeries], found: Newest, end: int
) -> dict[int, tuple[EventTime, EventTime]]:
    """Return how far the series reach that have rows before `end` and nothing found yet."""
    return {
        number: (each.start_time, each.last_seen)
        for number, each in series.items()
        if number not in found
        and each.start_time is not None
        and each.last_seen is not None
        and each.start_time < end
    }


_READERS: Mapping[str, Callable[..., Value]] = {
    stream.name: row_reader(stream, stream.record) for stream in VALUE_STREAMS
}


def _values(stream: Stream, rows: Sequence[Record], series: Mapping[int, StoredSeries]) -> Newest:
    read, names = _READERS[stream.name], key(stream)
    return {row[0]: read(row, *_key(series[row[0]], names)) for row in rows}


def _key(series: StoredSeries, names: Sequence[str]) -> list[Any]:
    return [getattr(series, name) for name in names]


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
    end, step_us = max(opens.values()), FIRST_CLOSES_US
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
