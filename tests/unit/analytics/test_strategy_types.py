"""Types of strategies: each is what its name says, by what it pays."""

from __future__ import annotations

import math

import pytest

from analytics.strategy_types import MARGIN_RULES, MOST_LEGS, STRATEGY_TYPES, VIEWS, StrategyType
from tests.support.one_payoff import OptionLeg, payoff

WITHIN_ONE_EXPIRY = [each for each in STRATEGY_TYPES if not each.spans_expiries]
SPREAD = 10.0  # between neighbouring strikes


def paid(each: StrategyType, price: float) -> float:
    """Return what a type with strikes 90, 100, 110, … pays at a price, without its cost."""
    options = sum(
        leg.quantity * max((price - k) if leg.is_call else (k - price), 0)
        for leg in each.legs
        for k in [90 + SPREAD * leg.place]
    )
    return options + each.shares * price


def test_names_are_unique_and_views_and_margins_known() -> None:
    """The names are the filters of a query."""
    assert len({each.name for each in STRATEGY_TYPES}) == len(STRATEGY_TYPES) == 19
    assert {each.view for each in STRATEGY_TYPES} == set(VIEWS)
    assert {each.margin for each in STRATEGY_TYPES} == set(MARGIN_RULES)
    assert MOST_LEGS == 4


@pytest.mark.parametrize("each", WITHIN_ONE_EXPIRY, ids=lambda each: each.name)
def test_a_view_is_what_pays(each: StrategyType) -> None:
    """Bullish pays more high than low, bearish less; neutral most in the middle, volatile least."""
    middle = 90 + SPREAD * (each.strikes - 1) / 2
    low, here, high = (paid(each, price) for price in (10.0, middle, 400.0))

    assert {
        "bullish": high > low,
        "bearish": high < low,
        "neutral": here > max(low, high),
        "volatile": here < min(low, high),
    }[each.view]


@pytest.mark.parametrize("each", WITHIN_ONE_EXPIRY, ids=lambda each: each.name)
def test_a_margin_of_limited_risk_is_of_limited_risk(each: StrategyType) -> None:
    """What may lose without bound, or is uncovered, has another rule."""
    legs = [
        OptionLeg(quantity=leg.quantity, is_call=leg.is_call, strike=90 + SPREAD * leg.place)
        for leg in each.legs
    ]
    loss = payoff(legs, cost=0.0, shares=each.shares).max_loss

    if each.margin == "short_pair":
        assert loss is None
    if each.margin in {"defined_risk", "paid", "covered_call", "collar"}:
        assert loss is not None
        assert math.isfinite(loss)


def test_calendars_sell_the_first_expiry_and_buy_the_next() -> None:
    """One of each, at one strike, of one right."""
    for each in STRATEGY_TYPES:
        if each.spans_expiries:
            first, second = each.legs
            assert (first.quantity, first.later, second.quantity, second.later) == (-1, False, 1, True)
            assert (first.right, first.place) == (second.right, second.place)
