"""Gaps in PostgreSQL: loads the evidence, bars and gaps of what may change, lets the domain decide, writes the difference."""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.calendar.expected_bars import is_judged
from schemas.clocks import EventTime
from schemas.deriving import COLUMN_NAMES
from schemas.errors import InvalidRecord
from schemas.identity import stream_id_of, stream_of
from schemas.records import Evidence, Gap
from schemas.streams import StreamId
from sinks.columns.tables import TABLES
from sinks.ledger.gaps import Revision, Stretch, clusters, revision_of, touched_blind
from sinks.ledger.memory import Changes
from sinks.ledger.reach import Reach

CHANGING = ("blind", "empty", "unrecoverable")  # kinds of evidence that change gaps of blind stretches
KEPT = ("collected", *CHANGING)  # absences are no facts: they are told live and kept as bits


def _columns(record: type) -> tuple[str, ...]:
    return tuple(COLUMN_NAMES.get(each.name, each.name) for each in fields(record))


GAP_COLUMNS, EVIDENCE_COLUMNS = _columns(Gap), _columns(Evidence)
# $1 streams, $2 symbols, $3 and $4 the stretch of each that changes → evidence of what overlaps it, and of what overlaps
# the blind stretches that do
LOAD_EVIDENCE = f"""
    SELECT DISTINCT {", ".join(f"e.{name}" for name in EVIDENCE_COLUMNS)}
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) t(stream, symbol, low, high)
    CROSS JOIN LATERAL (
        SELECT LEAST(t.low, min(g.from_time)) AS low, GREATEST(t.high, max(g.to_time)) AS high FROM gap_evidence g
        WHERE g.symbol = t.symbol AND g.stream = t.stream AND g.kind = 'blind'
            AND tstzrange(g.from_time, g.to_time) && tstzrange(t.low, t.high)
    ) w
    CROSS JOIN LATERAL (
        SELECT * FROM gap_evidence g WHERE g.symbol = t.symbol AND g.stream = t.stream AND g.kind <> 'collected'
            AND tstzrange(g.from_time, g.to_time) && tstzrange(w.low, w.high) OFFSET 0
    ) e
"""
# $1 streams, $2 and $3 a stretch of each → its gaps there
LOAD_GAPS = f"""
    SELECT DISTINCT {", ".join(f"g.{name}" for name in (*GAP_COLUMNS, "partition"))}
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) t(stream, low, high)
    CROSS JOIN LATERAL (
        SELECT * FROM gaps g WHERE g.stream = t.stream AND tstzrange(g.from_time, g.to_time) && tstzrange(t.low, t.high)
        OFFSET 0
    ) g
"""
INSERT_EVIDENCE = f"""
    INSERT INTO gap_evidence ({", ".join(EVIDENCE_COLUMNS)}, partition)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
        $8::text[], $9::int[], $10::text[], $11::text[], $12::timestamptz[], $13::bigint[], $14::int[], $15::int[])
    ON CONFLICT DO NOTHING
"""
DELETE_GAPS = "DELETE FROM gaps WHERE gap_id = ANY($1::text[])"
INSERT_GAPS = f"""
    INSERT INTO gaps ({", ".join(GAP_COLUMNS)}, partition)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::int[], $12::int[], $13::text[],
        $14::timestamptz[], $15::bigint[], $16::int[], $17::int[])
"""
# $1 number of the question, then the series' number, from and to of each → (number, stored final values)
STORED_SLOTS = {
    table.name: f"""
    SELECT q.number, v.event_time
    FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) q(number, stream_id, low, high)
    CROSS JOIN LATERAL (
        SELECT x.event_time FROM {table.name} x
        WHERE x.stream_id = q.stream_id AND x.event_time >= q.low AND x.event_time < q.high OFFSET 0
    ) v
"""
    for table in TABLES.values()
    if table.has_slots
}


@dataclass(slots=True, kw_only=True)
class _Changing:
    """One stream whose gaps may change: where, what is known of it there, and in which partition it lives."""

    series: StreamId
    symbol: str
    partition: int
    changed: list[Stretch]
    evidence: list[Evidence]
    before: list[Gap]


def series_of(stream: str) -> StreamId:
    """Return the series evidence is of; what is of a whole partition passes for one without bars."""
    try:
        return stream_of(stream)
    except InvalidRecord:
        return StreamId("trades", "", "", "")


async def revise_gaps(
    connection: Connection, changes: Changes, told: Sequence[tuple[int, Evidence]], reach: Reach
) -> list[tuple[int, Revision]]:
    """Return what evidence read from the topic and bars arrived change in the gaps, by partition.

    Nothing is written, and no transaction is needed: the owner of a partition alone writes its gaps, so what is read
    here is still true when the positions move. Bars of the batch count as stored. Deciding is left to a thread.
    """
    streams = await asyncio.to_thread(_changing, changes, told, reach)
    if not streams:
        return []
    await _load_evidence(connection, streams)
    blind = {name: touched_blind(stream.changed, stream.evidence) for name, stream in streams.items()}
    await _load_gaps(connection, streams, blind)
    asked = [
        (streams[name].series, *stretch)
        for name, each in blind.items()
        if is_judged(streams[name].series.interval)
        for stretch in clusters(((b.from_time, b.to_time or b.from_time) for b in each), near_us=0)
    ]
    stored = await stored_slots(connection, asked)
    return await asyncio.to_thread(_revisions, streams, blind, changes, stored)


