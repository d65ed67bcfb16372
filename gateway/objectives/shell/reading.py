"""Series as the objectives and conditions need them, read page by page: no answer is large, and other work comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.database.shell.snapshot import Snapshot
from gateway.objectives import statements
from gateway.objectives.burn_rates import LOOK_BACK_US, WHOLE, market_windows
from gateway.objectives.collection import BlindGap, SeriesStanding
from gateway.objectives.conditions import UnderWay
from schemas.calendar.expected_bars import DAILY, is_judged
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord
from schemas.identity import stream_of, stream_text
from schemas.intervals import DAY_US, SECOND_US, micros
from schemas.ledger.coverage import Coverage, coverage_of
from schemas.streams import BAR_STREAM, StreamId

AT_ONCE = 2_000  # rows of one answer: decoding them holds the loop for some 5 ms
LONGEST_SESSION_US = 2 * DAY_US

Row = Mapping[str, Any]


async def all_series(snapshot: Snapshot, now: int) -> list[SeriesStanding]:
    """Return every series there is, with what is missing of its bars in the windows up to market time `now` (µs)."""
    found: list[SeriesStanding] = []
    low, high, last = now - LOOK_BACK_US, now, -(2**63)
    begins: dict[str, int] = {}
    while True:
        rows = await snapshot.rows(statements.SERIES, last, AT_ONCE)
        lows = await asyncio.to_thread(_window_starts, rows, now, begins)
        found += await _with_coverage(snapshot, rows, lows, high)
        if len(rows) < AT_ONCE:
            break
        last = rows[-1]["stream_id"]
    holes: dict[str, list[BlindGap]] = {}
    end, gap_id = EventTime(low), ""
    while True:
        rows = await snapshot.rows(statements.OPEN_HOLES, end, gap_id, AT_ONCE)
        for row in rows:
            if row["from_time"] < high:
                holes.setdefault(row["stream"], []).append(_hole(row))
        if len(rows) < AT_ONCE:
            break
        end, gap_id = rows[-1]["to_time"], rows[-1]["gap_id"]
    if not holes:
        return found
    return await asyncio.to_thread(_joined, found, holes)


async def symbols_after(snapshot: Snapshot, symbol: str, limit: int) -> list[str]:
    """Return the first symbols of which anything is stored that come after one, in order."""
    return [row["symbol"] for row in await snapshot.rows(statements.SYMBOLS, symbol, limit)]


async def series_of(
    snapshot: Snapshot, symbols: Sequence[str], low: int, high: int
) -> tuple[list[SeriesStanding], list[UnderWay]]:
    """Return the series of symbols, with all that is told of [low, high) (µs), and what backfills are at work on there."""
    rows = await snapshot.rows(statements.SERIES_OF_SYMBOLS, symbols)
    lows = [low - LONGEST_SESSION_US] * len(rows)
    found = await _with_coverage(snapshot, rows, lows, high)
    names = [stream_text(each.id) for each in found]
    holes: dict[str, list[BlindGap]] = {}
    for row in await snapshot.rows(statements.HOLES, names, low, high):
        holes.setdefault(row["stream"], []).append(_hole(row))
    working = [
        UnderWay(series, row["from_time"], row["to_time"])
        for row in await snapshot.rows(statements.UNDER_WAY, names, low, high)
        if (series := _declared(row["stream"])) is not None
    ]
    return _joined(found, holes), working


def _window_starts(rows: Sequence[Row], now: int, begins: dict[str, int]) -> list[int]:
    """Return where the longest window of each series begins; what is known of calendars is noted in `begins`."""
    lows = []
    for row in rows:
        calendar = calendar_of(row["symbol"])
        if calendar.name not in begins:
            windows = market_windows(calendar, now)
            begins[calendar.name] = now if windows is None else windows[WHOLE]
        lows.append(begins[calendar.name])
    return lows


async def _with_coverage(
    snapshot: Snapshot, rows: Sequence[Row], lows: Sequence[int], high: int
) -> list[SeriesStanding]:
    bars = [
        (row["stream_id"], _year_of(low) if row["interval"] == DAILY else low)
        for row, low in zip(rows, lows, strict=True)
        if row["kind"] == BAR_STREAM.name and is_judged(row["interval"])
    ]
    coverage: dict[int, list[Coverage]] = {}
    if bars:
        numbers, begins = zip(*bars, strict=True)
        for row in await snapshot.rows(statements.COVERAGE, list(numbers), list(begins), high):
            told = coverage_of(row["start_time"], row["expected"], row["absent"], row["empty"])
            coverage.setdefault(row["stream_id"], []).append(told)
    return [
        SeriesStanding(
            id=StreamId(row["kind"], row["interval"], row["provider"], row["symbol"]),
            start=row["start_time"],
            last_seen=row["last_seen"],
            coverage=tuple(coverage.get(row["stream_id"], ())),
        )
        for row in rows
    ]


def _joined(found: Sequence[SeriesStanding], holes: Mapping[str, Sequence[BlindGap]]) -> list[SeriesStanding]:
    if not holes:
        return list(found)
    names = ((each, holes.get(stream_text(each.id))) for each in found)
    return [each if told is None else replace(each, holes=tuple(told)) for each, told in names]


def _hole(row: Row) -> BlindGap:
    return BlindGap(row["from_time"], row["to_time"], row["state"], row["cause"])


def _declared(stream: str) -> StreamId | None:
    try:
        return stream_of(stream)
    except InvalidRecord:
        return None  # of a stream that is not declared any more


def _year_of(moment: int) -> EventTime:
    year = datetime.fromtimestamp(moment // SECOND_US, UTC).year
    return EventTime(micros(datetime(year, 1, 1, tzinfo=UTC)))
