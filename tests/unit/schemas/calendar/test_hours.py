"""Facts of venues, and how they are looked up."""

from __future__ import annotations

from datetime import date

import pytest
from dateutil.easter import easter as published_easter

from schemas.calendar.hours import HOURS, VenueHours, call_minutes, current, easter, is_floor_holiday
from schemas.symbols.venues import CALENDARS

HISTORY = (("0001-01-01", "a"), ("2011-11-21", "b"), ("2024-11-05", "c"))


def test_every_calendar_has_a_source() -> None:
    """A venue nobody looked up would have the library's hours, right or not."""
    assert set(HOURS) == set(CALENDARS)
    assert all(len(hours.source) > 20 for hours in HOURS.values())
    for hours in HOURS.values():
        for history in (hours.breaks, hours.hours, hours.call_min):
            assert [since for since, *_ in history] == sorted({since for since, *_ in history})


@pytest.mark.parametrize(
    ("day", "value"),
    [("1998-01-02", "a"), ("2011-11-20", "a"), ("2011-11-21", "b"), ("2024-11-04", "b"), ("2036-12-31", "c")],
)
def test_a_history_says_what_held_on_a_day(day: str, value: str) -> None:
    """From its first day on, until the next."""
    assert current(HISTORY, day) == (value,)
    assert current((), day) is None


def test_calls_differ_on_short_days() -> None:
    """On a short day its own length counts, whatever the day."""
    hours = VenueHours(source="", call_min=(("2024-11-05", 5),), half_day_call_min=15)

    assert [call_minutes(hours, day, is_half_day=False) for day in ("2024-11-04", "2024-11-05")] == [0, 5]
    assert call_minutes(hours, "2024-11-04", is_half_day=True) == 15


def test_easter_is_on_its_sunday() -> None:
    """As dateutil says, for all years that are judged and more."""
    assert [easter(year) for year in range(1900, 2200)] == [
        published_easter(year) for year in range(1900, 2200)
    ]


@pytest.mark.parametrize(
    ("day", "holiday"),
    [
        pytest.param(date(2024, 5, 9), True, id="Ascension"),
        pytest.param(date(2024, 5, 20), True, id="Whit Monday"),
        pytest.param(date(2024, 5, 30), True, id="Corpus Christi"),
        pytest.param(date(2024, 10, 3), True, id="German Unity"),
        pytest.param(date(2024, 10, 4), False, id="the day after"),
        pytest.param(date(2024, 7, 2), False, id="a Tuesday"),
    ],
)
def test_the_floor_knows_the_holidays_of_its_land(day: date, holiday: bool) -> None:
    """Those of Germany and Hesse on which the exchange trades."""
    assert is_floor_holiday(day) is holiday
