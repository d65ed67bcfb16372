"""Slots of a session by number, against listing them one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar.session_slots import SessionSlots, session_slots
from schemas.calendar.sessions import Calendar, TradingSession, calendar_of
from schemas.clocks import MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from tests.support.expected_starts import expected_starts

SYMBOLS = ("SPY", "SIM1", "7203.T", "BHP.AX", "EURUSD=X", "SAP.DE")
DAYS = [  # ordinary, the clocks of New York, London and Sydney changing, a half day, the turn of a year
    micros(datetime(*day, tzinfo=UTC))
    for day in ((2013, 10, 7), (2024, 3, 10), (2024, 3, 31), (2024, 10, 6), (2015, 12, 24), (2024, 12, 31))
]


def slots_of(found: SessionSlots) -> list[int]:
    """Return every slot, in order of its number."""
    return [found.slot_at(index) for index in range(found.count)]


@settings(max_examples=200, deadline=None)
@given(
    symbol=st.sampled_from(SYMBOLS),
    day=st.sampled_from(DAYS),
    minute=st.integers(-3 * 24 * 60, 3 * 24 * 60),
    interval=st.sampled_from(["1m", "5m", "15m", "30m", "1h"]),
)
def test_a_session_numbers_exactly_the_bars_it_expects(
    symbol: str, day: int, minute: int, interval: str
) -> None:
    """Numbers and slots are each other's inverse; no other minute of the chunk has a number."""
    calendar, moment = calendar_of(symbol), day + minute * MINUTE_US
    session, found = calendar.session_at(moment), session_slots(calendar, interval, moment)

    assert (found is None) == (session is None)
    if found is None or session is None:
        return
    wanted = expected_starts(calendar, interval, session.pre_open, session.post_close)
    assert slots_of(found) == wanted
    assert (found.start, found.end) == (session.pre_open, session.post_close)
    numbers = {slot: number for number, slot in enumerate(wanted)}
    for each in range(found.start - HOUR_US, found.end + HOUR_US, 5 * MINUTE_US):
        assert found.index_of(each) == numbers.get(each)
        assert found.index_of(each + 1) is None
        assert found.count_before(each) == sum(slot < each for slot in wanted)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("year", [2013, 2024, 2025])
def test_a_year_numbers_its_trading_days(symbol: str, year: int) -> None:
    """Daily bars are named by their UTC day, and a chunk is the year in UTC."""
    calendar = calendar_of(symbol)
    start, end = (micros(datetime(each, 1, 1, tzinfo=UTC)) for each in (year, year + 1))
    found = session_slots(calendar, "1d", start + 200 * DAY_US + 7)
    wanted = [each - each % DAY_US for each in expected_starts(calendar, "1d", start, end)]

    assert found is not None and (found.start, found.end) == (start, end)
    assert slots_of(found) == wanted
    for day in range(start - DAY_US, end + DAY_US, DAY_US):
        assert found.index_of(day) == (wanted.index(day) if day in wanted else None)
        assert found.count_before(day) == sum(slot < day for slot in wanted)
    assert session_slots(calendar, "1d", start - 1) != found != session_slots(calendar, "1d", end)


def test_a_break_of_no_whole_number_of_bars_begins_them_anew() -> None:
    """Two hours and a half, a break of an hour, two hours and a half: 3 hours each, the last of them cut short."""
    opens = micros(datetime(2024, 12, 3, 0, tzinfo=UTC))
    parts = [(opens, opens + 150 * MINUTE_US), (opens + 210 * MINUTE_US, opens + 360 * MINUTE_US)]
    day = TradingSession(
        pre_open=MarketTime(opens), open=MarketTime(opens), close=MarketTime(opens + 6 * HOUR_US),
        post_close=MarketTime(opens + 6 * HOUR_US),
        trading=tuple((MarketTime(low), MarketTime(high)) for low, high in parts),
    )  # fmt: skip
    found = session_slots(Calendar("two parts", "UTC", [day]), "1h", opens)

    assert found is not None
    assert [(slot - opens) // MINUTE_US for slot in slots_of(found)] == [0, 60, 120, 210, 270, 330]
    assert found.index_of(opens + 180 * MINUTE_US) is None


@pytest.mark.parametrize("index", [-1, 390])
def test_a_number_beyond_the_session_is_an_error(index: int) -> None:
    """A day of New York has the bars 0 to 389."""
    found = session_slots(calendar_of("SPY"), "1m", micros(datetime(2013, 10, 7, 15, tzinfo=UTC)))

    assert found is not None and found.count == 390
    with pytest.raises(IndexError, match="of 390"):
        found.slot_at(index)


@pytest.mark.parametrize(
    ("interval", "moment"),
    [
        pytest.param("1m", datetime(2013, 10, 5, 15, tzinfo=UTC), id="Saturday"),
        pytest.param("1wk", datetime(2013, 10, 7, 15, tzinfo=UTC), id="weeks are not judged"),
        pytest.param("1d", datetime(1970, 1, 5, tzinfo=UTC), id="a year the calendar does not know"),
    ],
)
def test_where_nothing_is_expected_there_are_no_slots(interval: str, moment: datetime) -> None:
    """None is told from a chunk without bars nowhere."""
    assert session_slots(calendar_of("SPY"), interval, micros(moment)) is None