def _changing(changes: Changes, told: Iterable[tuple[int, Evidence]], reach: Reach) -> dict[str, _Changing]:
    found: dict[str, _Changing] = {}
    for partition, each in told:
        if each.kind in CHANGING and each.to_time is not None:
            stream = found.get(each.stream)
            if stream is None:
                stream = found[each.stream] = _Changing(
                    series=series_of(each.stream), symbol=each.symbol, partition=partition, changed=[], evidence=[], before=[]
                )  # fmt: skip
            stream.evidence.append(each)
            stream.changed.append((each.from_time, each.to_time))
    for name, arrived in changes.arrivals.items():
        if reach.of_gaps(arrived.series, arrived.stretch):
            stream = found.get(name)
            if stream is None:
                key = arrived.series
                stream = found[name] = _Changing(
                    series=key, symbol=key.symbol, partition=changes.partitions[key], changed=[], evidence=[], before=[]
                )  # fmt: skip
            stream.changed += ((start, EventTime(start + 1)) for start in arrived.starts())
    for stream in found.values():
        stream.changed = clusters(stream.changed)
    return found


async def _load_evidence(connection: Connection, streams: Mapping[str, _Changing]) -> None:
    asked = [(name, each.symbol, *stretch) for name, each in streams.items() for stretch in each.changed]
    rows = await connection.fetch(LOAD_EVIDENCE, *map(list, zip(*asked, strict=True)))
    for row in rows:
        streams[row["stream"]].evidence.append(_evidence(row))


async def _load_gaps(
    connection: Connection, streams: Mapping[str, _Changing], blind: Mapping[str, Sequence[Evidence]]
) -> None:
    asked = [
        (name, low, high)
        for name, each in blind.items()
        for low, high in clusters((told.from_time, told.to_time or told.from_time) for told in each)
    ]
    if asked:
        for row in await connection.fetch(LOAD_GAPS, *map(list, zip(*asked, strict=True))):
            streams[row["stream"]].before.append(gap_of(row))


async def stored_slots(
    connection: Connection, asked: Iterable[tuple[StreamId, EventTime, EventTime]]
) -> dict[StreamId, list[EventTime]]:
    """Return the starts of the final bars stored in stretches of series; a start may come twice, in any order."""
    by_table: dict[str, list[tuple[StreamId, EventTime, EventTime]]] = {}
    for each in asked:
        if each[0].name in STORED_SLOTS:
            by_table.setdefault(each[0].name, []).append(each)
    stored: dict[StreamId, list[EventTime]] = {}
    for table, questions in by_table.items():
        series, lows, highs = zip(*questions, strict=True)
        ids = [stream_id_of(key) for key in series]
        for row in await connection.fetch(STORED_SLOTS[table], list(range(len(ids))), ids, lows, highs):
            stored.setdefault(series[row["number"]], []).append(row["event_time"])
    return stored


def _revisions(
    streams: Mapping[str, _Changing],
    blind: Mapping[str, Sequence[Evidence]],
    changes: Changes,
    stored: Mapping[StreamId, Sequence[EventTime]],
) -> list[tuple[int, Revision]]:
    revisions = []
    for name, stream in streams.items():
        arrived = changes.arrivals.get(name)
        there = {*stored.get(stream.series, ()), *(arrived.starts() if arrived is not None else ())}
        revision = revision_of(
            stream.series, blind[name], evidence=stream.evidence, before=stream.before, stored=sorted(there)
        )
        if revision.written or revision.deleted:
            revisions.append((stream.partition, revision))
    return revisions


async def write_evidence(connection: Connection, told: Iterable[tuple[int, Evidence]]) -> None:
    """Append evidence to what is kept of it."""
    rows = [(*_values(each, EVIDENCE_COLUMNS), partition) for partition, each in told if each.kind in KEPT]
    if rows:
        await connection.execute(INSERT_EVIDENCE, *map(list, zip(*rows, strict=True)))


async def write_gaps(connection: Connection, revisions: Sequence[tuple[int, Revision]]) -> None:
    """Write what changes in the gaps."""
    # All rows that change are taken out before any is put in: a stretch that grows must not meet the one it took in.
    changed = [gap.gap_id for _, revision in revisions for gap in (*revision.deleted, *revision.written)]
    if not changed:
        return
    await connection.execute(DELETE_GAPS, changed)
    rows = [
        (*_values(gap, GAP_COLUMNS), partition)
        for partition, revision in revisions
        for gap in revision.written
    ]
    if rows:
        await connection.execute(INSERT_GAPS, *map(list, zip(*rows, strict=True)))


def _values(record: Gap | Evidence, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(getattr(record, "index" if name == "idx" else name) for name in names)


def gap_of(row: Any) -> Gap:
    """Return the gap a row holds."""
    return Gap(**{"index" if name == "idx" else name: row[name] for name in GAP_COLUMNS})


def _evidence(row: Any) -> Evidence:
    return Evidence(**{"index" if name == "idx" else name: row[name] for name in EVIDENCE_COLUMNS})
