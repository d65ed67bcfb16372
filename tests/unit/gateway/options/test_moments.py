"""Ages in seconds of sessions; how slices end and dividends come is tested with the inputs they are part of."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.options.moments import session_ages
from schemas.calendar.sessions import ALWAYS_OPEN, US_EQUITIES, load_calendar
from tests.support.option_slices import NEW_YORK, us


def at(*clock: int) -> int:
    """Return a moment of December 2015 in New York, µs."""
    return us(datetime(2015, 12, *clock, tzinfo=NEW_YORK))


def ages(moment: int, *stamps: int, calendar: str = US_EQUITIES) -> list[float]:
    """Return the ages of stamps."""
    return session_ages(np.array(stamps, np.int64), moment, load_calendar(calendar)).tolist()


def test_within_a_session_every_second_counts() -> None:
    """To the microsecond."""
    assert ages(at(23, 11, 0), at(23, 10, 45), at(23, 11, 0), at(23, 10, 59) + 500_000) == [900.0, 0.0, 59.5]


def test_nothing_ages_overnight_nor_before_the_opening() -> None:
    """What was quoted at the close is new at the next opening; hours before and after the session are none."""
    assert ages(at(23, 9, 30), at(22, 16, 0), at(22, 18, 0), at(22, 15, 59)) == [0.0, 0.0, 60.0]
    assert ages(at(23, 9, 31), at(22, 15, 59), at(23, 8, 0)) == [120.0, 60.0]


def test_half_days_weekends_and_holidays_are_as_long_as_they_were() -> None:
    """The 24th closed at 13:00, then came Christmas and a weekend."""
    assert ages(at(28, 9, 31), at(24, 12, 59), at(25, 12, 0), at(27, 3, 0)) == [120.0, 60.0, 60.0]
    assert ages(at(28, 9, 30), at(23, 16, 0)) == [3.5 * 3600]


def test_what_is_stamped_later_is_of_no_age_and_what_is_ages_old_is_old() -> None:
    """Clocks differ; years are as two weeks."""
    later, years = ages(at(23, 11, 0), at(23, 11, 5), 0)

    assert later == 0.0
    assert years > 8 * 6.5 * 3600


def test_where_no_market_closes_or_no_day_is_known_every_second_counts() -> None:
    """Nothing says otherwise."""
    assert ages(at(27, 11, 0), at(26, 11, 0), calendar=ALWAYS_OPEN) == [86_400.0]
    assert ages(60_000_000, 0, calendar=US_EQUITIES) == [60.0]
    beyond = us(datetime(2037, 1, 5, 12, tzinfo=NEW_YORK))
    assert ages(beyond, beyond - 60_000_000) == [60.0]


@given(
    st.lists(st.integers(at(1, 0), at(28, 12)), min_size=2, max_size=5), st.integers(at(20, 0), at(28, 23))
)
def test_an_age_is_never_negative_nor_more_than_the_time_that_passed(stamps: list[int], moment: int) -> None:
    """And the older stamp is never the younger one."""
    found = ages(moment, *sorted(stamps))

    assert found == sorted(found, reverse=True)
    for stamp, age in zip(sorted(stamps), found, strict=True):
        assert 0.0 <= age <= max(0, moment - stamp) / 1e6 + 1e-6
