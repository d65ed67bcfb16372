"""The gap ledger of one stream: disjoint stretches, each with its evidence and its state.

The ledger is the same whichever of a gap's evidence and its filling bars is read first, so replicas, restarts and
replays agree: stretches split where their states differ and join again where nothing tells them apart. Its work grows
with the rows it is given, not with their square: how many there are is decided outside.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise

from schemas.calendar.expected_bars import expected_span, first_expected, runs, slot_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.identity import gap_id
from schemas.intervals import DAY_US
from schemas.records import GAP_STATE_RANK, Gap, GapState

OPEN_STATES = frozenset({"open", "filling"})
OWN_DETECTOR = "sink"
NEAR_US = 7 * DAY_US

Stretch = tuple[EventTime, EventTime]
Piece = tuple[EventTime, EventTime, int, GapState]
"""A stretch, the number of the gap that is its evidence, and its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Change of a stream's ledger: rows to delete and to write, what is news, and what subscribers must hear."""

    deleted: tuple[Gap, ...]
    written: tuple[Gap, ...]
    found: tuple[Gap, ...]  # of the written ones those where no gap was before
    announced: tuple[Gap, ...]


def admit(ledger: Sequence[Gap], incoming: Sequence[Gap]) -> list[Gap]:
    """Return the ledger of a stream after `incoming`, one after the other: new evidence, or verdicts on gaps there are.

    Where stretches already lie, the higher generation wins; within one generation a state only goes forward, and a
    finding of the sink's own is taken over by the evidence of whoever is nearer the source.

    One sweep over time: of all that cover a stretch, the highest generation counts alone; of it, the first of those
    furthest on gives the state, the first of those nearest the source the evidence.
    """
    contenders = [*ledger, *incoming]
    rows = []
    for low, high, nearest, state in _unbroken(_sweep(contenders)):
        row = _stretch(contenders[nearest], low, high)
        rows.append(row if row.state == state else replace(row, state=state))
    return joined(rows)


def _unbroken(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces, neighbours of one evidence and state as one: the edge between them changed nothing."""
    held: Piece | None = None
    for piece in pieces:
        if held is not None and (held[1], *held[2:]) == (piece[0], *piece[2:]):
            held = (held[0], *piece[1:])
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def _sweep(contenders: Sequence[Gap]) -> Iterator[Piece]:
    """Yield every covered stretch between two edges, with the number of the gap that is its evidence, and its state."""
    begins = sorted(range(len(contenders)), key=lambda number: contenders[number].from_time, reverse=True)
    states, evidence = list[tuple[int, int, int]](), list[tuple[int, bool, int]]()
    edges = sorted({edge for gap in contenders for edge in (gap.from_time, gap.to_time)})
    for low, high in pairwise(edges):
        while begins and contenders[begins[-1]].from_time == low:
            number = begins.pop()
            gap = contenders[number]
            heappush(states, (-gap.generation, -GAP_STATE_RANK[gap.state], number))
            heappush(evidence, (-gap.generation, gap.detector == OWN_DETECTOR, number))
        while states and contenders[states[0][-1]].to_time <= low:
            heappop(states)
        while evidence and contenders[evidence[0][-1]].to_time <= low:
            heappop(evidence)
        if states:
            yield low, high, evidence[0][-1], contenders[states[0][-1]].state


def clusters(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return what covers the stretches, in order, one for all that lie within a week of each other.

    An old and a live bar that arrive together so ask nothing of the years between them.
    """
    found: list[Stretch] = []
    for low, high in sorted(stretches):
        if found and low - found[-1][1] <= NEAR_US:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def settle(ledger: Iterable[Gap], stored: Collection[EventTime]) -> list[Gap]:
    """Return the ledger after comparing its unresolved bar gaps with the `stored` final bars (starts, µs).

    A stretch whose expected bars are all stored is filled; a partly stored one is split at every change. Gaps of
    quotes and trades, and those in which the calendar expects nothing, are not judged.
    """
    slots: dict[str, list[EventTime]] = {}
    rows: list[Gap] = []
    for row in ledger:
        if row.state in OPEN_STATES and row.interval:
            if row.interval not in slots:
                slots[row.interval] = sorted({slot_of(row.interval, start) for start in stored})
            rows.extend(_settled(row, slots[row.interval]))
        else:
            rows.append(row)
    return joined(rows)


def _settled(row: Gap, slots: Sequence[EventTime]) -> Iterator[Gap]:
    calendar, edge = calendar_of(row.symbol), row.from_time
    first = first_expected(calendar, row.interval, row.from_time, row.to_time)
    for begin, missing in runs(calendar, row.interval, row.from_time, row.to_time, slots):
        low = row.from_time if begin == first else begin
        high = row.to_time if missing is None else missing
        if edge < low:
            yield _stretch(row, edge, low)
        yield replace(_stretch(row, low, high), state="filled")
        edge = high
    if edge < row.to_time:
        yield _stretch(row, edge, row.to_time)


def _stretch(row: Gap, low: EventTime, high: EventTime) -> Gap:
    """Return the part [low, high) of a gap, under its own id."""
    return row if (low, high) == (row.from_time, row.to_time) else _renamed(row, low, high)


def _renamed(row: Gap, low: EventTime, high: EventTime) -> Gap:
    span = expected_span(calendar_of(row.symbol), row.interval, low, high)
    count = span.count if span is not None else 0
    return replace(row, gap_id=gap_id(row.stream, low), from_time=low, to_time=high, expected=count)


def joined(rows: Iterable[Gap]) -> list[Gap]:
    """Return the rows in order of time, adjacent ones of one evidence and one state as one."""
    result: list[Gap] = []
    end = EventTime(0)  # of the last of the result, which is written when it is known
    for row in sorted(rows, key=lambda gap: gap.from_time):
        if result and end == row.from_time and _sort(result[-1]) == _sort(row):
            end = row.to_time
            continue
        _close(result, end)
        result.append(row)
        end = row.to_time
    _close(result, end)
    return result


def _close(result: list[Gap], end: EventTime) -> None:
    if result and result[-1].to_time != end:
        result[-1] = _renamed(result[-1], result[-1].from_time, end)


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
    known = sorted(before, key=lambda gap: gap.from_time)
    begins, ends = [gap.from_time for gap in known], [gap.to_time for gap in known]
    found = tuple(
        gap for gap in written if bisect_left(begins, gap.to_time) == bisect_right(ends, gap.from_time)
    )
    gone = [gap for name, gap in old.items() if name not in new]
    last_words = _last_words(after, gone)
    announced = (gap for gap in (*written, *last_words) if gap not in heard)
    return Revision(deleted=tuple(gone), written=written, found=found, announced=tuple(announced))


def _last_words(ledger: Sequence[Gap], gone: Iterable[Gap]) -> Iterator[Gap]:
    begins = [row.from_time for row in ledger]
    for gap in gone:
        row = ledger[bisect_right(begins, gap.from_time) - 1]
        yield replace(_stretch(gap, gap.from_time, min(gap.to_time, row.to_time)), state=row.state)
