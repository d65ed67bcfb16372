"""Times as REST speaks them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.moments import EARLIEST_US, LATEST_US, BadMoment, aware, parse_moment, period_start, rfc3339
from schemas.calendar.sessions import load_calendar
from schemas.intervals import DAY_US, HOUR_US, micros

NEW_YORK = "America/New_York"
MONDAY_NOON = micros(datetime(2013, 10, 7, 16, tzinfo=UTC))  # 12:00 in New York
XNYS = load_calendar("XNYS")


@given(st.integers(EARLIEST_US, LATEST_US - 1))
def test_a_moment_survives_its_text(moment: int) -> None:
    """Six digits are all of it."""
    assert parse_moment(rfc3339(moment), None) == moment
    assert micros(aware(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-10-07T16:00:00Z", MONDAY_NOON),
        ("2013-10-07T12:00:00-04:00", MONDAY_NOON),
        ("2013-10-07T18:00:00 02:00", MONDAY_NOON),  # an unescaped +
        ("2013-10-07 16:00:00z", MONDAY_NOON),
        ("2013-10-07T16:00:00.000001Z", MONDAY_NOON + 1),
        ("2013-10-07", MONDAY_NOON - 12 * HOUR_US),
    ],
)
def test_zoned_times_and_venue_dates_are_understood(text: str, expected: int) -> None:
    """A bare date is the venue's midnight."""
    assert parse_moment(text, NEW_YORK) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2013-10-07T16:00:00", "no_zone"),
        ("2013-10-07T16:00:00.1234567Z", "too_precise"),
        ("2013-13-07T16:00:00Z", "not_a_date"),
        ("2013-02-30", "not_a_date"),
        ("2013-10-07T25:00:00Z", "not_a_time"),
        ("2013-10-07T16:00:60Z", "not_a_time"),
        ("0001-01-01T00:00:00+14:00", "out_of_range"),
        ("9999-12-31T23:59:59-14:00", "out_of_range"),
        ("2199-12-31T23:59:59-14:00", "out_of_range"),
        ("yesterday", "not_a_time"),
        ("1381161600", "not_a_time"),
        ("", "not_a_time"),
        ("٢٠١٣-10-07", "not_a_date"),
    ],
)
def test_anything_else_is_refused_with_its_reason(text: str, code: str) -> None:
    """The message says what would be right."""
    with pytest.raises(BadMoment) as bad:
        parse_moment(text, NEW_YORK)
    assert bad.value.code == code


def test_a_bare_date_is_refused_where_there_is_no_venue() -> None:
    """as_of is knowledge, which has no midnight."""
    with pytest.raises(BadMoment):
        parse_moment("2013-10-07", None)


@given(st.text(alphabet="0123456789-:TZz+. ٣", max_size=32))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    """Nothing else is raised."""
    try:
        assert EARLIEST_US <= parse_moment(text, NEW_YORK) < LATEST_US
    except BadMoment:
        pass


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("1d", datetime(2013, 10, 7, 8, tzinfo=UTC)),  # 04:00, the pre-market's start
        ("5d", datetime(2013, 10, 1, 8, tzinfo=UTC)),  # five trading days: Tue Wed Thu Fri Mon
        ("1mo", datetime(2013, 9, 7, 4, tzinfo=UTC)),
        ("1y", datetime(2012, 10, 7, 4, tzinfo=UTC)),
        ("ytd", datetime(2013, 1, 1, 5, tzinfo=UTC)),
    ],
)
def test_periods_count_trading_days_and_venue_months(period: str, start: datetime) -> None:
    """Days are trading days; months begin at the venue's midnight."""
    assert aware(period_start(period, MONDAY_NOON, XNYS)) == start


def test_a_month_back_from_the_31st_is_the_last_day_of_a_shorter_month() -> None:
    """2013-03-31 less a month is 2013-02-28."""
    end_of_march = micros(datetime(2013, 3, 31, 12, tzinfo=UTC))
    assert aware(period_start("1mo", end_of_march, XNYS)) == datetime(2013, 2, 28, 5, tzinfo=UTC)


def test_on_a_sunday_one_day_is_the_friday() -> None:
    """The newest trading day, not the last 24 hours."""
    assert aware(period_start("1d", MONDAY_NOON - DAY_US, XNYS)) == datetime(2013, 10, 4, 8, tzinfo=UTC)
