"""Trading days that follow a date, pure: where something is put that a calendar has no day for."""

from __future__ import annotations

from schemas.calendar.sessions import Calendar
from schemas.clocks import Day
from schemas.intervals import DAY_US

MOST_CLOSED_DAYS = 14  # longer than any closure since 1933, and than Tokyo's ten days of 2019


def trading_day_from(day: Day, calendar: Calendar) -> Day:
    """Return the first trading day on or after `day`; that day itself where the market has no closed days, or none is known."""
    if calendar.known_from is None:
        return day
    for later in range(day, day + MOST_CLOSED_DAYS):
        if calendar.session_on(later * DAY_US) is not None:
            return Day(later)
    return day
