"""Which bars a stretch should hold, known from real trading days."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar.expected_bars import (
    expected_after,
    expected_span,
    first_expected,
    first_unended,
    is_judged,
    runs,
    slot_of,
)
from schemas.calendar.sessions import ALWAYS_OPEN, US_EQUITIES, calendar_of, load_calendar
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, slot_us
from tests.support.builders import NINE_THIRTY
from tests.support.expected_starts import expected_starts

NEXT_OPEN = NINE_THIRTY + DAY_US  # 2013-10-08
XNYS = load_calendar(US_EQUITIES)
CLOSE = NINE_THIRTY + 390 * MINUTE_US


def test_a_night_expects_nothing() -> None:
    """Between close and open no bar is missing."""
    assert expected_span(XNYS, "1m", CLOSE, NEXT_OPEN) is None


def test_a_span_over_the_night_counts_both_days() -> None:
    """The last two minutes of a day and the first three of the next are five bars."""
    span = expected_span(XNYS, "1m", CLOSE - 2 * MINUTE_US, NEXT_OPEN + 3 * MINUTE_US)

    assert span is not None
    assert (span.first, span.last, span.count) == (CLOSE - 2 * MINUTE_US, NEXT_OPEN + 2 * MINUTE_US, 5)


@pytest.mark.parametrize(("interval", "bars"), [("1m", 390), ("5m", 78), ("1h", 7), ("1d", 1)])
def test_slots_are_as_many_as_the_span_counts(interval: str, bars: int) -> None:
    """Listing and counting agree, for each judged interval."""
    day = NINE_THIRTY - NINE_THIRTY % DAY_US
    span = expected_span(XNYS, interval, day, day + DAY_US)
    slots = [slot_of(interval, start) for start in expected_starts(XNYS, interval, day, day + DAY_US)]

    assert span is not None
    assert (
        (span.count, span.first, span.last)
        == (bars, slots[0], slots[-1])
        == (len(slots), slots[0], slots[-1])
    )


def test_a_daily_bar_is_its_utc_day() -> None:
    """Vendors stamp daily bars anywhere in the day."""
    assert (
        slot_of("1d", NINE_THIRTY)
        == slot_of("1d", NINE_THIRTY + 5 * HOUR_US)
        == NINE_THIRTY // DAY_US * DAY_US
    )
    assert slot_of("1m", NINE_THIRTY) == NINE_THIRTY


def test_weeks_are_not_judged() -> None:
    """The calendar has no rule for them."""
    assert not is_judged("1wk")
    assert expected_span(XNYS, "1wk", 0, NINE_THIRTY) is None


def test_decades_are_counted_but_not_listed() -> None:
    """A wrong stamp cannot fill the memory."""
    span = expected_span(XNYS, "1m", 0, NINE_THIRTY)

    assert span is not None and span.count > 1_000_000
    assert first_expected(XNYS, "1m", 0, NINE_THIRTY) == span.first


@pytest.mark.parametrize("stamp", [0, 4 * HOUR_US, NINE_THIRTY % DAY_US, NINE_THIRTY % DAY_US + HOUR_US])
def test_a_daily_bar_stamped_after_the_open_is_there_all_the_same(stamp: int) -> None:
    """Between the bars of Monday and Tuesday nothing is missing, wherever in their days they are stamped."""
    monday = NINE_THIRTY // DAY_US * DAY_US + stamp
    between = expected_after(XNYS, "1d", monday, monday + 2 * DAY_US)

    assert expected_after(XNYS, "1d", monday, monday + DAY_US) is None
    assert between is not None and (between.first, between.count) == (slot_of("1d", monday + DAY_US), 1)


# a lunch break, a day that spans two dates in UTC, a session of Sundays, and no session at all
CALENDARS = {"XNYS": XNYS, "24/7": load_calendar(ALWAYS_OPEN)} | {
    symbol: calendar_of(symbol) for symbol in ("7203.T", "BHP.AX", "EURUSD=X", "SAP.DE", "2222.SR")
}
DAYS = {  # midnights in UTC: an ordinary week, the clocks of New York and of Sydney going forward, the turn of a year
    "week": NINE_THIRTY - NINE_THIRTY % DAY_US, "march": 1_709_942_400_000_000, "october": 1_728_086_400_000_000,
    "new year": 1_735_430_400_000_000,
}  # fmt: skip


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(CALENDARS)),
    day=st.sampled_from(sorted(DAYS)),
    interval=st.sampled_from(["1m", "30m", "1h", "1d", "1wk"]),
    start=st.integers(0, 5 * 24 * 4),
    length=st.integers(1, 5 * 24 * 4),
    dropped=st.sets(st.integers(0, 60)),
    others=st.sets(st.integers(0, 5 * 24 * 60), max_size=5),
)
def test_runs_are_what_comparing_bar_by_bar_finds(
    name: str, day: str, interval: str, start: int, length: int, dropped: set[int], others: set[int]
) -> None:
    """Over nights, weekends and parts of sessions; bars nobody expects are neither part nor end of a run."""
    calendar, low = CALENDARS[name], DAYS[day] + start * 15 * MINUTE_US
    high = low + length * 15 * MINUTE_US
    expected = (
        [slot_of(interval, each) for each in expected_starts(calendar, interval, low, high)]
        if is_judged(interval)
        else []
    )
    present = {slot for number, slot in enumerate(expected) if number % 61 not in dropped}
    noise = {slot_of(interval, DAYS[day] + minute * MINUTE_US) for minute in others} - set(expected)

    found = list(runs(calendar, interval, low, high, sorted(present | noise)))

    wanted, begin = [], None
    for slot in expected:
        if slot in present:
            begin = slot if begin is None else begin
        elif begin is not None:
            wanted.append((begin, slot))
            begin = None
    assert found == wanted + ([] if begin is None else [(begin, None)])


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(CALENDARS)),
    day=st.sampled_from(sorted(DAYS)),
    interval=st.sampled_from(["1m", "5m", "15m", "30m", "1h", "1d"]),
    minute=st.integers(0, 5 * 24 * 60),
    microsecond=st.sampled_from([-1, 0, 1]),
)
def test_bars_before_the_bound_have_ended_and_none_after_it(
    name: str, day: str, interval: str, minute: int, microsecond: int
) -> None:
    """A bar ends after its length, or with the trading it is cut by."""
    calendar, moment = CALENDARS[name], DAYS[day] + minute * MINUTE_US + microsecond
    bound = first_unended(calendar, interval, moment)
    for session in calendar.sessions(moment - 3 * DAY_US, moment + 3 * DAY_US):
        ends = {session.open: session.close}
        if interval != "1d":
            step = slot_us(interval)
            ends = {
                low: min(low + step, closes)
                for opens, closes in session.parts
                for low in range(opens, closes, step)
            }
        for start, end in ends.items():
            assert (start < bound) == (end <= moment)
