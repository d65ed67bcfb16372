"""Polls of option chains: when the next is due, which expiries it asks for, and what of an answer is news."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.polling.chains import (
    EXPIRIES_ONE_BY_ONE,
    LAST_EXPIRY_DAYS,
    LEGS_AT_ONCE,
    ToldSlices,
    nearest_slices,
    next_chain_due,
    parts,
    ranges_asked,
)
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, MarketTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.support.builders import a_leg, a_slice_event

NEW_YORK = ZoneInfo("America/New_York")
SHARES = calendar_of("SPY")
EVERY_US, PHASE_US = 5 * MINUTE_US, 7 * SECOND_US
TODAY = Day(16_000)


def moment(text: str) -> MarketTime:
    """Return a moment of New York's clocks."""
    return MarketTime(int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1_000_000))


def due(now: str, every_us: int = EVERY_US) -> str:
    """Return when the next poll of SPY is due, by New York's clocks."""
    found = next_chain_due(moment(now), SHARES, every_us=every_us, phase_us=PHASE_US)
    return datetime.fromtimestamp(found / 1e6, NEW_YORK).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("now", "then"),
    [
        pytest.param("2015-12-23 09:29:59", "2015-12-23 09:30:07", id="before-the-open"),
        pytest.param("2015-12-23 09:30:00", "2015-12-23 09:30:07", id="at-the-open"),
        pytest.param("2015-12-23 09:30:07", "2015-12-23 09:35:07", id="a-cadence-later"),
        pytest.param("2015-12-23 12:01:00", "2015-12-23 12:05:07", id="between-two"),
        pytest.param("2015-12-23 16:01:00", "2015-12-23 16:05:07", id="late-quotes-after-the-close"),
        pytest.param("2015-12-23 16:18:00", "2015-12-23 16:20:00", id="the-last-quotes"),
        pytest.param("2015-12-23 16:20:00", "2015-12-24 09:30:07", id="over-for-the-day"),
        pytest.param("2015-12-24 13:16:00", "2015-12-24 13:20:00", id="a-half-day-ends-early"),
        pytest.param("2015-12-24 13:20:00", "2015-12-28 09:30:07", id="over-christmas-and-a-weekend"),
        pytest.param("2015-12-26 12:00:00", "2015-12-28 09:30:07", id="on-a-saturday"),
        pytest.param("2016-03-12 12:00:00", "2016-03-14 09:30:07", id="over-the-begin-of-summer-time"),
    ],
)
def test_a_poll_is_due_while_options_are_quoted_and_a_little_longer(now: str, then: str) -> None:
    """In between there is nothing that was not asked for already."""
    assert due(now) == then


def test_a_slow_cadence_asks_for_the_last_quotes_all_the_same() -> None:
    """Once, when all that was quoted can have come."""
    assert due("2015-12-23 15:30:00", 60 * MINUTE_US) == "2015-12-23 16:00:07"
    assert due("2015-12-23 16:00:07", 60 * MINUTE_US) == "2015-12-23 16:20:00"
    assert due("2015-12-23 16:20:00", 60 * MINUTE_US) == "2015-12-24 09:30:07"


def test_where_nobody_knows_the_sessions_the_cadence_alone_counts() -> None:
    """Rather too often than never; and so it is where markets never close."""
    long_ago = MarketTime(-DAY_US)
    assert not SHARES.knows(long_ago)
    found = next_chain_due(long_ago, SHARES, every_us=EVERY_US, phase_us=PHASE_US)
    assert 0 < found - long_ago <= EVERY_US
    coins = calendar_of("BTC-USD")
    sunday = moment("2015-12-27 03:00:00")
    assert 0 < next_chain_due(sunday, coins, every_us=EVERY_US, phase_us=PHASE_US) - sunday <= EVERY_US


