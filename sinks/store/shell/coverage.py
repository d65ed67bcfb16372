"""Coverage in PostgreSQL: bits of absent bars, set by what evidence says and cleared by the bars that are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.calendar.expected_bars import is_judged, slot_of
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.identity import stream_id_of, stream_of, stream_text
from schemas.ledger.coverage import MARKING, Coverage, cleared, coverage_of, marked, marked_stretch
from schemas.ledger.gaps import chunks, said_until
from schemas.records import Evidence
from schemas.streams import StreamId
from sinks.batch.frontier import NEVER
from sinks.ledger.gaps import Revision, Stretch, clusters
from sinks.ledger.memory import Changes
from sinks.ledger.reach import Reach
from sinks.store.shell.gaps import series_of, stored_slots

# $1 series by name → from where to where the gaps of each reach that are not filled; those without any are left out
LOAD_REACH = """
    SELECT s.stream, first.from_time AS low, last.to_time AS high FROM unnest($1::text[]) s(stream)
    CROSS JOIN LATERAL (
        SELECT g.from_time FROM gaps g WHERE g.stream = s.stream AND g.state <> 'filled'
        ORDER BY g.from_time LIMIT 1
    ) first
    CROSS JOIN LATERAL (
        SELECT g.to_time FROM gaps g WHERE g.stream = s.stream AND g.state <> 'filled'
        ORDER BY g.from_time DESC LIMIT 1
    ) last
"""
# $1 series by number → the last row of its coverage; those without any are left out
LOAD_COVERED = """
    SELECT s.stream_id, last.* FROM unnest($1::bigint[]) s(stream_id)
    CROSS JOIN LATERAL (
        SELECT c.start_time, c.expected, c.absent, c.empty FROM coverage c WHERE c.stream_id = s.stream_id
        ORDER BY c.start_time DESC LIMIT 1
    ) last
"""
# $1 number of each series, $2 and $3 from and to → its rows of sessions that begin there
LOAD_COVERAGE = """
    SELECT DISTINCT q.stream_id, c.* FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) q(stream_id, low, high)
    CROSS JOIN LATERAL (
        SELECT x.start_time, x.expected, x.absent, x.empty FROM coverage x
        WHERE x.stream_id = q.stream_id AND x.start_time >= q.low AND x.start_time < q.high OFFSET 0
    ) c
"""
STORE_COVERAGE = """
    INSERT INTO coverage (stream_id, start_time, expected, absent, empty)
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::bytea[], $5::bytea[])
    ON CONFLICT (stream_id, start_time) DO UPDATE
    SET expected = excluded.expected, absent = excluded.absent, empty = excluded.empty
"""
DROP_COVERAGE = """
    DELETE FROM coverage c USING unnest($1::bigint[], $2::timestamptz[]) d(stream_id, start_time)
    WHERE c.stream_id = d.stream_id AND c.start_time = d.start_time
