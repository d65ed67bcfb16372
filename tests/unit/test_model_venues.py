"""The bars of the model's venues are those the calendar expects, and are over when it says so."""

from __future__ import annotations

from itertools import product

import pytest

from schemas.calendar.expected_bars import first_unended
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS
from tests.model.market import PARTITION
from tests.model.venues import DAILY, VENUES, bounds, expected, session_bars, tape
from tests.support.expected_starts import expected_starts

INTERVALS = ("1m", "1h", DAILY)


@pytest.mark.parametrize("name", VENUES)
def test_a_venues_bars_are_those_its_calendar_expects(name: str) -> None:
    """One by one, and each is over at the moment from which on the calendar says so, not a moment before."""
    for days, interval in product(VENUES[name].days, INTERVALS):
        low, high = bounds(VENUES[name], days)
        symbol = VENUES[name].symbols[0]
        calendar, bars = calendar_of(symbol), expected(symbol, interval, low, high)
        starts = expected_starts(calendar, interval, low, high) if calendar.is_known else []
        assert [bar.start for bar in bars] == starts
        for bar in bars[:: max(1, len(bars) // 20)]:
            assert first_unended(calendar, interval, bar.end - 1) <= bar.start
            assert first_unended(calendar, interval, bar.end) > bar.start


@pytest.mark.parametrize("name", VENUES)
def test_bars_of_a_session_are_numbered_as_bits_are(name: str) -> None:
    """From its first to its last."""
    symbol = VENUES[name].symbols[0]
    for interval in INTERVALS:
        low, high = bounds(VENUES[name], (interval,))
        for bar in expected(symbol, interval, low, high)[::50]:
            slots = session_slots(calendar_of(symbol), interval, bar.start)
            assert slots is not None
            numbered = [slots.slot_at(number) for number in range(slots.count)]
            assert [each.slot for each in session_bars(symbol, interval, slots.start)] == numbered


def test_symbols_live_in_the_models_partition_and_have_bars_enough() -> None:
    """A schedule begins some way into its tape and needs room after that."""
    for venue in VENUES.values():
        assert {partition_of(symbol, DEFAULT_PARTITIONS) for symbol in venue.symbols} == {PARTITION}
        for intervals in venue.days:
            low, high = bounds(venue, intervals)
            assert all(len(tape(venue.symbols[0], each, low, high)) >= 25 for each in intervals)
            assert high - low >= 60 * MINUTE_US
