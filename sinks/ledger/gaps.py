"""The gap ledger of one stream: disjoint stretches, each with its evidence and its state.

The ledger is the same whichever of a gap's evidence and its filling bars is read first, so replicas, restarts and
replays agree: stretches split where their states differ and join again where nothing tells them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from schemas.calendar.expected_bars import expected_slots, expected_span, slot_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.identity import gap_id
from schemas.records import GAP_STATE_RANK, Gap

OPEN_STATES = frozenset({"open", "filling"})
OWN_DETECTOR = "sink"

Stretch = tuple[EventTime, EventTime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Change of a stream's ledger: rows to delete and to write, what is news, and what subscribers must hear."""

    deleted: tuple[Gap, ...]
    written: tuple[Gap, ...]
    found: tuple[Gap, ...]  # of the written ones those where no gap was before
    announced: tuple[Gap, ...]


def admit(ledger: Iterable[Gap], incoming: Gap) -> list[Gap]:
    """Return the ledger of a stream after `incoming`: new evidence, or a verdict on gaps already there.

    Where stretches already lie, the higher generation wins; within one generation a state only goes forward, and a
    finding of the sink's own is taken over by the evidence of whoever is nearer the source.
    """
    rows: list[Gap] = []
    uncovered = [(incoming.from_time, incoming.to_time)]
    for row in ledger:
        low, high = max(row.from_time, incoming.from_time), min(row.to_time, incoming.to_time)
        if low >= high:
            rows.append(row)
            continue
        if row.from_time < low:
            rows.append(_stretch(row, row.from_time, low))
        rows.append(_judge(_stretch(row, low, high), incoming))
        if high < row.to_time:
            rows.append(_stretch(row, high, row.to_time))
        uncovered = [piece for stretch in uncovered for piece in _without(stretch, low, high)]
    rows.extend(_stretch(incoming, low, high) for low, high in uncovered)
    return joined(rows)


def _judge(row: Gap, incoming: Gap) -> Gap:
    if incoming.generation > row.generation:
        return _stretch(incoming, row.from_time, row.to_time)
    if incoming.generation < row.generation:
        return row
    rank = GAP_STATE_RANK
    state = incoming.state if rank[incoming.state] > rank[row.state] else row.state
    evidence = incoming if row.detector == OWN_DETECTOR != incoming.detector else row
    return replace(_stretch(evidence, row.from_time, row.to_time), state=state)


def _without(stretch: Stretch, low: EventTime, high: EventTime) -> list[Stretch]:
    pieces = [(stretch[0], min(stretch[1], low)), (max(stretch[0], high), stretch[1])]
    return [piece for piece in pieces if piece[0] < piece[1]]


def settle(ledger: Iterable[Gap], stored: Collection[EventTime]) -> list[Gap]:
    """Return the ledger after comparing its unresolved bar gaps with the `stored` final bars (starts, µs).

    A stretch whose expected bars are all stored is filled; a partly stored one is split at every change. Gaps of
    quotes and trades, and those in which the calendar expects nothing, are not judged.
    """
    rows: list[Gap] = []
    for row in ledger:
        expected = _expected(row) if row.state in OPEN_STATES else ()
        present = {slot_of(row.interval, start) for start in stored} if expected else set()
        edge, filled = row.from_time, bool(expected) and expected[0] in present
        for slot in expected:
            if (slot in present) != filled:
                rows.append(_settled(row, edge, slot, filled=filled))
                edge, filled = slot, not filled
        rows.append(_settled(row, edge, row.to_time, filled=filled))
    return joined(rows)


def _settled(row: Gap, low: EventTime, high: EventTime, *, filled: bool) -> Gap:
    stretch = _stretch(row, low, high)
    return replace(stretch, state="filled") if filled else stretch


def _expected(row: Gap) -> tuple[EventTime, ...]:
    return (
        expected_slots(calendar_of(row.symbol), row.interval, row.from_time, row.to_time)
        if row.interval
        else ()
    )


def _stretch(row: Gap, low: EventTime, high: EventTime) -> Gap:
    """Return the part [low, high) of a gap, under its own id."""
    if (low, high) == (row.from_time, row.to_time):
        return row
    span = expected_span(calendar_of(row.symbol), row.interval, low, high)
    count = span.count if span is not None else 0
    return replace(row, gap_id=gap_id(row.stream, low), from_time=low, to_time=high, expected=count)


def joined(rows: Iterable[Gap]) -> list[Gap]:
    """Return the rows in order of time, adjacent ones of one evidence and one state as one."""
    result: list[Gap] = []
    for row in sorted(rows, key=lambda gap: gap.from_time):
        last = result[-1] if result else None
        if last is not None and last.to_time == row.from_time and _sort(last) == _sort(row):
            result[-1] = _stretch(last, last.from_time, row.to_time)
        else:
            result.append(row)
    return result


def _sort(gap: Gap) -> tuple[object, ...]:
    evidence = (gap.cause, gap.confidence, gap.detector, gap.known_from, gap.raw_offset, gap.index)
    return (*evidence, gap.generation, gap.state)


def revise(before: Sequence[Gap], after: Sequence[Gap], heard: Collection[Gap]) -> Revision:
    """Return the difference between two ledgers of a stream; `heard` are the records just read from the topic.

    An id whose start now lies in another stretch is announced once more, as the part of it in that stretch and in its
    state, so that nobody keeps it open, and nobody takes more than that part for settled.
    """
    old, new = {gap.gap_id: gap for gap in before}, {gap.gap_id: gap for gap in after}
    written = tuple(gap for gap in after if old.get(gap.gap_id) != gap)
    found = tuple(gap for gap in written if not any(_overlap(gap, row) for row in before))
    gone = [gap for name, gap in old.items() if name not in new]
    last_words = (_last_word(after, gap) for gap in gone)
    announced = (gap for gap in (*written, *last_words) if gap not in heard)
    return Revision(deleted=tuple(gone), written=written, found=found, announced=tuple(announced))


def _overlap(one: Gap, other: Gap) -> bool:
    return one.from_time < other.to_time and other.from_time < one.to_time


def _last_word(ledger: Sequence[Gap], gap: Gap) -> Gap:
    row = next(row for row in ledger if row.from_time <= gap.from_time < row.to_time)
    return replace(_stretch(gap, gap.from_time, min(gap.to_time, row.to_time)), state=row.state)
