"""Periods of macro series: which days a date stands for; pure.

Sources date a period by its first day, its last, or the first of its last month; a statistic is of the whole of it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from functools import lru_cache

from schemas.clocks import Day
from schemas.entries import Frequency
from schemas.errors import InvalidRecord

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
CACHED_DATES = 65_536
MONTHS = {"M": 1, "Q": 3, "S": 6, "A": 12}
DAYS = {"D": 1, "W": 7, "BW": 14}
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def day_of(moment: date) -> Day:
    """Return a calendar day as its number."""
    return Day(moment.toordinal() - EPOCH_ORDINAL)


def date_of(day: Day) -> date:
    """Return the calendar day of a number."""
    return date.fromordinal(day + EPOCH_ORDINAL)


@lru_cache(maxsize=CACHED_DATES)
def parsed_day(text: str) -> Day:
    """Return the day of an ISO date; raise InvalidRecord where it is none."""
    try:
        if ISO_DATE.fullmatch(text) is None:
            raise ValueError
        return day_of(date.fromisoformat(text))
    except ValueError:
        raise InvalidRecord(f"{text[:20]!r} is no day; one is written 2016-07-29") from None


@lru_cache(maxsize=CACHED_DATES)
def period_of(day: Day, frequency: Frequency) -> tuple[Day, Day]:
    """Return the first day of the period that a date stands for, and the day after its last.

    Quarters and months are those of the calendar that hold the date, whichever of their months it names. Weeks are dated
    by their last day. A year or half that is dated by the last day of a month ends with it, another begins with its month:
    fiscal years are dated so. Raises InvalidRecord for a date at the end of the calendar.
    """
    try:
        if frequency in DAYS:
            return Day(day - DAYS[frequency] + 1), Day(day + 1)
        return _months(date_of(day), MONTHS[frequency], of_calendar=frequency in ("M", "Q"))
    except (ValueError, OverflowError):
        raise InvalidRecord(f"day {day} begins no period that could be") from None


def _months(given: date, length: int, *, of_calendar: bool) -> tuple[Day, Day]:
    count = given.year * 12 + given.month - 1
    if of_calendar:
        first = count - count % length
    elif given.day == monthrange(given.year, given.month)[1]:
        first = count + 1 - length
    else:
        first = count
    return day_of(_first_of(first)), day_of(_first_of(first + length))


def _first_of(months: int) -> date:
    return date(months // 12, months % 12 + 1, 1)
