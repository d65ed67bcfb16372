"""The moment an option ends, by sessions of the New York calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.tenor import YEAR_US, expiration_time, years_left
from schemas.calendar.sessions import load_calendar
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, EPOCH

NEW_YORK = ZoneInfo("America/New_York")


def local(moment: int) -> str:
    """Return a moment (µs) as date and time in New York."""
    return datetime.fromtimestamp(moment / 1e6, UTC).astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expiry", "ends"),
    [
        pytest.param(date(2014, 6, 21), "2014-06-20 16:00", id="saturday"),
        pytest.param(date(2014, 7, 19), "2014-07-18 16:00", id="another-saturday"),
        pytest.param(date(2015, 1, 17), "2015-01-16 16:00", id="the-last-saturday"),
        pytest.param(date(2014, 7, 3), "2014-07-03 13:00", id="half-day-before-a-holiday"),
        pytest.param(date(2015, 12, 24), "2015-12-24 13:00", id="christmas-eve"),
        pytest.param(date(2014, 4, 19), "2014-04-17 16:00", id="good-friday"),
        pytest.param(date(2016, 1, 15), "2016-01-15 16:00", id="friday"),
    ],
)
def test_it_ends_with_the_last_session_by_its_date(expiry: date, ends: str) -> None:
    """Saturdays, holidays and half days as they were."""
    assert local(expiration_time(expiry, load_calendar("XNYS"))) == ends


def test_what_settles_on_the_opening_ends_with_it() -> None:
    """A third Friday at 09:30; six and a half hours before what settles on the close."""
    calendar, friday = load_calendar("XNYS"), date(2016, 1, 15)

    assert local(expiration_time(friday, calendar, is_at_open=True)) == "2016-01-15 09:30"
    assert local(expiration_time(date(2014, 6, 21), calendar, is_at_open=True)) == "2014-06-20 09:30"


def test_a_date_beyond_the_calendar_is_refused() -> None:
    """Rather than be taken for the last day that is known."""
    with pytest.raises(InvalidRecord, match="expiry 2037-06-19"):
        expiration_time(date(2037, 6, 19), load_calendar("XNYS"))


@given(expiry=st.dates(date(2000, 1, 20), date(2036, 12, 31)))
def test_no_option_outlives_its_date(expiry: date) -> None:
    """And none ends more than four days before it, the longest closure but that of 2001."""
    ends = expiration_time(expiry, load_calendar("XNYS"))
    midnight = (expiry - EPOCH.date()).days * DAY_US

    assert midnight - 7 * DAY_US < ends < midnight + DAY_US + DAY_US // 4


def test_years_are_of_365_days() -> None:
    """In whole microseconds, from the moment of the newest quote; never below zero."""
    valued = expiration_time(date(2015, 12, 24), load_calendar("XNYS"))
    ends = [
        expiration_time(day, load_calendar("XNYS"))
        for day in (date(2015, 12, 31), date(2015, 12, 24), date(2015, 12, 23))
    ]

    left = years_left(ends, valued)

    assert (left * 365).tolist() == pytest.approx([7.125, 0.0, 0.0], abs=1e-12)
    assert YEAR_US == 31_536_000_000_000


def test_a_market_that_never_closes_ends_with_the_day() -> None:
    """In UTC."""
    assert expiration_time(date(2024, 3, 29), load_calendar("24/7")) == int(
        datetime(2024, 3, 30, tzinfo=UTC).timestamp() * 1e6
    )
