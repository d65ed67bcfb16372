"""Valued candidates: as the payoff of each alone, entry at natural prices, greeks of what is held, and finite always."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.enumeration import ChainColumns, Enumerated, Selection, enumerated
from analytics.strategy_types import STRATEGY_TYPES
from analytics.valuation import ExpiryColumns, Underlying, Valued, valued
from tests.support.one_payoff import OptionLeg, payoff
from tests.support.strategy_chains import RATE, SPOT, priced_chain

QUOTED = Underlying(price=SPOT, bid=SPOT - 0.02, ask=SPOT + 0.02)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def everything(
    chain: ChainColumns, expiries: ExpiryColumns, underlying: Underlying = QUOTED
) -> tuple[Enumerated, Valued]:
    """Return all candidates of a chain and their values."""
    found = enumerated(chain, Selection())
    return found, valued(chain, expiries, underlying, found)


def row_of(chain: ChainColumns, found: Enumerated, kind: str, *names: str) -> int:
    """Return the row of a candidate by its type and contracts."""
    for row, (number, legs) in enumerate(zip(found.types, found.legs, strict=True)):
        if (
            STRATEGY_TYPES[number].name == kind
            and tuple(chain.names[leg] for leg in legs if leg >= 0) == names
        ):
            return row
    raise AssertionError(f"no {kind} of {names}")


def test_each_is_valued_as_it_would_be_alone() -> None:
    """Cost, extremes and breakevens of every candidate within one expiry."""
    chain, expiries = priced_chain()
    found, values = everything(chain, expiries)

    for row, (number, rows) in enumerate(zip(found.types, found.legs, strict=True)):
        kind = STRATEGY_TYPES[number]
        if kind.spans_expiries:
            continue
        legs = list(zip(kind.legs, rows, strict=False))
        cost = sum(leg.quantity * (chain.asks if leg.quantity > 0 else chain.bids)[at] for leg, at in legs)
        cost += kind.shares * 100.02
        held = [
            OptionLeg(quantity=leg.quantity, is_call=leg.is_call, strike=float(chain.strikes[at]))
            for leg, at in legs
        ]
        alone = payoff(held, cost=cost, shares=kind.shares)
        breakevens = values.outcomes.breakevens[row]
        assert values.cost[row] == pytest.approx(cost)
        assert values.outcomes.max_profit[row] == pytest.approx(
            np.inf if alone.max_profit is None else alone.max_profit
        )
        assert values.outcomes.max_loss[row] == pytest.approx(
            -np.inf if alone.max_loss is None else alone.max_loss
        )
        assert breakevens[np.isfinite(breakevens)] == pytest.approx(alone.breakevens)


def test_at_mid_prices_nothing_is_gained_on_average() -> None:
    """Prices of the model are its discounted means: without a spread every strategy is worth what it costs.

    Of calendar spreads the later put may also be exercised, which is more.
    """
    chain, expiries = priced_chain(half_spread=0.0)
    found, values = everything(chain, expiries, Underlying(price=SPOT))
    spanning = np.array([STRATEGY_TYPES[kind].spans_expiries for kind in found.types])

    assert values.cost == pytest.approx(values.mid_cost)
    assert values.expected[~spanning] == pytest.approx(np.zeros((~spanning).sum()), abs=1e-9)
    assert values.expected[spanning] == pytest.approx(np.zeros(spanning.sum()), abs=0.1)


def test_natural_prices_cost_half_of_every_spread() -> None:
    """0.05 a contract, 0.02 a share."""
    chain, expiries = priced_chain((100, 105), days=(30,))
    found, values = everything(chain, expiries)
    spread = values.cost - values.mid_cost

    assert spread[row_of(chain, found, "long_call", "30C100")] == pytest.approx(0.05)
    assert spread[row_of(chain, found, "bull_call_spread", "30C100", "30C105")] == pytest.approx(0.10)
    assert spread[row_of(chain, found, "collar", "30P100", "30C105")] == pytest.approx(0.12)


def test_greeks_are_of_all_that_is_held() -> None:
    """Quantity times greek, the share's delta of 1, times 100."""
    chain, expiries = priced_chain()
    found, values = everything(chain, expiries)
    at, of = chain.names.index, chain.greeks

    butterfly = values.greeks[row_of(chain, found, "call_butterfly", "30C95", "30C100", "30C105")]
    covered = values.greeks[row_of(chain, found, "covered_call", "60C105")]

    assert butterfly == pytest.approx(100 * (of[at("30C95")] - 2 * of[at("30C100")] + of[at("30C105")]))
    assert covered == pytest.approx(100 * (np.array([1.0, 0, 0, 0, 0]) - of[at("60C105")]))