@given(
    now=st.integers(moment("2015-11-20 00:00:00"), moment("2016-01-10 00:00:00")),
    every_us=st.integers(10, 3_600).map(lambda seconds: seconds * SECOND_US),
    share=st.floats(0.0, 0.999),
)
def test_the_next_poll_is_always_later_and_never_at_night(now: int, every_us: int, share: float) -> None:
    """A poll that is due at once would go round and round."""
    phase_us = int(share * min(every_us, MINUTE_US))
    then = next_chain_due(MarketTime(now), SHARES, every_us=every_us, phase_us=phase_us)
    assert then > now
    clock = datetime.fromtimestamp(then / 1e6, NEW_YORK)
    assert clock.weekday() < 5
    assert (9, 30) <= (clock.hour, clock.minute) <= (16, 20)


def test_one_question_is_of_days_and_where_expiries_are_asked_for_one_by_one_each_is_its_own() -> None:
    """The nearest so many, none that is over, and none beyond the days that are asked for."""
    listed = [Day(TODAY + days) for days in (30, 7, -1, 0, 14, 21, 90)]
    assert ranges_asked(TODAY, None, near_days=45, most=None) == [(TODAY, TODAY + 45)]
    assert ranges_asked(TODAY, None, near_days=None, most=3) == [(TODAY, TODAY + LAST_EXPIRY_DAYS)]
    few = ranges_asked(TODAY, listed, near_days=None, most=None)
    assert few == [(TODAY + days, TODAY + days) for days in (0, 7, 14, 21)]
    assert len(few) == EXPIRIES_ONE_BY_ONE
    assert ranges_asked(TODAY, listed, near_days=10, most=6) == [(TODAY, TODAY), (TODAY + 7, TODAY + 7)]
    assert ranges_asked(TODAY, [], near_days=None, most=None) == []


def events(*days: int, legs: int = 1, root: str = "SPY") -> list[dict[str, Any]]:
    """Return slices of expiries, so many legs each."""
    strikes = [a_leg(strike=100.0 + number) for number in range(legs)]
    return [a_slice_event(*strikes, root=root, expiry=TODAY + day) for day in days]


def test_the_nearest_expiries_are_kept_with_all_their_roots() -> None:
    """Two roots of one expiry are one expiry."""
    given_ = [*events(30, 7, 14), *events(7, root="SPY1")]
    assert nearest_slices(given_, None) == given_
    assert [(each["root"], each["expiry"] - TODAY) for each in nearest_slices(given_, 2)] == [
        ("SPY", 7), ("SPY", 14), ("SPY1", 7),
    ]  # fmt: skip


@given(st.lists(st.integers(1, 2 * LEGS_AT_ONCE), max_size=12))
def test_parts_are_all_slices_in_order_none_torn_and_few_too_large(sizes: list[int]) -> None:
    """One that is larger than a part alone is a part of its own."""
    given_ = [{"legs": range(size), "number": number} for number, size in enumerate(sizes)]
    found = list(parts(given_))
    assert [event for part in found for event in part] == given_
    assert all(part for part in found)
    assert all(len(part) == 1 or sum(len(each["legs"]) for each in part) <= LEGS_AT_ONCE for part in found)


def test_a_slice_that_is_told_again_is_no_news_once_it_is_confirmed() -> None:
    """Whatever of it differs makes it news: a price, a stamp, a leg that is gone. Other expiries and roots are others."""
    told, (first, second) = ToldSlices(), events(7, 14, legs=2)
    assert told.news([first, second]) == [first, second]
    assert told.news([first, second]) == [first, second]  # not in Kafka yet
    told.confirmed([first], TODAY)
    assert told.news([first, second]) == [second]
    for changed in (
        first | {"event_time": first["event_time"] + 1},
        first | {"legs": first["legs"][:1]},
        first | {"legs": [first["legs"][0] | {"bid": 0.01}, first["legs"][1]]},
        first | {"root": "SPY1"},
    ):
        assert told.news([changed]) == [changed]
    told.confirmed([first | {"delay_s": 900}], TODAY)
    assert told.news([first]) == [first]  # as it was before is news again


def test_what_has_expired_is_forgotten() -> None:
    """On its last day it is not; memory does not grow with the years."""
    told, (first, second) = ToldSlices(), events(7, 14)
    told.confirmed([first, second], TODAY)
    told.confirmed([], Day(TODAY + 7))
    assert told.news([first, second]) == []
    told.confirmed([], Day(TODAY + 8))
    assert told.news([first, second]) == [first]