"""


@dataclass(slots=True)
class CoverageChange:
    """Rows of series that change, by series and start; those without bits go."""

    rows: dict[StreamId, list[Coverage]] = field(default_factory=dict)


async def learn(connection: Connection, reach: Reach, series: Iterable[StreamId]) -> None:
    """Ask up to where bars of these series are missing, where that was not asked yet."""
    unknown = reach.unknown(series)
    if not unknown:
        return
    by_name = {stream_text(key): key for key in unknown}
    for row in await connection.fetch(LOAD_REACH, list(by_name)):
        reach.gaps[by_name[row["stream"]]] = (row["low"], row["high"])
    by_id = {stream_id_of(key): key for key in unknown}
    for row in await connection.fetch(LOAD_COVERED, list(by_id)):
        key, last = by_id[row["stream_id"]], _coverage(row)
        until = marked_stretch([last], calendar_of(key.symbol), key.interval)
        # where they begin matters to bars of the past alone: those may ask in vain
        reach.bits[key] = (NEVER, last.start if until is None else until[1])


async def change_coverage(
    connection: Connection, changes: Changes, told: Sequence[tuple[int, Evidence]], reach: Reach
) -> CoverageChange:
    """Return the rows that evidence read from the topic and bars arrived change; nothing is written.

    Evidence sets bits, and what is stored clears them again: so whichever is read first, the same remain.
    """
    marking: dict[StreamId, list[Evidence]] = {}
    for _, each in told:
        if each.kind in MARKING and is_judged(each.interval) and each.symbol:
            marking.setdefault(stream_of(each.stream), []).append(each)
    arrived = {
        each.series: each.starts()
        for each in changes.arrivals.values()
        if each.series in marking or reach.of_bits(each.series, each.stretch)
    }
    if not marking and not arrived:
        return CoverageChange()
    said = await asyncio.to_thread(_said, marking)
    rows = await _load(connection, said, arrived)
    stored = await stored_slots(
        connection, [(key, *stretch) for key, each in said.items() for stretch in clusters(each, near_us=0)]
    )
    return await asyncio.to_thread(_changed, rows, marking, arrived, stored)


def _said(marking: Mapping[StreamId, Iterable[Evidence]]) -> dict[StreamId, list[Stretch]]:
    said: dict[StreamId, list[Stretch]] = {}
    for key, each in marking.items():
        calendar = calendar_of(key.symbol)
        stretches = [
            (slot_of(key.interval, told.from_time), slot_of(key.interval, said_until(calendar, told)))
            for told in each
        ]
        said[key] = [(low, high) for low, high in stretches if low < high]
    return said


async def _load(
    connection: Connection,
    said: Mapping[StreamId, Sequence[Stretch]],
    arrived: Mapping[StreamId, Sequence[EventTime]],
) -> dict[StreamId, dict[EventTime, Coverage]]:
    asked: dict[StreamId, list[Stretch]] = {}
    for key, stretches in said.items():
        asked.setdefault(key, []).extend(_starting(key, low, high) for low, high in stretches)
    for key, starts in arrived.items():
        asked.setdefault(key, []).extend(_starting_at(key, starts))
    questions = [
        (stream_id_of(key), *stretch) for key, each in asked.items() for stretch in clusters(each, near_us=0)
    ]
    keys = {stream_id_of(key): key for key in asked}
    rows: dict[StreamId, dict[EventTime, Coverage]] = {key: {} for key in asked}
    if questions:
        for row in await connection.fetch(LOAD_COVERAGE, *map(list, zip(*questions, strict=True))):
            rows[keys[row["stream_id"]]][row["start_time"]] = _coverage(row)
    return rows


def _starting(key: StreamId, low: EventTime, high: EventTime) -> Stretch:
    """Return from where to where sessions begin that overlap [low, high)."""
    first = next(chunks(calendar_of(key.symbol), key.interval, low, high), None)
    return (low if first is None else min(low, first.start)), high


def _starting_at(key: StreamId, starts: Iterable[EventTime]) -> list[Stretch]:
    """Return where the sessions of bars begin."""
    calendar, found = calendar_of(key.symbol), dict[EventTime, None]()
    end = EventTime(0)
    for start in starts:
        if start < end:
            continue
        slots = session_slots(calendar, key.interval, slot_of(key.interval, start))
        if slots is not None:
            found[slots.start], end = None, slots.end
    return [(start, EventTime(start + 1)) for start in found]


def _changed(
    rows: Mapping[StreamId, dict[EventTime, Coverage]],
    marking: Mapping[StreamId, Sequence[Evidence]],
    arrived: Mapping[StreamId, Sequence[EventTime]],
    stored: Mapping[StreamId, Sequence[EventTime]],
) -> CoverageChange:
    change = CoverageChange()
    for key, before in rows.items():
        calendar = calendar_of(key.symbol)
        there = sorted({*stored.get(key, ()), *arrived.get(key, ())})
        after = cleared(marked(before, calendar, marking.get(key, ())), calendar, key.interval, there)
        changed = [
            row
            for start, row in after.items()
            if row != before.get(start) and (start in before or row.absent | row.empty)
        ]
        if changed:
            change.rows[key] = changed
    return change


async def write_coverage(connection: Connection, change: CoverageChange) -> None:
    """Write the rows that change, and drop those without bits."""
    rows = [(stream_id_of(key), row) for key, each in change.rows.items() for row in each]
    kept = [
        (number, row.start, row.expected, *row.packed()) for number, row in rows if row.absent | row.empty
    ]
    gone = [(number, row.start) for number, row in rows if not row.absent | row.empty]
    if kept:
        await connection.execute(STORE_COVERAGE, *map(list, zip(*kept, strict=True)))
    if gone:
        await connection.execute(DROP_COVERAGE, *map(list, zip(*gone, strict=True)))


def widen(reach: Reach, revisions: Iterable[tuple[int, Revision]], change: CoverageChange) -> None:
    """Move on: the transaction is committed, and more bars may be missing."""
    for _, revision in revisions:
        for gap in revision.written:
            if gap.state != "filled" and gap.interval:
                reach.widen(reach.gaps, series_of(gap.stream), (gap.from_time, gap.to_time))
    for key, rows in change.rows.items():
        stretch = marked_stretch(rows, calendar_of(key.symbol), key.interval)
        if stretch is not None:
            reach.widen(reach.bits, key, stretch)


def _coverage(row: Any) -> Coverage:
    return coverage_of(row["start_time"], row["expected"], row["absent"], row["empty"])
