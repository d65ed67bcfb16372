"""How far a series has come, as a set of ranges."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway.database.cursors import SeriesCursor, collected_ranges, first_absence
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.ledger.coverage import Coverage
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY

MINUTES = StreamId("bars", "1m", "yahoo", "SPY")  # 2013-10-07 is a Monday
CLOSE = EventTime(NINE_THIRTY + 390 * MINUTE_US)
OLD = EventTime(NINE_THIRTY - 700 * DAY_US)


def test_ranges_are_never_a_hull_and_the_same_whichever_came_first() -> None:
    """One day backfilled long before live: two ranges; the open one ends at the newest value."""
    told = [(NINE_THIRTY, None), (OLD, EventTime(OLD + HOUR_US)), (OLD, EventTime(OLD + MINUTE_US))]
    for order in permutations(told):
        assert collected_ranges(MINUTES, list(order), CLOSE) == [
            (OLD, OLD + HOUR_US),
            (NINE_THIRTY, CLOSE),
        ]


def test_a_night_between_two_ranges_is_none() -> None:
    """No bar is expected there; of quotes that cannot be said."""
    night = [
        (EventTime(NINE_THIRTY - 3 * DAY_US), EventTime(CLOSE - 3 * DAY_US)),
        (NINE_THIRTY, CLOSE),
    ]
    quotes = StreamId("quotes", "", "yahoo", "SPY")
    assert collected_ranges(MINUTES, night, CLOSE) == [(night[0][0], CLOSE)]
    assert collected_ranges(quotes, night, CLOSE) == night
    later = [night[0], (EventTime(NINE_THIRTY + MINUTE_US), CLOSE)]
    assert collected_ranges(MINUTES, later, CLOSE) == later


def test_an_open_range_is_never_upside_down() -> None:
    """Its first value may be newer than the newest that counts: a forming bar."""
    assert collected_ranges(MINUTES, [(CLOSE, None)], NINE_THIRTY) == [(CLOSE, CLOSE)]


@pytest.mark.parametrize(("hole", "whole"), [(None, 10), (4, 4), (12, 10)])
def test_a_range_is_whole_to_its_first_hole(hole: int | None, whole: int) -> None:
    """Or as far as it was seen."""
    found = SeriesCursor(
        start_time=EventTime(0),
        last_seen=EventTime(10),
        collected=(),
        hole=None if hole is None else EventTime(hole),
    )
    assert found.last_contiguous == whole


def test_the_first_absence_is_read_from_the_bits_of_a_session() -> None:
    """From a moment on; of a session without any, and of a chunk that expects none, nothing."""
    slots = session_slots(calendar_of("SPY"), "1m", NINE_THIRTY)
    assert slots is not None
    session = Coverage(start=slots.start, expected=slots.count, absent=1 << 3 | 1 << 7, empty=1)
    at = [slots.slot_at(number) for number in range(9)]
    assert first_absence(MINUTES, session, at[0]) == at[3]
    assert first_absence(MINUTES, session, at[4]) == at[7]
    assert first_absence(MINUTES, session, at[8]) is None
    sunday = Coverage(start=EventTime(NINE_THIRTY - DAY_US), expected=1, absent=1)
    assert first_absence(MINUTES, sunday, EventTime(0)) is None
