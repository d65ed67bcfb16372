"""Absent bars as bits: of each series and session which expected bars did not come though watched, and which do not exist.

Millions of minutes without a trade are bits, not rows. Bits say what evidence said of bars that are not stored: they are
set by evidence and cleared by bars, and whichever is read first, the same remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from schemas.calendar.expected_bars import slot_of
from schemas.calendar.session_slots import SessionSlots, session_slots
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.ledger.gaps import chunks, said_until
from schemas.records import Evidence

MARKING = ("absent", "empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Bits of one series and session (of days: year) that begins at `start` (µs): bit n is expected bar number n.

    `absent`: it did not come though watched. `empty`: asked again, the vendor has none; then it is absent no more.
    """

    start: EventTime
    expected: int
    absent: int = 0
    empty: int = 0

    def packed(self) -> tuple[bytes, bytes]:
        """Return the two sets as bytes, bit 0 the lowest of the first byte, none after the last that has a bit."""
        return _packed(self.absent), _packed(self.empty)


def _packed(bits: int) -> bytes:
    return bits.to_bytes(-(-bits.bit_length() // 8), "little")


def coverage_of(start: EventTime, expected: int, absent: bytes, empty: bytes) -> Coverage:
    """Return what `packed` once gave."""
    sets = int.from_bytes(absent, "little"), int.from_bytes(empty, "little")
    return Coverage(start=start, expected=expected, absent=sets[0], empty=sets[1])


def marked(
    rows: Mapping[EventTime, Coverage],
    calendar: Calendar,
    evidence: Iterable[Evidence],
) -> dict[EventTime, Coverage]:
    """Return the rows of a series, by start, with the bits that evidence sets: of signals and of the verdict `empty`."""
    result = dict(rows)
    for told in evidence:
        if told.kind not in MARKING:
            continue
        low, high = slot_of(told.interval, told.from_time), slot_of(told.interval, said_until(calendar, told))
        for slots in chunks(calendar, told.interval, low, high):
            first, last = slots.count_before(low), slots.count_before(high)
            if first < last:
                row = result.get(slots.start, Coverage(start=slots.start, expected=slots.count))
                result[slots.start] = _with_bits(row, told.kind, ((1 << last) - 1) ^ ((1 << first) - 1))
    return result


def _with_bits(row: Coverage, kind: str, bits: int) -> Coverage:
    empty = row.empty if kind == "absent" else row.empty | bits
    absent = row.absent | bits if kind == "absent" else row.absent
    return replace(row, absent=absent & ~empty, empty=empty)


def cleared(
    rows: Mapping[EventTime, Coverage], calendar: Calendar, interval: str, stored: Iterable[EventTime]
) -> dict[EventTime, Coverage]:
    """Return the rows of a series, by start, without the bits of the bars `stored` (starts, µs): a row may have none left."""
    there: dict[EventTime, int] = {}
    slots: SessionSlots | None = None
    for start in stored:
        slot = slot_of(interval, start)
        if slots is None or not slots.start <= slot < slots.end:
            slots = session_slots(calendar, interval, slot)
        number = None if slots is None else slots.index_of(slot)
        if slots is not None and number is not None and slots.start in rows:
            there[slots.start] = there.get(slots.start, 0) | 1 << number
    result = dict(rows)
    for begin, bits in there.items():
        row = rows[begin]
        result[begin] = replace(row, absent=row.absent & ~bits, empty=row.empty & ~bits)
    return result


def marked_stretch(
    rows: Iterable[Coverage], calendar: Calendar, interval: str
) -> tuple[EventTime, EventTime] | None:
    """Return from the first to after the last bar (µs) that any bit of these rows stands for; None where none does."""
    ordered = sorted((row for row in rows if row.absent | row.empty), key=lambda row: row.start)
    if not ordered:
        return None
    first, last = (
        _slot_of_bit(ordered[0], calendar, interval, lowest=True),
        _slot_of_bit(ordered[-1], calendar, interval, lowest=False),
    )
    return first, EventTime(last + 1)


def _slot_of_bit(row: Coverage, calendar: Calendar, interval: str, *, lowest: bool) -> EventTime:
    bits = row.absent | row.empty
    number = (bits & -bits).bit_length() - 1 if lowest else bits.bit_length() - 1
    slots = next(chunks(calendar, interval, row.start, EventTime(row.start + 1)), None)
    if slots is None:
        return row.start
    return slots.slot_at(min(number, slots.count - 1))
