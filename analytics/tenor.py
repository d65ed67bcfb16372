"""Time left to options: the moment one ends by the sessions of its market, and the years until then.

Expiry dates are not always sessions: until January 2015 the monthly ones were Saturdays, and holidays fall on Fridays. An option ends with the last
session by its date, on half days early; one that settles on an opening ends with that.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from analytics.normal import Doubles
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, EPOCH, SECOND_US

YEAR_US = 365 * 86_400 * SECOND_US
"""ACT/365F: a year has 31,536,000 seconds, leap years too."""
LONGEST_CLOSURE_DAYS = 14


def expiration_time(expiry: date, calendar: Calendar, *, is_at_open: bool = False) -> EventTime:
    """Return when options of an expiry date end (µs): the close of the last session by then, or its open.

    Raises InvalidRecord where the calendar does not reach so far.
    """
    midnight = (expiry - EPOCH.date()).days * DAY_US
    known = calendar.horizon is None or midnight < calendar.horizon
    days = calendar.sessions(midnight - LONGEST_CLOSURE_DAYS * DAY_US, midnight + 2 * DAY_US) if known else ()
    last = max((each for each in days if each.day <= midnight), key=lambda each: each.day, default=None)
    if last is None:
        raise InvalidRecord(
            f"expiry {expiry}: no session of {calendar.name} is known by then; give a date within the calendar"
        )
    return EventTime(last.open if is_at_open else last.close)


def years_left(expiration_us: ArrayLike, valuation_us: ArrayLike) -> Doubles:
    """Return years from a moment of valuation to expiration, both µs since the epoch, ACT/365F; 0 where it has passed.

    The moment of valuation is the market's, that of the newest quote: what an answer says does not decay over a weekend.
    """
    left = np.asarray(expiration_us, np.int64) - np.asarray(valuation_us, np.int64)
    return np.maximum(left, 0) / YEAR_US
