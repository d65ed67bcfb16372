"""Entries: which days are asked for, what is news, and when next."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from producers.polling.entries import (
    EARLIEST,
    ActionDays,
    ToldEntries,
    days_of_actions,
    next_slot,
    vintages_since,
)
from schemas.clocks import Day, MarketTime, day_of
from schemas.intervals import HOUR_US, SECOND_US
from schemas.streams import ACTION_STREAM, MACRO_STREAM
from tests.support.entries import an_action, an_observation

TODAY = day_of(date(2014, 6, 9))


def test_a_symbol_never_asked_for_is_asked_for_from_the_beginning() -> None:
    """And once it was, only around today: the same days back and ahead."""
    assert days_of_actions(TODAY, None, back_days=10, ahead_days=90) == ActionDays(EARLIEST, Day(TODAY + 90))
    assert days_of_actions(TODAY, TODAY, back_days=10, ahead_days=90) == ActionDays(
        Day(TODAY - 10), Day(TODAY + 90)
    )


def test_an_outage_leaves_no_day_out() -> None:
    """After thirty days without an answer the question begins ten days before them."""
    asked = Day(TODAY - 30)

    assert days_of_actions(TODAY, asked, back_days=10, ahead_days=90).first == TODAY - 40
    assert vintages_since(asked) == TODAY - 37
    assert vintages_since(None) is None


@given(
    now=st.integers(0, 2**52),
    every=st.integers(SECOND_US, 24 * HOUR_US),
    share=st.floats(0, 1, exclude_max=True),
)
def test_the_next_slot_is_in_its_place_and_within_a_cadence(now: int, every: int, share: float) -> None:
    """At night and on Sundays, too."""
    phase = int(every * share)
    due = next_slot(MarketTime(now), every_us=every, phase_us=phase)

    assert now < due <= now + every
    assert (due - phase) % every == 0


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, None, -0.5]), max_size=20))
def test_a_value_that_changed_is_news_and_one_that_did_not_is_none(values: list[float | None]) -> None:
    """From -1 to -2 too, of which Python's hash is one and the same."""
    told, before = ToldEntries(MACRO_STREAM), list[float | None]()
    for value in values:
        said = an_observation(value=value)
        told.begin()
        assert told.news([said]) == ([] if before == [value] else [said])
        told.confirmed()
        before = [value]


def test_what_is_told_again_is_no_news() -> None:
    """Whatever moment it bears: entries are compared by what they say."""
    told = ToldEntries(ACTION_STREAM)
    split, later = an_action(), an_action(event_time=an_action()["event_time"] + HOUR_US)
    changed = an_action(ratio_to=3.0)

    assert told.news([split, split]) == [split]
    told.confirmed()
    assert told.news([later]) == []
    told.confirmed()
    assert told.news([changed]) == [changed]
    told.confirmed()
    assert told.news([split]) == [split]


def test_what_was_not_confirmed_is_news_again() -> None:
    """A publication that failed moves nothing."""
    told = ToldEntries(ACTION_STREAM)

    assert told.news([an_action()])
    told.begin()
    assert told.news([an_action()])
