"""When polls are due."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.domain.cadence import CLOSED_EVERY_US, Schedule, first_position, next_due, offset_us
from schemas.calendar import calendar_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.builders import NINE_THIRTY

SPY, SIM = calendar_of("SPY"), calendar_of("SIM001")
EVERY = 60 * SECOND_US
FRIDAY_POST_CLOSE = NINE_THIRTY - 3 * DAY_US + 10 * HOUR_US + 30 * MINUTE_US


def test_a_minute_is_asked_for_shortly_after_its_end() -> None:
    """The poll of a one-minute cadence comes seconds after the minute is over, not somewhere within it."""
    due = next_due(NINE_THIRTY + 30 * SECOND_US, SPY, every_us=EVERY, offset=offset_us(0, 1, EVERY))

    assert due == NINE_THIRTY + MINUTE_US + 2 * SECOND_US


@settings(deadline=None)
@given(now=st.integers(0, 10**10), every_s=st.integers(1, 3600), count=st.integers(1, 10_000), data=st.data())
def test_a_due_time_lies_after_now_and_at_most_one_cadence_away(
    now: int, every_s: int, count: int, data: st.DataObject
) -> None:
    """Whatever the place in the cadence, an open market is polled once per cadence."""
    every = every_s * SECOND_US
    offset = offset_us(data.draw(st.integers(0, count - 1)), count, every)

    assert now < next_due(now, SIM, every_us=every, offset=offset) <= now + every


def test_streams_do_not_poll_in_one_burst() -> None:
    """A thousand symbols are spread over half a minute, each at its own moment."""
    offsets = {offset_us(index, 1_000, EVERY) for index in range(1_000)}

    assert len(offsets) == 1_000
    assert max(offsets) - min(offsets) < EVERY // 2


def test_a_closed_market_is_polled_slowly_and_the_opening_on_time() -> None:
    """Friday night every quarter of an hour; then exactly when Monday's pre-market opens."""
    night = FRIDAY_POST_CLOSE + HOUR_US
    before_open = NINE_THIRTY - 5 * HOUR_US - 35 * MINUTE_US

    assert next_due(night, SPY, every_us=EVERY, offset=0) == night + CLOSED_EVERY_US
    assert (
        next_due(before_open, SPY, every_us=EVERY, offset=5) == NINE_THIRTY - 5 * HOUR_US - 30 * MINUTE_US + 5
    )


def test_the_last_minutes_are_still_asked_for_after_the_close() -> None:
    """Late feeds show the last bars some minutes after the post-market has ended."""
    now = FRIDAY_POST_CLOSE + 10 * MINUTE_US

    assert next_due(now, SPY, every_us=EVERY, offset=0) - now <= EVERY


def test_a_new_symbol_begins_with_the_trading_day() -> None:
    """On a Monday with its pre-market, on a Sunday with Friday's."""
    monday = NINE_THIRTY - 5 * HOUR_US - 30 * MINUTE_US

    assert first_position(NINE_THIRTY + HOUR_US, SPY) == monday
    assert first_position(NINE_THIRTY - DAY_US, SPY) == monday - 3 * DAY_US


def test_a_schedule_gives_what_is_due_on_both_clocks_longest_due_first() -> None:
    """A stream waits for its market time and for its pause."""
    schedule = Schedule()
    schedule.add(1, due_us=100, not_before_s=0.0)
    schedule.add(2, due_us=50, not_before_s=0.0)
    schedule.add(3, due_us=10, not_before_s=9.0)

    assert schedule.take(60, 1.0) == 2
    assert schedule.take(60, 1.0) is None
    assert [schedule.take(200, 10.0) for _ in range(3)] == [3, 1, None]
