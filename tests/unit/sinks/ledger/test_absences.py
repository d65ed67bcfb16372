"""What did not come in a session, as orders: when, how much, and each stretch once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.backfill import order_of_absence
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.ledger.coverage import Coverage
from schemas.streams import StreamId
from sinks.ledger.absences import AFTER_CLOSE_US, Absence, absences, late_absences, unasked
from sinks.ledger.orders import SOURCE
from tests.support.builders import NINE_THIRTY

SPY = StreamId("bars", "1m", "yahoo", "SPY")
DAYS = StreamId("bars", "1d", "alpaca", "SPY")


def moment(*given: int) -> EventTime:
    """Return a UTC moment."""
    return EventTime(micros(datetime(*given, tzinfo=UTC)))  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("symbol", "interval", "opens", "closes"),
    [
        (
            "SPY",
            "1m",
            moment(2013, 10, 7, 13, 30),
            moment(2013, 10, 8),
        ),  # post-market until 20:00 in New York
        ("SPY", "5m", moment(2013, 11, 29, 14, 30), moment(2013, 11, 29, 22)),  # half a day, to 17:00
        (
            "0700.HK",
            "5m",
            moment(2024, 3, 5, 1, 30),
            moment(2024, 3, 5, 8, 10),
        ),  # with a break and an auction
        ("BTC-USD", "1m", moment(2024, 3, 5), moment(2024, 3, 6)),  # a UTC day
    ],
)
def test_a_session_is_asked_for_once_it_ended_a_quarter_of_an_hour_ago(
    symbol: str, interval: str, opens: EventTime, closes: EventTime
) -> None:
    """From its first to its last absent bar, whatever lies between; no microsecond sooner."""
    series = StreamId("bars", interval, "yahoo", symbol)
    slots = session_slots(calendar_of(symbol), interval, opens)
    assert slots is not None and slots.end == closes
    row = Coverage(
        start=slots.start, expected=slots.count, absent=1 << 2 | 1 << 3 | 1 << 5, empty=1 << 4 | 1 << 6
    )
    due = slots.end + AFTER_CLOSE_US

    assert list(absences(series, row, due - 1)) == []
    (found,) = absences(series, row, due)
    high = slots.slot_at(5) + slots.step
    assert found == Absence(series=series, session=slots.start, low=slots.slot_at(2), high=EventTime(high))
    assert found.order("T1") == order_of_absence(
        series, (slots.slot_at(2), EventTime(high)), "T1", session=slots.start, source=SOURCE
    )


def test_what_became_known_with_the_next_session_is_asked_for_with_that_one() -> None:
    """Of a Friday on Monday evening, once; what the first order reached is not asked for again."""
    friday, monday = moment(2013, 10, 4, 13, 30), moment(2013, 10, 8)
    slots = session_slots(calendar_of("SPY"), "1m", friday)
    assert slots is not None
    last = slots.count - 1
    row = Coverage(start=slots.start, expected=slots.count, absent=1 << 7 | 1 << last - 3 | 1 << last)
    asked_to = slots.slot_at(200)
    due = monday + AFTER_CLOSE_US

    assert list(late_absences(SPY, row, due - 1, asked_to)) == []
    (late,) = late_absences(SPY, row, due, asked_to)
    assert (late.session, late.low, late.high) == (
        asked_to,
        slots.slot_at(last - 3),
        EventTime(slots.slot_at(last) + MINUTE_US),
    )
    assert list(late_absences(SPY, row, due, slots.end)) == []
    assert late.order("T0").job_id != next(absences(SPY, row, due)).order("T0").job_id


def day(month: int, of_month: int) -> EventTime:
    """Return a day of 2013."""
    return moment(2013, month, of_month)


def year(*days: EventTime) -> Coverage:
    """Return the coverage of 2013 in which these days are absent."""
    slots = session_slots(calendar_of("SPY"), "1d", day(1, 2))
    assert slots is not None
    numbers = [slots.index_of(each) for each in days]
    assert None not in numbers
    return Coverage(
        start=slots.start,
        expected=slots.count,
        absent=sum(1 << number for number in numbers if number is not None),
    )


def test_days_are_ordered_by_stretches_without_a_day_between() -> None:
    """Over weekends and holidays; a day whose session is not over is none yet."""
    row = year(day(7, 3), day(7, 5), day(7, 8), day(7, 10), day(10, 7))
    found = list(absences(DAYS, row, moment(2013, 10, 8) + AFTER_CLOSE_US - 1))
    orders = list(unasked(found, {}, {"SPY": "T0"}))

    assert [(each.from_time, each.to_time, each.tier) for each in orders] == [
        (day(7, 3), day(7, 9), "T0"),  # the 4th is a holiday, then a weekend
        (day(7, 10), day(7, 11), "T0"),
    ]
    (*_, last) = unasked(list(absences(DAYS, row, moment(2013, 10, 8) + AFTER_CLOSE_US)), {}, {})
    assert (last.from_time, last.to_time, last.tier) == (day(10, 7), day(10, 8), "T2")


def test_a_stretch_of_days_that_grew_is_asked_for_where_it_was_not() -> None:
    """At both ends and where it grew together with another."""
    now = moment(2013, 12, 1)
    first = list(unasked(list(absences(DAYS, year(day(7, 9), day(7, 10), day(7, 15)), now)), {}, {}))
    asked = {each.job_id: each.to_time for each in first}
    grown = list(absences(DAYS, year(*(day(7, each) for each in (8, 9, 10, 11, 12, 15, 16))), now))

    again = list(unasked(grown, asked, {}))
    assert [(each.from_time, each.to_time) for each in again] == [
        (day(7, 8), day(7, 9)), (day(7, 11), day(7, 13)), (day(7, 16), day(7, 17)),
    ]  # fmt: skip
    asked |= {each.job_id: each.to_time for each in again}
    assert list(unasked(grown, asked, {})) == []


def test_what_no_calendar_numbers_any_more_is_left_alone() -> None:
    """A row of a day that became a holiday, and bits beyond what is expected now."""
    holiday = Coverage(start=EventTime(moment(2013, 12, 25) + 9 * HOUR_US), expected=960, absent=7)
    assert list(absences(SPY, holiday, moment(2014, 1, 5))) == []
    assert list(late_absences(SPY, holiday, moment(2014, 1, 5), EventTime(0))) == []
    slots = session_slots(calendar_of("SPY"), "1m", NINE_THIRTY)
    assert slots is not None
    beyond = Coverage(start=slots.start, expected=9_999, absent=1 << slots.count + 5)
    assert list(absences(SPY, beyond, slots.end + DAY_US)) == []
