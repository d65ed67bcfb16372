"""Occasions: which tellings are of the same action."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.action_effects import Effect
from analytics.same_action import groups, is_same, kind_of, one_each
from tests.support.corporate_actions import dividend, effect, split, told


def undecided(_: Effect) -> None:
    """Say nothing of prices."""


@given(st.lists(st.integers(0, 400)))
def test_an_occasion_of_shares_is_a_week_at_most(offsets: list[int]) -> None:
    """However many are told day after day: everything is in one occasion, and none grows beyond."""
    effects = [effect(16_000 + each, after=2.0) for each in offsets]
    found = list(groups("shares", effects))

    assert sorted(each.ex for group in found for each in group) == sorted(each.ex for each in effects)
    assert all(group[-1].ex - group[0].ex <= 7 for group in found)


def test_weekly_dividends_are_occasions_of_their_own() -> None:
    """There are funds that pay every week."""
    assert len(list(groups("cash", [effect(16_000, kept=0.99), effect(16_007, kept=0.99)]))) == 2


@pytest.mark.parametrize(
    ("type_", "kind"), [("stock_dividend", "shares"), ("return_of_capital", "cash"), ("merger", "merger")]
)
def test_kinds(type_: str, kind: str) -> None:
    """Vendors call the same thing a split or a dividend in shares."""
    assert kind_of(told(type_, "2014-06-09")) == kind


def test_the_same_said_twice_is_what_was_said_last_unless_prices_tell() -> None:
    """Of a split whose day was moved."""
    first = Effect(action=split(16_230, 7.0, known=1), ex=split(16_230, 7.0).ex_date, after=7.0)
    moved = Effect(action=split(16_231, 7.0, known=2), ex=split(16_231, 7.0).ex_date, after=7.0)

    assert one_each([first, moved], undecided) == [moved]
    assert one_each([first, moved], lambda each: each is first) == [first]


def test_two_dividends_of_one_day_are_two_where_they_differ() -> None:
    """A regular one and a special one; the same amount twice is one."""
    both = [Effect(action=dividend(16_230, each), ex=dividend(16_230, each).ex_date) for each in (0.5, 2.0, 0.5)]  # fmt: skip

    assert len(one_each(both, undecided)) == 2


def test_sources_say_the_same_within_what_they_round() -> None:
    """Other ratios, other days and other numbers of effects are a difference."""
    seven = effect(16_230, after=7.0)

    assert is_same([seven], [effect(16_230, after=7.0001)])
    assert not is_same([seven], [effect(16_230, before=7.0)])
    assert not is_same([seven], [effect(16_231, after=7.0)])
    assert not is_same([seven], [seven, seven])
    assert not is_same([effect(16_230, kept=0.99)], [effect(16_230, kept=0.98)])
