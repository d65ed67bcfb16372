"""The trading day that follows a date: over week-ends, holidays and closures, and where there is no such thing."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.calendar.next_days import trading_day_from
from schemas.calendar.sessions import ALWAYS_OPEN, UNKNOWN, US_EQUITIES, load_calendar
from schemas.clocks import day_of


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("2014-06-09", "2014-06-09"),
        ("2014-06-07", "2014-06-09"),
        ("2024-03-17", "2024-03-18"),
        ("2014-04-18", "2014-04-21"),
        ("2001-09-11", "2001-09-17"),
    ],
)
def test_a_closed_day_leads_to_the_next_session(given: str, found: str) -> None:
    """A session is its own, after Good Friday comes Monday, and in 2001 New York was shut for four days."""
    calendar = load_calendar(US_EQUITIES)

    assert trading_day_from(day_of(date.fromisoformat(given)), calendar) == day_of(date.fromisoformat(found))


def test_tokyos_ten_days_of_2019_are_within_reach() -> None:
    """The longest closure any venue had in peace."""
    found = trading_day_from(day_of(date(2019, 4, 27)), load_calendar("XTKS"))

    assert found == day_of(date(2019, 5, 7))


@pytest.mark.parametrize(
    ("calendar", "day"), [(ALWAYS_OPEN, "2014-06-07"), (UNKNOWN, "2014-06-07"), (US_EQUITIES, "1990-06-09")]
)
def test_where_no_closed_days_are_known_a_day_stands(calendar: str, day: str) -> None:
    """Nothing is moved by guess."""
    given = day_of(date.fromisoformat(day))

    assert trading_day_from(given, load_calendar(calendar)) == given
