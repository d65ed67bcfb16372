"""Periods by their dates: whichever day of them a source names."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.vendors.periods import date_of, day_of, parsed_day, period_of
from schemas.errors import InvalidRecord


@pytest.mark.parametrize(
    ("dated", "frequency", "first", "after"),
    [
        ("2016-06-01", "Q", "2016-04-01", "2016-07-01"),
        ("2016-04-01", "Q", "2016-04-01", "2016-07-01"),
        ("2016-12-01", "Q", "2016-10-01", "2017-01-01"),
        ("2016-02-01", "M", "2016-02-01", "2016-03-01"),
        ("2016-02-29", "M", "2016-02-01", "2016-03-01"),
        ("2016-02-29", "D", "2016-02-29", "2016-03-01"),
        ("2016-11-12", "W", "2016-11-06", "2016-11-13"),
        ("2016-11-12", "BW", "2016-10-30", "2016-11-13"),
        ("2016-01-01", "A", "2016-01-01", "2017-01-01"),
        ("2016-10-01", "A", "2016-10-01", "2017-10-01"),
        ("2016-09-30", "A", "2015-10-01", "2016-10-01"),
        ("2016-07-01", "S", "2016-07-01", "2017-01-01"),
        ("2016-12-31", "S", "2016-07-01", "2017-01-01"),
        ("1947-03-01", "Q", "1947-01-01", "1947-04-01"),
    ],
)
def test_a_date_stands_for_a_whole_period(dated: str, frequency: str, first: str, after: str) -> None:
    """A quarter is dated by its first month at FRED and by its last in our file: it is the same quarter."""
    found = period_of(parsed_day(dated), frequency)  # type: ignore[arg-type]

    assert tuple(str(date_of(day)) for day in found) == (first, after)


@given(st.dates(date(1700, 1, 1), date(2900, 1, 1)), st.sampled_from(["M", "Q"]))
def test_periods_of_the_calendar_hold_their_date_and_follow_one_another(day: date, frequency: str) -> None:
    """No day lies in two months or quarters, and none in none."""
    first, after = period_of(day_of(day), frequency)  # type: ignore[arg-type]

    assert first <= day_of(day) < after
    assert period_of(after, frequency)[0] == after  # type: ignore[arg-type]
    assert date_of(day_of(day)) == day
    assert day_of(day) - day_of(day - timedelta(days=1)) == 1


@pytest.mark.parametrize(
    "text", ["", "2016-02-30", "2016-2-3", "20160203", "2016-02-03T00:00", "٢٠١٦-٠٢-٠٣", "x" * 99]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    """Named, and shortened."""
    with pytest.raises(InvalidRecord, match="is no day"):
        parsed_day(text)


@pytest.mark.parametrize(
    ("dated", "frequency"), [("9999-12-31", "Q"), ("0001-01-01", "W"), ("9999-12-31", "A")]
)
def test_a_period_beyond_the_calendar_is_refused_or_whole(dated: str, frequency: str) -> None:
    """Never an error of the calendar's."""
    try:
        first, after = period_of(parsed_day(dated), frequency)  # type: ignore[arg-type]
    except InvalidRecord:
        return
    assert first < after
