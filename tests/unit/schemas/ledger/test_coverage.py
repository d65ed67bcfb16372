"""Bits say which bars evidence spoke of and nobody stored, whichever was read first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.ledger.coverage import Coverage, cleared, coverage_of, marked, marked_stretch
from schemas.ledger.gaps import chunks
from schemas.records import Evidence
from tests.support.builders import an_evidence
from tests.support.expected_starts import expected_starts
from tests.support.stream_values import NINE_THIRTY

SPY = calendar_of("SPY")
PRE_OPEN = EventTime(NINE_THIRTY - 5 * HOUR_US - 30 * MINUTE_US)
LATER = KnowledgeTime(micros(datetime(2026, 1, 1, tzinfo=UTC)))


def minutes(low: int, high: int, kind: str = "absent", **changes: object) -> Evidence:
    """Return evidence about minutes [low, high) of the session."""
    times = {
        "from_time": NINE_THIRTY + low * MINUTE_US,
        "to_time": NINE_THIRTY + high * MINUTE_US,
        "known_from": LATER,
    }
    return an_evidence(kind=kind, **(times | changes))


def bars(*numbers: int) -> list[EventTime]:
    """Return starts of minutes."""
    return [EventTime(NINE_THIRTY + number * MINUTE_US) for number in numbers]


def test_a_signal_sets_the_bits_of_its_bars_and_bars_clear_them() -> None:
    """Bar number n of the session is bit n; what is left empty is a row without bits."""
    rows = marked({}, SPY, [minutes(3, 5), minutes(9, 11, "empty")])
    assert rows == {PRE_OPEN: Coverage(start=PRE_OPEN, expected=390, absent=0b11 << 3, empty=0b11 << 9)}
    assert cleared(rows, SPY, "1m", bars(2, 4, 9)) == {
        PRE_OPEN: Coverage(start=PRE_OPEN, expected=390, absent=1 << 3, empty=1 << 10)
    }
    assert cleared(rows, SPY, "1m", [*bars(3, 4, 9, 10), EventTime(NINE_THIRTY + DAY_US)])[
        PRE_OPEN
    ] == Coverage(start=PRE_OPEN, expected=390)


def test_what_is_proved_empty_is_absent_no_more_whichever_was_told_first() -> None:
    """Absent bars are those of which nobody knows why."""
    told = [minutes(3, 6), minutes(4, 9, "empty")]
    expected = {PRE_OPEN: Coverage(start=PRE_OPEN, expected=390, absent=1 << 3, empty=0b11111 << 4)}
    assert marked({}, SPY, told) == marked({}, SPY, told[::-1]) == expected


def test_blindness_collecting_and_giving_up_set_none() -> None:
    """Those are gaps and ranges; the bits are of absences."""
    assert marked({}, SPY, [minutes(0, 9, kind) for kind in ("blind", "collected", "unrecoverable")]) == {}


def test_a_stretch_over_sessions_sets_bits_in_each() -> None:
    """Nights and holidays hold no bars."""
    rows = marked({}, SPY, [minutes(388, 1_440 + 2)])
    assert [(row.expected, row.absent) for row in rows.values()] == [(390, 0b11 << 388), (390, 0b11)]


def test_a_bar_that_was_not_over_is_not_proved_empty() -> None:
    """The vendor was asked in the middle of it."""
    (row,) = marked({}, SPY, [minutes(0, 9, "empty", known_from=NINE_THIRTY + 4 * MINUTE_US + 1)]).values()
    assert row.empty == 0b1111


@pytest.mark.parametrize(
    ("symbol", "interval", "begin"),
    [
        ("SPY", "1m", "2024-11-29T00:00:00"),
        ("BTC-USD", "1h", "2024-02-28T00:00:00"),
        ("7203.T", "5m", "2024-06-03T00:00:00"),
        ("EURUSD=X", "15m", "2024-06-06T00:00:00"),
        ("SPY", "1d", "2023-12-20T00:00:00"),
        ("CBA.AX", "1d", "2023-12-20T00:00:00"),
    ],
)
def test_any_order_of_signals_and_bars_leaves_the_same_bits(symbol: str, interval: str, begin: str) -> None:
    """Bars read first are stored when the signal comes; bars read last clear it."""
    calendar, start = calendar_of(symbol), EventTime(micros(datetime.fromisoformat(begin + "+00:00")))
    end = EventTime(start + 20 * DAY_US)
    starts = expected_starts(calendar, interval, start, end)
    random.seed(7)
    there = sorted(random.sample(starts, len(starts) // 2))
    told = [
        an_evidence(
            kind=kind, symbol=symbol, interval=interval, from_time=start, to_time=end, known_from=LATER
        )
        for kind in ("absent", "empty")
    ]

    last = cleared(marked({}, calendar, told), calendar, interval, there)
    first = cleared(marked(cleared({}, calendar, interval, there), calendar, told), calendar, interval, there)
    half = len(there) // 2
    mixed = cleared(marked({}, calendar, told[:1]), calendar, interval, there[:half])
    mixed = cleared(marked(mixed, calendar, told[1:]), calendar, interval, there)

    assert first == last == mixed
    assert sum(row.empty.bit_count() for row in last.values()) == len(starts) - len(there)
    assert not any(row.absent for row in last.values())
    assert sum(row.expected for row in last.values()) >= len(starts)
    assert [each.start for each in chunks(calendar, interval, start, end)] == sorted(last)


@pytest.mark.parametrize("rows", [[Coverage(start=PRE_OPEN, expected=390, absent=1 << 389, empty=5)]])
def test_packed_bits_come_back(rows: Sequence[Coverage]) -> None:
    """Bit n is bit n % 8 of byte n // 8, as PostgreSQL's get_bit counts."""
    for row in rows:
        absent, empty = row.packed()
        assert (len(absent), len(empty)) == (49, 1)
        assert absent[389 // 8] >> (389 % 8) == 1
        assert coverage_of(row.start, row.expected, absent, empty) == row


def test_the_marked_stretch_reaches_from_the_first_to_after_the_last_bit() -> None:
    """Bars behind it clear nothing, so nobody need look."""
    rows = marked({}, SPY, [minutes(3, 5), minutes(1_440 + 7, 1_440 + 8, "empty")])
    assert marked_stretch(rows.values(), SPY, "1m") == (bars(3)[0], bars(1_440 + 7)[0] + 1)
    assert marked_stretch([Coverage(start=PRE_OPEN, expected=390)], SPY, "1m") is None
