"""Calendar spreads by model: the strike is best, what was paid can be lost, and the mean is that of the law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.black import Legs, european_prices
from analytics.calendar_spreads import POINTS, CalendarSpreads, calendar_payoffs, mean_calendar_payoff
from analytics.payoff import PayoffTable
from analytics.probability import Lognormal, profit_probability

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def law(forward: float, volatility: float, years: float) -> Lognormal:
    """Return the law of one row."""
    return Lognormal.of(
        forward=np.array([forward]), volatility=np.array([volatility]), years=np.array([years])
    )


def spread(**changes: float) -> CalendarSpreads:
    """Return one calendar spread: 100 calls of 30 and 90 days, volatility 25 %, no rate, paid 2.00."""
    given_ = {
        "strike": 100.0,
        "cost": 2.0,
        "forward": 100.0,
        "far_forward": 100.0,
        "volatility": 0.25,
        "rate": 0.0,
    }
    given_ |= {"near": 30 / 365, "far": 90 / 365, "is_call": 1.0} | changes
    return CalendarSpreads(
        strikes=np.array([given_["strike"]]),
        is_call=np.array([bool(given_["is_call"])]),
        cost=np.array([given_["cost"]]),
        near=law(given_["forward"], given_["volatility"], given_["near"]),
        far=law(given_["far_forward"], given_["volatility"], given_["far"]),
        volatility=np.array([given_["volatility"]]),
        rate=np.array([given_["rate"]]),
    )


def test_it_gains_most_at_its_strike() -> None:
    """There the first option pays nothing and the second is worth most over what exercise pays."""
    table = calendar_payoffs(spread())
    at_strike = european_prices(
        Legs.of(spot=100, strike=100, years=60 / 365, rate=0, dividend_yield=0, is_call=True), 0.25
    )[0]

    assert table.knots.shape == (1, POINTS)
    assert table.max_profit[0] == pytest.approx(at_strike - 2.0)
    assert table.knots[0, POINTS // 2] == pytest.approx(100.0)
    assert table.max_loss[0] == pytest.approx(-2.0, abs=1e-3)


def test_breakevens_lie_on_both_sides_and_bound_the_profit() -> None:
    """Where the model says the second option is worth what was paid over the first."""
    table = calendar_payoffs(spread())
    low, high = table.breakevens[0]
    worth = european_prices(
        Legs.of(spot=[low, high], strike=100, years=60 / 365, rate=0, dividend_yield=0, is_call=True), 0.25
    ) - np.maximum(np.array([low, high]) - 100, 0)

    assert low < 100 < high
    assert worth == pytest.approx([2.0, 2.0], abs=2e-3)
    assert 0.3 < profit_probability(table, law(100, 0.25, 30 / 365))[0] < 0.7


def test_a_fairly_paid_spread_gains_nothing_on_average() -> None:
    """Without rates the mean at the first expiry is the price of the second option less that of the first."""
    legs = Legs.of(
        spot=100, strike=105, years=[30 / 365, 90 / 365], rate=0, dividend_yield=0, is_call=[True, True]
    )
    near, far = european_prices(legs, 0.25)
    table = calendar_payoffs(spread(strike=105.0, cost=far - near))

    assert mean_calendar_payoff(table, law(100, 0.25, 30 / 365))[0] == pytest.approx(0.0, abs=0.005)


def test_the_later_option_keeps_its_forward_and_is_never_below_exercise() -> None:
    """A put whose forward falls by 20 % until the second expiry is worth more than one whose forward stays."""
    falls, stays = (
        calendar_payoffs(spread(is_call=0.0, far_forward=forward)).values[0] for forward in (80.0, 100.0)
    )

    assert (falls >= stays - 1e-9).all()
    assert (falls - stays).max() > 5
    assert calendar_payoffs(spread(is_call=0.0, far_forward=120.0)).max_loss[0] >= -2.0


def test_many_are_as_each_alone() -> None:
    """Also beyond the rows that are looked at in one go."""
    one = spread()
    many = CalendarSpreads(
        strikes=np.full(600, 100.0),
        is_call=np.ones(600, dtype=np.bool_),
        cost=np.full(600, 2.0),
        near=one.near.take(np.zeros(600, dtype=np.intp)),
        far=one.far.take(np.zeros(600, dtype=np.intp)),
        volatility=np.full(600, 0.25),
        rate=np.zeros(600),
    )
    table, alone = calendar_payoffs(many), calendar_payoffs(one)

    assert (table.max_profit == alone.max_profit[0]).all()
    assert (table.breakevens == alone.breakevens[0]).all()


@given(st.fixed_dictionaries(dict.fromkeys(("strike", "cost", "forward", "far_forward", "volatility", "rate", "near", "far"), FINITE)))  # fmt: skip
def test_no_finite_input_ends_in_nan(changes: dict[str, float]) -> None:
    """Nor in an exception."""
    one = spread(**changes)
    table: PayoffTable = calendar_payoffs(one)
    told = [table.max_profit[0], table.max_loss[0], mean_calendar_payoff(table, one.near)[0]]

    assert all(math.isfinite(each) for each in told)
