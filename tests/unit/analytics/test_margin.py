"""Margins of real quotes, of GOOG on 2015-12-24, and what must hold between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.margin import (
    cash_secured_margin,
    covered_call_margin,
    defined_risk_margin,
    paid_margin,
    short_option_margin,
    short_pair_margin,
)

SPOT = 748.24
USD = st.floats(0.01, 5_000)


def uncovered(
    strike: float, premium: float, *, is_call: bool, spot: float = SPOT, broad: bool = False
) -> float:
    """Return the margin of one short option."""
    found = short_option_margin(
        is_call=np.array([is_call]),
        strike=np.array([strike]),
        premium=np.array([premium]),
        spot=spot,
        is_broad_index=broad,
    )
    return float(found[0])


def pair(put: tuple[float, float], call: tuple[float, float], spot: float = SPOT) -> float:
    """Return the margin of a short put and a short call, each as (strike, premium)."""
    (put_strike, put_premium), (call_strike, call_premium) = (np.array([put]).T, np.array([call]).T)
    found = short_pair_margin(
        put_strike=put_strike,
        put_premium=put_premium,
        call_strike=call_strike,
        call_premium=call_premium,
        spot=spot,
    )
    return float(found[0])


def test_short_options_of_real_quotes() -> None:
    """740 put at 9.40 and 760 call at 7.70 with GOOG at 748.24: 15,080.80 and 14,558.80 USD a contract."""
    assert uncovered(740, 9.4, is_call=False) == pytest.approx(150.808)
    assert uncovered(760, 7.7, is_call=True) == pytest.approx(145.588)


def test_far_out_of_the_money_the_least_share_holds() -> None:
    """10 % of the strike for a put, of the underlying for a call."""
    assert uncovered(400, 0.05, is_call=False) == pytest.approx(0.05 + 40.0)
    assert uncovered(1_500, 0.05, is_call=True) == pytest.approx(0.05 + 74.824)


def test_a_broad_index_needs_less() -> None:
    """15 % instead of 20 %."""
    assert uncovered(750, 12.2, is_call=True) - uncovered(
        750, 12.2, is_call=True, broad=True
    ) == pytest.approx(0.05 * SPOT)


def test_a_short_strangle_needs_its_greater_side_and_the_other_premium() -> None:
    """720 put at 4.10 (125.508) and 780 call at 2.20 (120.088): the put's and 2.20."""
    assert pair((720, 4.1), (780, 2.2)) == pytest.approx(125.508 + 2.2)
    assert pair((600, 0.1), (760, 7.7)) == pytest.approx(145.588 + 0.1)


@given(put=st.tuples(USD, USD), call=st.tuples(USD, USD), spot=USD)
def test_a_pair_needs_less_than_its_sides_apart_and_more_than_either(
    put: tuple[float, float], call: tuple[float, float], spot: float
) -> None:
    """Only one of the two can end in the money."""
    sides = [uncovered(*put, is_call=False, spot=spot), uncovered(*call, is_call=True, spot=spot)]

    assert max(sides) <= pair(put, call, spot) <= sum(sides)


def test_what_is_covered_or_limited() -> None:
    """Half of the shares, the strike, the loss, the cost; nothing is ever owed by the broker."""
    assert covered_call_margin(SPOT, 2).tolist() == [374.12, 374.12]
    assert cash_secured_margin(np.array([740.0])).tolist() == [740.0]
    assert defined_risk_margin(np.array([-9.75, 0.2, 0.0])).tolist() == [9.75, 0.0, 0.0]
    assert paid_margin(np.array([26.7, -1.0])).tolist() == [26.7, 0.0]
