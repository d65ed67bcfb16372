"""The gap ledger as it is meant, one gap after the other and one bar at a time: the oracle of the sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from schemas.calendar.expected_bars import expected_span, is_judged, slot_of
from schemas.calendar.sessions import calendar_of
from schemas.identity import gap_id
from schemas.records import GAP_STATE_RANK, Gap
from sinks.ledger.gaps import OPEN_STATES, OWN_DETECTOR
from tests.support.expected_starts import expected_starts


def admit_one(ledger: Iterable[Gap], incoming: Gap) -> list[Gap]:
    """Return the ledger of a stream after one more gap."""
    rows: list[Gap] = []
    uncovered = [(incoming.from_time, incoming.to_time)]
    for row in ledger:
        low, high = max(row.from_time, incoming.from_time), min(row.to_time, incoming.to_time)
        if low >= high:
            rows.append(row)
            continue
        if row.from_time < low:
            rows.append(_part(row, row.from_time, low))
        rows.append(_judge(_part(row, low, high), incoming))
        if high < row.to_time:
            rows.append(_part(row, high, row.to_time))
        uncovered = [
            piece
            for start, end in uncovered
            for piece in ((start, min(end, low)), (max(start, high), end))
            if piece[0] < piece[1]
        ]
    rows.extend(_part(incoming, low, high) for low, high in uncovered)
    return _joined(rows)


def _judge(row: Gap, incoming: Gap) -> Gap:
    if incoming.generation > row.generation:
        return _part(incoming, row.from_time, row.to_time)
    if incoming.generation < row.generation:
        return row
    rank = GAP_STATE_RANK
    state = incoming.state if rank[incoming.state] > rank[row.state] else row.state
    evidence = incoming if row.detector == OWN_DETECTOR != incoming.detector else row
    return replace(_part(evidence, row.from_time, row.to_time), state=state)


def settle_by_bars(ledger: Iterable[Gap], stored: Collection[int]) -> list[Gap]:
    """Return the ledger after looking at every expected bar of every unresolved gap."""
    rows: list[Gap] = []
    for row in ledger:
        calendar = calendar_of(row.symbol)
        expected: list[int] = []
        if row.state in OPEN_STATES and is_judged(row.interval):
            starts = expected_starts(calendar, row.interval, row.from_time, row.to_time)
            expected = [slot_of(row.interval, start) for start in starts]
        present = {slot_of(row.interval, start) for start in stored} if expected else set()
        edge, filled = row.from_time, bool(expected) and expected[0] in present
        for slot in expected:
            if (slot in present) != filled:
                rows.append(_told(_part(row, edge, slot), filled=filled))
                edge, filled = slot, not filled
        rows.append(_told(_part(row, edge, row.to_time), filled=filled))
    return _joined(rows)


def _told(row: Gap, *, filled: bool) -> Gap:
    return replace(row, state="filled") if filled else row


def _part(row: Gap, low: int, high: int) -> Gap:
    if (low, high) == (row.from_time, row.to_time):
        return row
    span = expected_span(calendar_of(row.symbol), row.interval, low, high)
    count = span.count if span is not None else 0
    return replace(row, gap_id=gap_id(row.stream, low), from_time=low, to_time=high, expected=count)


def _joined(rows: Iterable[Gap]) -> list[Gap]:
    result: list[Gap] = []
    for row in sorted(rows, key=lambda gap: gap.from_time):
        last = result[-1] if result else None
        if last is not None and last.to_time == row.from_time and _evidence(last) == _evidence(row):
            result[-1] = _part(last, last.from_time, row.to_time)
        else:
            result.append(row)
    return result


def _evidence(gap: Gap) -> tuple[object, ...]:
    where = (gap.known_from, gap.raw_offset, gap.index)
    return (gap.cause, gap.confidence, gap.detector, *where, gap.generation, gap.state)
