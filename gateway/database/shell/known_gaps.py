"""Gaps of a symbol as they were known at a moment, derived from the evidence and the bars known then; gaps and cursors of now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.database import ledger_statements, statements
from gateway.database.cursors import SeriesCursor, collected_ranges, first_absence, longest_session_us
from gateway.database.gap_pages import MAX_ROWS, GapKey, GapPage, GapWalk, first_width_us
from gateway.database.versions import GapFilter
from gateway.http.moments import EARLIEST_US, LATEST_US
from infra.runtime.postgres.errors import Connection
from schemas.calendar.expected_bars import is_judged
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord
from schemas.identity import stream_id_of, stream_of, stream_text
from schemas.intervals import AHEAD_US, DAY_US
from schemas.ledger.coverage import coverage_of
from schemas.ledger.gaps import gaps_of, reach
from schemas.records import Evidence, Gap
from schemas.streams import StreamId, StreamName

MAX_AHEAD_US = DAY_US + AHEAD_US  # nothing is stored that is stamped further ahead of when it became known
ON_THIS_THREAD = 2_000  # rows; more are compared on another, since the WebSocket clients share this one

Told = Mapping[StreamId, Sequence[Evidence]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKnowledge:
    """Everything gaps of a series in a stretch follow from."""

    series: StreamId
    evidence: Sequence[Evidence]
    horizon: EventTime | None
    start: EventTime
    end: EventTime
    stored: list[EventTime] = field(default_factory=list)

    def gaps(self) -> list[Gap]:
        """Return the gaps that overlap the stretch."""
        return gaps_of(
            self.series, self.evidence, self.stored, horizon=self.horizon, start=self.start, end=self.end
        )


async def known_gaps(
    connection: Connection,
    which: GapFilter,
    *,
    limit: int,
    after: GapKey | None = None,
    descending: bool = False,
    width_us: int | None = None,
    most_rows: int = MAX_ROWS,
) -> GapPage:
    """Return a page of the gaps of `which.symbol` that were known at `which.as_of`, by (from_time, gap_id)."""
    first = await connection.fetchval(ledger_statements.FIRST_EVIDENCE, which.symbol, which.as_of)
    if first is None:
        return GapPage(gaps=())
    walk = GapWalk(
        which=which,
        low=max(which.start, first),
        high=EventTime(min(which.end, which.as_of + MAX_AHEAD_US)),
        limit=limit,
        descending=descending,
        after=after,
        width_us=first_width_us(which.intervals) if width_us is None else width_us,
        most_rows=most_rows,
    )
    reading = _Reading(connection, which, walk.low)
    while (window := walk.window) is not None:
        gaps, rows = await reading.gaps(*window)
        if (page := walk.take(gaps, rows)) is not None:
            return page
    return GapPage(gaps=walk.found)


async def present_gaps(
    connection: Connection,
    which: GapFilter,
    *,
    limit: int,
    after: GapKey | None = None,
    descending: bool = False,
) -> GapPage:
    """Return a page of the blind gaps of all symbols as they are now: what a job fetches at this moment is `filling`."""
    both = ledger_statements.FILLING_GAPS if which.state == "filling" else ledger_statements.PRESENT_GAPS
    statement = both[1 if descending else 0]
    from_time, gap_id = after or ((LATEST_US, "\U0010ffff") if descending else (EARLIEST_US, ""))
    rows = await connection.fetch(
        statement, which.intervals, which.provider, which.state, which.start, which.end, from_time,
        gap_id, limit + 1,
    )  # fmt: skip
    gaps = [Gap(**row) for row in rows]
    shown = gaps[:limit]
    return GapPage(gaps=shown, after=(shown[-1].from_time, shown[-1].gap_id) if len(gaps) > limit else None)


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


class _Reading:
    """Reads of one walk; what holds for all of its windows is read once."""

    def __init__(self, connection: Connection, which: GapFilter, low: EventTime) -> None:
        self._connection, self._which, self._low = connection, which, low
        self._horizons: dict[StreamId, EventTime | None] = {}
        self._floors: dict[StreamName, EventTime | None] = {}

    async def gaps(self, start: EventTime, end: EventTime) -> tuple[list[Gap], int]:
        """Return the gaps that overlap [start, end), and how many rows were read for them."""
        told = await self._told(start, end)
        await self._look_up(told)
        known = []
        for series, evidence in told.items():
            begin = max(start, self._floors[series.name] or start)
            if begin < end:
                horizon = self._horizons[series]
                known.append(
                    SeriesKnowledge(series=series, evidence=evidence, horizon=horizon, start=begin, end=end)
                )
        await self._read_stored([each for each in known if is_judged(each.series.interval)])
        rows = sum(len(each.evidence) + len(each.stored) for each in known)
        if rows > ON_THIS_THREAD:
            return await asyncio.to_thread(_derived, known), rows
        return _derived(known), rows

    async def _told(self, start: EventTime, end: EventTime) -> Told:
        """Return what was told of each series in the reach of [start, end).

        Looks wider and wider, so that a chain of stretches that touch each other costs few looks.
        """
        which, low, high, wider_us = self._which, start, end, DAY_US
        while True:
            rows = await self._connection.fetch(
                ledger_statements.EVIDENCE,
                which.symbol,
                low,
                high,
                which.as_of,
                which.intervals,
                which.provider,
            )
            told = _by_series([Evidence(**row) for row in rows])
            reaches = [reach(series, evidence, start, end) for series, evidence in told.items()]
            first, last = (
                min((r[0] for r in reaches), default=low),
                max((r[1] for r in reaches), default=high),
            )
            if first >= low and last <= high:
                return told
            low = EventTime(low if first >= low else first - wider_us)
            high = EventTime(high if last <= high else last + wider_us)
            wider_us *= 4

    async def _look_up(self, told: Told) -> None:
        """Read what holds for all windows of the series that are new."""
        for name in {series.name for series in told} - self._floors.keys():
            self._floors[name] = await self._connection.fetchval(statements.KEPT_FROM, [name])
        new = [series for series in told if series not in self._horizons]
        self._horizons |= dict.fromkeys(new)
        bars = {stream_id_of(series): series for series in new if is_judged(series.interval)}
        if not bars:
            return
        reaches = await self._connection.fetch(ledger_statements.REACHES, list(bars))
        if not reaches:
            return
        low = max(self._low - DAY_US, min(row["start_time"] for row in reaches))
        high = min(self._which.as_of, max(row["last_seen"] for row in reaches)) + MAX_AHEAD_US
        rows = await self._connection.fetch(
            ledger_statements.HORIZONS, [row["stream_id"] for row in reaches], low, high, self._which.as_of
        )
        self._horizons |= {bars[row["stream_id"]]: row["horizon"] for row in rows}

    async def _read_stored(self, known: Sequence[SeriesKnowledge]) -> None:
        """Read which bars were stored then: of each series only where something is told."""
        wanted = [(each, *_stretch(each)) for each in known]
        wanted = [each for each in wanted if each[1] < each[2]]
        if not wanted:
            return
        by_id = {stream_id_of(each.series): each for each, _, _ in wanted}
        lows, highs = [low for _, low, _ in wanted], [high for _, _, high in wanted]
        rows = await self._connection.fetch(
            ledger_statements.STORED_STARTS,
            list(by_id),
            lows,
            highs,
            min(lows),
            max(highs),
            self._which.as_of,
        )
        for row in rows:
            by_id[row[0]].stored.append(row[1])


def _by_series(evidence: Sequence[Evidence]) -> Told:
    told: dict[StreamId, list[Evidence]] = {}
    for each in evidence:
        try:
            series = stream_of(each.stream)
        except InvalidRecord:
            continue  # of a stream that is not declared any more
        told.setdefault(series, []).append(each)
    return told


def _stretch(known: SeriesKnowledge) -> tuple[EventTime, EventTime]:
    """Return the stretch in which it matters whether bars are stored: the reach, where something is told of it."""
    low, high = reach(known.series, known.evidence, known.start, known.end)
    told = [each for each in known.evidence if each.kind in ("blind", "collected")]
    first = min((each.from_time for each in told), default=high)
    horizon = known.start if known.horizon is None else known.horizon
    last = max((horizon if each.to_time is None else each.to_time for each in told), default=low)
    return EventTime(max(low, first - DAY_US)), EventTime(min(high, last + DAY_US))


def _derived(known: Sequence[SeriesKnowledge]) -> list[Gap]:
    gaps: list[Gap] = []
    for each in known:
        each.stored[:] = sorted(set(each.stored))
        gaps += each.gaps()
    return gaps
