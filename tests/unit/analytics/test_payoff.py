"""Payoffs at expiry: real quotes of GOOG on 2015-12-24, and the laws of piecewise linear functions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.payoff import payoffs
from tests.support.one_payoff import OptionLeg, Payoff, combination, payoff

Legs = list[OptionLeg]
STRIKES = st.integers(2, 40).map(lambda n: n * 2.5)
LEGS = st.lists(
    st.builds(
        OptionLeg, quantity=st.integers(-3, 3).filter(bool).map(float), is_call=st.booleans(), strike=STRIKES
    ),
    min_size=1,
    max_size=5,
)
SHARES = st.sampled_from([-1.0, 0.0, 0.0, 1.0])
CENTS = st.integers(-4_000, 4_000).map(lambda n: n / 100)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def call(quantity: float, strike: float) -> OptionLeg:
    """Return a call."""
    return OptionLeg(quantity=quantity, is_call=True, strike=strike)


def put(quantity: float, strike: float) -> OptionLeg:
    """Return a put."""
    return OptionLeg(quantity=quantity, is_call=False, strike=strike)


def worth(legs: Legs, *, cost: float, shares: float, price: float) -> float:
    """Return the payoff at one price, by its definition."""
    options = sum(
        leg.quantity * max(price - leg.strike if leg.is_call else leg.strike - price, 0) for leg in legs
    )
    return options + shares * price - cost


# Sold at the bid, bought at the ask: 720P 4.1/4.4, 740C 18.1/18.4, 740P 9.4/9.9, 750C 12.2/12.6, 750P 13.6/14.1,
# 760C 7.7/8.1, 780C 2.2/2.45, shares 748.38.
REAL = [
    pytest.param([call(1, 740), call(-1, 760)], 0, 10.70, 9.30, -10.70, (750.70,), id="bull-call"),
    pytest.param([put(-1, 740), put(1, 720)], 0, -5.00, 5.00, -15.00, (735.00,), id="bull-put"),
    pytest.param([call(1, 750), put(1, 750)], 0, 26.70, None, -26.70, (723.30, 776.70), id="long-straddle"),
    pytest.param(
        [put(1, 720), put(-1, 740), call(-1, 760), call(1, 780)],
        0, -10.25, 10.25, -9.75, (729.75, 770.25), id="iron-condor",
    ),
    pytest.param([call(1, 740), call(-2, 750), call(1, 760)], 0, 2.10, 7.90, -2.10, (742.10, 757.90), id="butterfly"),
    pytest.param([call(-1, 760)], 1, 740.68, 19.32, -740.68, (740.68,), id="covered-call"),
    pytest.param([put(-1, 740)], 0, -9.40, 9.40, -730.60, (730.60,), id="cash-secured-put"),
    pytest.param([put(-1, 720), call(-1, 780)], 0, -6.30, 6.30, None, (713.70, 786.30), id="short-strangle"),
]  # fmt: skip


@pytest.mark.parametrize(("legs", "shares", "cost", "profit", "loss", "breakevens"), REAL)
def test_payoffs_of_real_quotes(
    legs: Legs,
    shares: float,
    cost: float,
    profit: float | None,
    loss: float | None,
    breakevens: tuple[float, ...],
) -> None:
    """To the cent; None is unbounded."""
    found = payoff(legs, cost=cost, shares=shares)

    assert found.breakevens == pytest.approx(breakevens)
    assert (found.profit_unbounded, found.loss_unbounded) == (profit is None, loss is None)
    assert found.max_profit == (profit if profit is None else pytest.approx(profit))
    assert found.max_loss == (loss if loss is None else pytest.approx(loss))


@given(legs=LEGS, shares=SHARES, cost=CENTS, price=st.floats(0, 300))
def test_no_price_pays_more_than_the_most_or_less_than_the_least(
    legs: Legs, shares: float, cost: float, price: float
) -> None:
    """And what is not bounded is really not."""
    found = payoff(legs, cost=cost, shares=shares)
    here, far = (worth(legs, cost=cost, shares=shares, price=at) for at in (price, 1e9))

    assert found.max_profit is None or here <= found.max_profit + 1e-9
    assert found.max_loss is None or here >= found.max_loss - 1e-9
    assert (far > 1e8) == found.profit_unbounded
    assert (far < -1e8) == found.loss_unbounded


@given(legs=LEGS, shares=SHARES, cost=CENTS)
def test_breakevens_are_all_the_zeros(legs: Legs, shares: float, cost: float) -> None:
    """Each is one, in order; between two of them, and beyond the last, the sign is one only."""
    found = payoff(legs, cost=cost, shares=shares)
    edges = [0.0, *found.breakevens, 10_000.0]

    for price in found.breakevens:
        assert worth(legs, cost=cost, shares=shares, price=price) == pytest.approx(0, abs=1e-9)
    assert list(found.breakevens) == sorted(set(found.breakevens))
    for low, high in pairwise(edges):
        inside = [
            worth(legs, cost=cost, shares=shares, price=low + (high - low) * n / 64) for n in range(1, 64)
        ]
        signs = {0 if abs(each) < 1e-7 else math.copysign(1, each) for each in inside}
        assert not {1, -1} <= signs


@given(legs=LEGS, shares=SHARES, cost=CENTS, seed=st.randoms(use_true_random=False), times=st.integers(1, 9))
def test_order_of_legs_changes_nothing_and_scaling_only_the_scale(
    legs: Legs, shares: float, cost: float, seed: object, times: int
) -> None:
    """Whatever was held is held n times."""
    shuffled = list(legs)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one = payoff(legs, cost=cost, shares=shares)
    scaled = payoff(
        [replace(leg, quantity=leg.quantity * times) for leg in shuffled],
        cost=cost * times,
        shares=shares * times,
    )

    assert scaled.breakevens == pytest.approx(one.breakevens, abs=1e-9)
    assert len(scaled.zero_stretches) == len(one.zero_stretches)
    for name in ("max_profit", "max_loss"):
        before, after = getattr(one, name), getattr(scaled, name)
        assert after == (before if before is None else pytest.approx(before * times, abs=1e-7))


@given(low=STRIKES, width=st.integers(1, 20), cost=CENTS)
def test_a_box_spread_pays_the_same_everywhere(low: float, width: int, cost: float) -> None:
    """The width of its strikes less its cost."""
    high = low + width
    found = payoff([call(1, low), call(-1, high), put(-1, low), put(1, high)], cost=cost)

    assert found.max_profit == pytest.approx(width - cost)
    assert found.max_loss == pytest.approx(width - cost)


@given(strike=STRIKES, cost=CENTS)
def test_shares_with_a_put_and_without_a_call_are_flat(strike: float, cost: float) -> None:
    """Put-call parity: shares + put − call is the strike, wherever the price ends."""
    found = payoff([put(1, strike), call(-1, strike)], cost=cost, shares=1)

    assert (found.max_profit, found.max_loss) == (pytest.approx(strike - cost), pytest.approx(strike - cost))


@pytest.mark.parametrize(
    ("legs", "cost", "shares", "breakevens", "stretches"),
    [
        pytest.param([call(1, 50)], 0.0, 0, (50,), ((0, 50),), id="a-free-call"),
        pytest.param([call(1, 40), call(-2, 50), call(1, 60)], 0.0, 0, (40, 60), ((0, 40), (60, None)), id="a-free-butterfly"),
        pytest.param([put(1, 50)], 0.0, 0, (50,), ((50, None),), id="a-free-put"),
        pytest.param(
            [put(1, 30), put(-1, 30), call(2, 40), call(-1, 40), call(-2, 50), call(1, 60)],
            0.0, 0, (40, 60), ((0, 40), (60, None)), id="strikes-inside-a-stretch",
        ),
        pytest.param([call(-1, 50), put(-1, 50)], -10.0, 0, (40, 60), (), id="crossings"),
        pytest.param([call(1, 40), call(-2, 50), call(1, 60)], 10.0, 0, (50,), (), id="a-touching-top-counts-once"),
        pytest.param([call(1, 50), put(-1, 50)], 50.0, -1, (), ((0, None),), id="a-parity-that-costs-its-strike"),
        pytest.param(
            [call(0.1, 50), call(0.2, 50), call(-0.3, 50), put(1, 40)], 0.0, 0, (40,), ((40, None),), id="rounding"
        ),
        pytest.param([], 0.0, 1, (), (), id="shares-for-nothing"),
        pytest.param([], 5.0, 0, (), (), id="nothing-for-money"),
    ],
)  # fmt: skip
def test_stretches_at_zero_are_told_by_their_ends(
    legs: Legs,
    cost: float,
    shares: float,
    breakevens: tuple[float, ...],
    stretches: tuple[tuple[float, float | None], ...],
) -> None:
    """A zero at a strike counts once, a stretch by its ends, and 0 itself is no breakeven."""
    found = payoff(legs, cost=-50.0 if shares == -1 else cost, shares=shares)

    assert (found.breakevens, found.zero_stretches) == (breakevens, stretches)


@given(legs=st.lists(st.builds(OptionLeg, quantity=FINITE, is_call=st.booleans(), strike=FINITE), max_size=4), cost=FINITE, shares=FINITE)  # fmt: skip
def test_no_finite_input_ends_in_nan(legs: Legs, cost: float, shares: float) -> None:
    """Nor in an exception."""
    found: Payoff = payoff(legs, cost=cost, shares=shares)

    told = [found.max_profit, found.max_loss, *found.breakevens]
    assert all(each is None or math.isfinite(each) for each in told)


@given(rows=st.lists(st.tuples(LEGS, CENTS, SHARES), min_size=2, max_size=5))
def test_many_at_once_are_as_each_alone(rows: list[tuple[Legs, float, float]]) -> None:
    """Rows do not touch each other; a leg of quantity 0 is none."""
    columns = max(len(legs) for legs, _, _ in rows)
    padded = [[*legs, *[call(0, 70)] * (columns - len(legs))] for legs, _, _ in rows]
    tables = [
        combination(legs, cost=cost, shares=shares)
        for legs, (_, cost, shares) in zip(padded, rows, strict=True)
    ]
    together = payoffs(
        type(tables[0])(
            **{
                name: np.concatenate([getattr(each, name) for each in tables])
                for name in ("quantities", "is_call", "strikes", "shares", "cost")
            }
        )
    )

    for row, (legs, cost, shares) in enumerate(rows):
        alone = payoffs(combination(legs, cost=cost, shares=shares))
        assert together.max_profit[row] == pytest.approx(alone.max_profit[0])
        assert together.max_loss[row] == pytest.approx(alone.max_loss[0])
        finite = together.breakevens[row][np.isfinite(together.breakevens[row])]
        assert finite == pytest.approx(alone.breakevens[0][np.isfinite(alone.breakevens[0])])