def test_margins_follow_the_rule_of_the_type() -> None:
    """Premium and a fifth for what is uncovered, the loss of what is limited, half of shares, the strike, the cost."""
    chain, expiries = priced_chain()
    found, values = everything(chain, expiries)
    bid, ask = (dict(zip(chain.names, side, strict=True)) for side in (chain.bids, chain.asks))

    def margin(kind: str, *names: str) -> float:
        return float(values.margin[row_of(chain, found, kind, *names)])

    call_side, put_side = bid["30C105"] + 20 - 5, bid["30P95"] + 20 - 5
    greater = max(call_side + bid["30P95"], put_side + bid["30C105"])
    assert margin("short_strangle", "30P95", "30C105") == pytest.approx(greater)
    assert margin("bull_put_spread", "30P95", "30P100") == pytest.approx(5 + ask["30P95"] - bid["30P100"])
    assert margin("covered_call", "30C105") == pytest.approx(50)
    assert margin("collar", "30P95", "30C105") == pytest.approx(50 + ask["30P95"])
    assert margin("cash_secured_put", "30P95") == pytest.approx(95)
    assert margin("long_straddle", "30P100", "30C100") == pytest.approx(ask["30P100"] + ask["30C100"])


def test_the_score_is_probability_and_value_less_spread_a_unit_of_risk() -> None:
    """Risk is the loss; where that is unbounded, the margin."""
    chain, expiries = priced_chain()
    found, values = everything(chain, expiries)
    for kind, names in (("bull_put_spread", ("30P95", "30P100")), ("short_strangle", ("30P95", "30C105"))):
        row = row_of(chain, found, kind, *names)
        risk = values.margin[row]
        spread = values.cost[row] - values.mid_cost[row]
        expected = values.outcomes.pop[row] + values.expected[row] / risk - 0.5 * spread / risk
        assert values.score[row] == pytest.approx(expected)


def test_an_expiry_without_a_forward_has_no_scores() -> None:
    """The others keep theirs."""
    chain, expiries = priced_chain()
    found, values = everything(chain, replace(expiries, forwards=np.array([np.nan, expiries.forwards[1]])))

    assert np.isnan(values.score[found.expiries == 0]).all()
    assert np.isfinite(values.score[found.expiries == 1]).all()
    assert expiries.rates[0] == RATE


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([1e-200, 1e-6, 1.0, 1e8, 1e200]),
    spot=FINITE,
    forward=FINITE,
    volatility=FINITE,
    rate=FINITE,
)
def test_no_finite_input_ends_in_nan(
    scale: float, spot: float, forward: float, volatility: float, rate: float
) -> None:
    """Nor in an exception: prices and strikes of any size, any rate and volatility."""
    chain, expiries = priced_chain((95, 100, 105))
    chain = replace(chain, strikes=chain.strikes * scale, bids=chain.bids * scale, asks=chain.asks * scale)
    expiries = replace(
        expiries,
        forwards=np.full(2, forward),
        volatilities=np.full(2, volatility),
        rates=np.full(2, rate),
        years=np.array([0.0, 1e9]),
    )
    _, values = everything(chain, expiries, Underlying(price=spot))

    for name in ("cost", "mid_cost", "expected", "margin", "greeks", "score"):
        assert np.isfinite(getattr(values, name)).all(), name
    assert not np.isnan(values.outcomes.max_loss).any()
