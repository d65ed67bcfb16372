"""The gap ledger in PostgreSQL: loads what may change, lets the domain decide, and writes the difference."""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.clocks import EventTime
from schemas.deriving import COLUMN_NAMES
from schemas.errors import InvalidRecord
from schemas.identity import stream_id_of, stream_of
from schemas.records import Gap
from schemas.streams import StreamId
from sinks.columns.tables import TABLES
from sinks.ledger.gaps import OPEN_STATES, Revision, Stretch, admit, clusters, revise, settle
from sinks.ledger.memory import Book, Changes

Question = tuple[str, int, EventTime, EventTime]
"""A series by name and number, and a stretch [from, to) of it."""

# $1 series → from where to where the unresolved gaps of each reach; those without any are left out
LOAD_REACH = """
    SELECT s.stream, first.from_time AS low, last.to_time AS high FROM unnest($1::text[]) s(stream)
    CROSS JOIN LATERAL (
        SELECT g.from_time FROM gaps g WHERE g.stream = s.stream AND g.state IN ('open', 'filling')
        ORDER BY g.from_time LIMIT 1
    ) first
    CROSS JOIN LATERAL (
        SELECT g.to_time FROM gaps g WHERE g.stream = s.stream AND g.state IN ('open', 'filling')
        ORDER BY g.from_time DESC LIMIT 1
    ) last
"""
GAP_COLUMNS = tuple(COLUMN_NAMES.get(each.name, each.name) for each in fields(Gap))
# $1 streams, $2 and $3 the stretch of each that changes → its rows, and those that touch them: they may join.
LOAD_TOUCHED = f"""
    WITH changing AS (
        SELECT t.stream, LEAST(t.low, min(g.from_time)) AS low, GREATEST(t.high, max(g.to_time)) AS high
        FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) t(stream, low, high)
        LEFT JOIN gaps g
        ON g.stream = t.stream AND tstzrange(g.from_time, g.to_time) && tstzrange(t.low, t.high, '[]')
        GROUP BY t.stream, t.low, t.high
    )
    SELECT {", ".join(f"g.{name}" for name in (*GAP_COLUMNS, "partition"))} FROM gaps g JOIN changing c ON g.stream = c.stream
    AND tstzrange(g.from_time, g.to_time) && tstzrange(c.low - interval '1 microsecond', c.high, '[]')
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


@dataclass(slots=True)
class Unresolved:
    """From where to where the unresolved gaps of a series reach: which arriving bars the ledger must hear of.

    Known of the series that were asked for; None where there is no such gap. It never shrinks while it is kept.
    """

    reach: dict[str, Stretch | None] = field(default_factory=dict)

    async def learn(self, connection: Connection, streams: Iterable[str]) -> None:
        """Ask for those that were not asked for yet."""
        unknown = [stream for stream in streams if stream not in self.reach]
        if unknown:
            self.reach.update(dict.fromkeys(unknown))
            for row in await connection.fetch(LOAD_REACH, unknown):
                self.reach[row["stream"]] = (row["low"], row["high"])

    def touched(self, stream: str, arrived: Stretch) -> bool:
        """Whether bars from `arrived[0]` to `arrived[1]` (µs) may lie in an unresolved gap of the series."""
        reach = self.reach.get(stream)
        return reach is not None and reach[0] <= arrived[1] and arrived[0] < reach[1]

    def apply(self, revision: Revision) -> None:
        """Move on: the transaction is committed."""
        for gap in revision.written:
            if gap.state in OPEN_STATES and gap.stream in self.reach:
                low, high = self.reach[gap.stream] or (gap.from_time, gap.to_time)
                self.reach[gap.stream] = (min(low, gap.from_time), max(high, gap.to_time))


@dataclass(slots=True, kw_only=True)
class _Ledgers:
    """Ledgers of the series that change: as they are, and with the news; by series, as is the partition of each."""

    before: dict[str, list[Gap]]
    after: dict[str, list[Gap]]
    partitions: dict[str, int]


async def settle_gaps(
    connection: Connection,
    changes: Changes,
    incoming: Sequence[tuple[int, Gap]],
    *,
    unresolved: Unresolved,
    book: Book,
) -> list[tuple[int, Revision]]:
    """Return what gaps read from the topic, holes found and bars arrived change in the ledgers, by partition.

    Nothing is written, and no transaction is needed: the owner of a partition alone writes its ledgers, so what is read
    here is still true when the positions move. Bars of the batch count as stored. Deciding is left to a thread.
    """
    await unresolved.learn(connection, changes.arrivals)
    news = [*incoming, *changes.holes]
    touched = {
        stream: clusters((start, start) for start in arrived.starts())
        for stream, arrived in changes.arrivals.items()
        if unresolved.touched(stream, arrived.stretch)
    }
    if not news and not touched:
        return []
    ledgers = await asyncio.to_thread(_admitted, news, await _touched(connection, news, touched))
    asked = await asyncio.to_thread(_questions, ledgers, changes, book)
    stored = await _stored_slots(connection, asked)
    return await asyncio.to_thread(_revisions, ledgers, changes, stored, {gap for _, gap in incoming})


async def _touched(
    connection: Connection, news: Iterable[tuple[int, Gap]], arrivals: Mapping[str, Iterable[Stretch]]
) -> list[tuple[int, Gap]]:
    """Return the rows of the ledgers that may change, each once, with their partitions."""
    stretches = {stream: list(of_stream) for stream, of_stream in arrivals.items()}
    for _, gap in news:
        stretches.setdefault(gap.stream, []).append((gap.from_time, gap.to_time))
    asked = [(stream, *stretch) for stream, each in stretches.items() for stretch in clusters(each)]
    streams, lows, highs = zip(*asked, strict=True)
    rows = await connection.fetch(LOAD_TOUCHED, streams, lows, highs)
    return list({row["gap_id"]: (row["partition"], _gap(row)) for row in rows}.values())


def _admitted(news: Sequence[tuple[int, Gap]], known: Sequence[tuple[int, Gap]]) -> _Ledgers:
    before: dict[str, list[Gap]] = {}
    coming: dict[str, list[Gap]] = {}
    for _, gap in known:
        before.setdefault(gap.stream, []).append(gap)
    for _, gap in news:
        coming.setdefault(gap.stream, []).append(gap)
    streams = dict.fromkeys((*before, *coming))
    return _Ledgers(
        before={stream: before.get(stream, []) for stream in streams},
        after={stream: admit(before.get(stream, ()), coming.get(stream, ())) for stream in streams},
        partitions={gap.stream: number for number, gap in (*known, *news)},
    )


def _questions(ledgers: _Ledgers, changes: Changes, book: Book) -> dict[str, list[Question]]:
    """Return, by table, in which stretches of which series stored bars may lie: not above the newest there is."""
    asked: dict[str, list[Question]] = {}
    for stream, gaps in ledgers.after.items():
        unresolved = [gap for gap in gaps if gap.interval and gap.state in OPEN_STATES]
        series = _series(stream) if unresolved else None
        if series is None or series.name not in STORED_SLOTS:
            continue
        cursor = book.cursors.get(series)
        if cursor is None and series in changes.cursors:
            continue  # its first bars are in this batch
        number = stream_id_of(series)
        for gap in unresolved:
            high = gap.to_time if cursor is None else min(gap.to_time, EventTime(cursor.last_seen + 1))
            if gap.from_time < high:
                asked.setdefault(series.name, []).append((stream, number, gap.from_time, high))
    return asked


def _series(stream: str) -> StreamId | None:
    try:
        return stream_of(stream)
    except InvalidRecord:
        return None  # of a partition, or a name nobody declared: no bar can be of it


async def _stored_slots(
    connection: Connection, asked: Mapping[str, Sequence[Question]]
) -> dict[str, list[EventTime]]:
    stored: dict[str, list[EventTime]] = {}
    for table, questions in asked.items():
        streams, ids, lows, highs = zip(*questions, strict=True)
        for row in await connection.fetch(STORED_SLOTS[table], range(len(streams)), ids, lows, highs):
            stored.setdefault(streams[row["number"]], []).append(row["event_time"])
    return stored


def _revisions(
    ledgers: _Ledgers, changes: Changes, stored: Mapping[str, Sequence[EventTime]], heard: Collection[Gap]
) -> list[tuple[int, Revision]]:
    revisions = []
    for stream, gaps in ledgers.after.items():
        arrived = changes.arrivals.get(stream)
        present = {*stored.get(stream, ()), *(arrived.starts() if arrived is not None else ())}
        revision = revise(ledgers.before[stream], settle(gaps, present), heard)
        if revision.written or revision.deleted:
            revisions.append((ledgers.partitions[stream], revision))
    return revisions


async def write_gaps(connection: Connection, revisions: Sequence[tuple[int, Revision]]) -> None:
    """Write what changes in the ledgers."""
    # All rows that change are taken out before any is put in: a stretch that grows must not meet the one it took in.
    changed = [gap.gap_id for _, revision in revisions for gap in (*revision.deleted, *revision.written)]
    if not changed:
        return
    await connection.execute(DELETE_GAPS, changed)
    rows = [(*_values(gap), partition) for partition, revision in revisions for gap in revision.written]
    if rows:
        await connection.execute(INSERT_GAPS, *map(list, zip(*rows, strict=True)))


def _values(gap: Gap) -> tuple[Any, ...]:
    return tuple(getattr(gap, "index" if name == "idx" else name) for name in GAP_COLUMNS)


def _gap(row: Any) -> Gap:
    return Gap(**{"index" if name == "idx" else name: row[name] for name in GAP_COLUMNS})
