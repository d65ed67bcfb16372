"""The gap ledger in PostgreSQL: loads the stretch that changes, lets the domain decide, writes the difference."""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables and columns

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from infra.runtime.postgres.errors import Connection
from schemas.clocks import EventTime
from schemas.deriving import COLUMN_NAMES
from schemas.identity import stream_id_of, stream_of
from schemas.records import Gap
from sinks.columns.tables import TABLES
from sinks.ledger.gaps import OPEN_STATES, Revision, Stretch, admit, revise, settle

LOAD_UNRESOLVED = """
    SELECT gap_id, stream, from_time, to_time FROM gaps WHERE partition = ANY($1::int[]) AND state IN ('open', 'filling')
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
    JOIN {table.name} v ON v.stream_id = q.stream_id AND v.event_time >= q.low AND v.event_time < q.high
"""
    for table in TABLES.values()
    if table.has_slots
}


@dataclass(slots=True)
class Unresolved:
    """Unresolved gaps of each stream, by gap id: which arriving bars the ledger must hear of."""

    stretches: dict[str, dict[str, Stretch]] = field(default_factory=dict)

    def touched(self, stream: str, earliest: EventTime, newest: EventTime) -> bool:
        """Whether bars from `earliest` to `newest` (µs) may lie in an unresolved gap of the stream."""
        gaps = self.stretches.get(stream)
        return gaps is not None and any(low <= newest and earliest < high for low, high in gaps.values())

    def apply(self, revision: Revision) -> None:
        """Move on: the transaction is committed."""
        for gap in revision.deleted:
            self.stretches.get(gap.stream, {}).pop(gap.gap_id, None)
        for gap in revision.written:
            if gap.state in OPEN_STATES:
                self.stretches.setdefault(gap.stream, {})[gap.gap_id] = (gap.from_time, gap.to_time)
            elif gap.stream in self.stretches:
                self.stretches[gap.stream].pop(gap.gap_id, None)


async def load_unresolved(connection: Connection, partitions: Sequence[int]) -> Unresolved:
    """Return where the streams of `partitions` have unresolved gaps."""
    unresolved = Unresolved()
    for row in await connection.fetch(LOAD_UNRESOLVED, list(partitions)):
        gaps = unresolved.stretches.setdefault(row["stream"], {})
        gaps[row["gap_id"]] = (row["from_time"], row["to_time"])
    return unresolved


async def settle_gaps(
    connection: Connection,
    incoming: Sequence[tuple[int, Gap]],
    holes: Sequence[tuple[int, Gap]],
    arrivals: Mapping[str, Stretch],
) -> list[tuple[int, Revision]]:
    """Apply gaps read from the topic, holes found here, and arrived bars; return the changes by partition.

    `arrivals` names, by stream, the earliest and newest final bar (µs) just stored.
    """
    stretches = dict(arrivals)
    for _, gap in (*incoming, *holes):
        low, high = stretches.get(gap.stream, (gap.from_time, gap.to_time))
        stretches[gap.stream] = (min(low, gap.from_time), max(high, gap.to_time))
    before: dict[str, list[Gap]] = {stream: [] for stream in stretches}
    partitions = {gap.stream: number for number, gap in (*incoming, *holes)}
    for number, gap in await _touched(connection, stretches):
        before[gap.stream].append(gap)
        partitions.setdefault(gap.stream, number)
    after = {stream: sorted(gaps, key=lambda gap: gap.from_time) for stream, gaps in before.items()}
    for _, gap in (*incoming, *holes):
        after[gap.stream] = admit(after[gap.stream], gap)
    stored = await _stored_slots(connection, [gap for gaps in after.values() for gap in gaps])
    heard = {gap for _, gap in incoming}
    revisions = []
    for stream, gaps in after.items():
        settled = settle(gaps, stored.get(stream, ()))
        revision = revise(before[stream], settled, heard)
        if revision.written or revision.deleted:
            revisions.append((partitions[stream], revision))
    await _write(connection, revisions)
    return revisions


async def _touched(connection: Connection, stretches: Mapping[str, Stretch]) -> list[tuple[int, Gap]]:
    lows, highs = zip(*stretches.values(), strict=True)
    rows = await connection.fetch(LOAD_TOUCHED, list(stretches), lows, highs)
    return [(row["partition"], _gap(row)) for row in rows]


async def _stored_slots(connection: Connection, gaps: Sequence[Gap]) -> dict[str, set[EventTime]]:
    unresolved = [gap for gap in gaps if gap.interval and gap.state in OPEN_STATES]
    stored: dict[str, set[EventTime]] = {}
    for name, statement in STORED_SLOTS.items():
        asked = [gap for gap in unresolved if gap.stream.startswith(f"{name}.")]
        if not asked:
            continue
        rows = await connection.fetch(
            statement,
            list(range(len(asked))),
            [stream_id_of(stream_of(gap.stream)) for gap in asked],
            [gap.from_time for gap in asked],
            [gap.to_time for gap in asked],
        )
        for row in rows:
            stored.setdefault(asked[row["number"]].stream, set()).add(row["event_time"])
    return stored


async def _write(connection: Connection, revisions: Sequence[tuple[int, Revision]]) -> None:
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
