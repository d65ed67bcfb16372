"""Chances under one lognormal law: real quotes of GOOG on 2015-12-24, and sums over many prices."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.payoff import payoffs
from analytics.probability import Lognormal, mean_payoffs, probability_below, profit_probability
from tests.support.one_payoff import OptionLeg, combination

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEGS = st.lists(
    st.builds(
        OptionLeg,
        quantity=st.integers(-3, 3).filter(bool).map(float),
        is_call=st.booleans(),
        strike=st.integers(60, 140).map(float),
    ),
    min_size=1,
    max_size=4,
)


def law(forward: float = 748.525, volatility: float = 0.184, years: float = 22.125 / 365) -> Lognormal:
    """Return the law of one row."""
    return Lognormal.of(
        forward=np.array([forward]), volatility=np.array([volatility]), years=np.array([years])
    )


def call(quantity: float, strike: float) -> OptionLeg:
    """Return a call."""
    return OptionLeg(quantity=quantity, is_call=True, strike=strike)


def put(quantity: float, strike: float) -> OptionLeg:
    """Return a put."""
    return OptionLeg(quantity=quantity, is_call=False, strike=strike)


@pytest.mark.parametrize(
    ("legs", "shares", "cost", "pop"),
    [
        pytest.param([call(1, 740), call(-1, 760)], 0, 10.70, 0.4655, id="bull-call"),
        pytest.param([put(-1, 740), put(1, 720)], 0, -5.00, 0.6480, id="bull-put"),
        pytest.param([call(1, 750), put(1, 750)], 0, 26.70, 0.4324, id="long-straddle"),
        pytest.param(
            [put(1, 720), put(-1, 740), call(-1, 760), call(1, 780)], 0, -10.25, 0.4483, id="iron-condor"
        ),
        pytest.param([call(1, 740), call(-2, 750), call(1, 760)], 0, 2.10, 0.1835, id="butterfly"),
        pytest.param([call(-1, 760)], 1, 740.68, 0.5831, id="covered-call"),
        pytest.param([put(-1, 740)], 0, -9.40, 0.6958, id="cash-secured-put"),
        pytest.param([put(-1, 720), call(-1, 780)], 0, -6.30, 0.7146, id="short-strangle"),
    ],
)
def test_probability_of_profit_of_real_quotes(
    legs: list[OptionLeg], shares: float, cost: float, pop: float
) -> None:
    """Natural prices, the forward and the volatility at the money of 2016-01-15."""
    table = payoffs(combination(legs, cost=cost, shares=shares))

    assert profit_probability(table, law())[0] == pytest.approx(pop, abs=0.002)


@given(legs=LEGS, cost=st.integers(-2_000, 2_000).map(lambda n: n / 100), shares=st.sampled_from([-1, 0, 1]))
def test_probability_of_profit_is_that_of_all_prices_at_a_profit(
    legs: list[OptionLeg], cost: float, shares: float
) -> None:
    """Counted over 20,000 equally likely prices."""
    likely = law(forward=101.0, volatility=0.3, years=0.5)
    ranks = (np.arange(20_000) + 0.5) / 20_000
    normal = np.array([NormalDist().inv_cdf(rank) for rank in ranks[::100]])
    normal = np.interp(ranks, ranks[::100], normal)
    deviation = 0.3 * math.sqrt(0.5)
    prices = 101.0 * np.exp(deviation * normal - deviation**2 / 2)
    paid = sum(
        leg.quantity * np.maximum(prices - leg.strike if leg.is_call else leg.strike - prices, 0)
        for leg in legs
    )
    table = payoffs(combination(legs, cost=cost, shares=shares))
    counted = float(np.mean(paid + shares * prices - cost > 1e-9))

    assert profit_probability(table, likely)[0] == pytest.approx(counted, abs=0.006)


def test_a_touching_zero_takes_no_probability_away() -> None:
    """A butterfly bought for nothing gains only between its outer strikes."""
    table = payoffs(combination([call(1, 740), call(-2, 750), call(1, 760)], cost=0.0))
    below = probability_below(
        Lognormal(
            **{name: np.repeat(getattr(law(), name), 2) for name in ("forward", "volatility", "years")}
        ),
        np.array([740.0, 760.0]),
    )

    assert profit_probability(table, law())[0] == pytest.approx(below[1] - below[0])


def test_without_time_all_probability_is_at_the_forward() -> None:
    """A call below it gains, one above it does not."""
    point = law(forward=100.0, years=0.0)

    assert profit_probability(payoffs(combination([call(1, 90)], cost=1.0)), point)[0] == 1.0
    assert profit_probability(payoffs(combination([call(1, 110)], cost=1.0)), point)[0] == 0.0


def test_mean_payoffs_of_put_and_call_differ_by_the_forward_less_the_strike() -> None:
    """And are those of the law: 101 · Φ(d₁) − 95 · Φ(d₂)."""
    one = law(forward=101.0, volatility=0.3, years=0.5)
    two = one.take(np.array([0, 0]))
    called, put_ = mean_payoffs(np.array([95.0, 95.0]), np.array([True, False]), two)
    deviation = 0.3 * math.sqrt(0.5)
    upper = math.log(101 / 95) / deviation + deviation / 2

    assert called - put_ == pytest.approx(6.0)
    assert called == pytest.approx(101 * NormalDist().cdf(upper) - 95 * NormalDist().cdf(upper - deviation))


@given(legs=st.lists(st.builds(OptionLeg, quantity=FINITE, is_call=st.booleans(), strike=FINITE), max_size=4), cost=FINITE, shares=FINITE, forward=FINITE, volatility=FINITE, years=FINITE)  # fmt: skip
def test_no_finite_input_ends_in_nan(
    legs: list[OptionLeg], cost: float, shares: float, forward: float, volatility: float, years: float
) -> None:
    """Nor in an exception, nor beyond [0, 1]."""
    table = payoffs(combination(legs, cost=cost, shares=shares))
    found = profit_probability(table, law(forward, volatility, years))[0]
    mean = mean_payoffs(np.array([cost]), np.array([True]), law(forward, volatility, years))[0]

    assert 0 <= found <= 1
    assert math.isfinite(mean)
