"""The gap ledger in PostgreSQL: loads the stretch that changes, lets the domain decide, writes the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.records import Gap
from sinks.ledger.gaps import OPEN_STATES, Revision, admit, revise, settle
from sinks.store import statements
from sinks.store.shell.session import Connection


@dataclass(slots=True)
class Unresolved:
    """Unresolved gaps of each stream, by gap id: which arriving bars the ledger must hear of."""

    stretches: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def touched(self, stream: str, earliest: int, newest: int) -> bool:
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
    for row in await connection.fetch(statements.LOAD_UNRESOLVED, list(partitions)):
        gaps = unresolved.stretches.setdefault(row["stream"], {})
        gaps[row["gap_id"]] = (row["from_time"], row["to_time"])
    return unresolved


async def settle_gaps(
    connection: Connection,
    incoming: Sequence[tuple[int, Gap]],
    holes: Sequence[tuple[int, Gap]],
    arrivals: Mapping[str, tuple[int, int]],
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
    stored = await _stored_bars(connection, [gap for gaps in after.values() for gap in gaps])
    heard = {gap for _, gap in incoming}
    revisions = []
    for stream, gaps in after.items():
        settled = settle(gaps, stored.get(stream, ()))
        revision = revise(before[stream], settled, heard)
        if revision.written or revision.deleted:
            revisions.append((partitions[stream], revision))
    await _write(connection, revisions)
    return revisions


async def _touched(connection: Connection, stretches: Mapping[str, tuple[int, int]]) -> list[tuple[int, Gap]]:
    lows, highs = zip(*stretches.values(), strict=True)
    rows = await connection.fetch(statements.LOAD_TOUCHED, list(stretches), lows, highs)
    return [(row["partition"], _gap(row)) for row in rows]


async def _stored_bars(connection: Connection, gaps: Sequence[Gap]) -> dict[str, set[int]]:
    asked = [gap for gap in gaps if gap.interval and gap.state in OPEN_STATES]
    if not asked:
        return {}
    rows = await connection.fetch(
        statements.STORED_BARS,
        list(range(len(asked))),
        [gap.symbol for gap in asked],
        [gap.provider for gap in asked],
        [gap.interval for gap in asked],
        [gap.from_time for gap in asked],
        [gap.to_time for gap in asked],
    )
    stored: dict[str, set[int]] = {}
    for row in rows:
        stored.setdefault(asked[row["number"]].stream, set()).add(row["event_time"])
    return stored


async def _write(connection: Connection, revisions: Sequence[tuple[int, Revision]]) -> None:
    # All rows that change are taken out before any is put in: a stretch that grows must not meet the one it took in.
    changed = [gap.gap_id for _, revision in revisions for gap in (*revision.deleted, *revision.written)]
    if not changed:
        return
    await connection.execute(statements.DELETE_GAPS, changed)
    rows = [(*_values(gap), partition) for partition, revision in revisions for gap in revision.written]
    if rows:
        await connection.execute(statements.INSERT_GAPS, *map(list, zip(*rows, strict=True)))


def _values(gap: Gap) -> tuple[Any, ...]:
    return tuple(getattr(gap, "index" if name == "idx" else name) for name in statements.GAP_COLUMNS)


def _gap(row: Any) -> Gap:
    return Gap(**{"index" if name == "idx" else name: row[name] for name in statements.GAP_COLUMNS})
