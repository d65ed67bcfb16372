"""The simulator's own pricing: known values, and volatilities that come back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.market.black_prices import RATE, black_greeks, black_price, implied_vol

NUMBERS = st.floats(0.05, 2.0)
STEP = 1e-4


def test_known_prices() -> None:
    """S 100, K 100, a year, 25 %: the formula's values at 2 %, from tables of the normal distribution."""
    assert black_price(100, 100, 1.0, 0.25, is_call=True) == pytest.approx(10.8706, abs=2e-3)
    assert black_price(100, 100, 1.0, 0.25, is_call=False) == pytest.approx(8.8904, abs=2e-3)


@given(vol=NUMBERS, years=st.floats(0.01, 2.0), strike=st.floats(70.0, 140.0), is_call=st.booleans())
def test_a_volatility_comes_back_where_there_is_time_value(
    vol: float, years: float, strike: float, is_call: bool
) -> None:
    """Or it is refused, never wrong: its price is the price that was asked about."""
    price = black_price(100.0, strike, years, vol, is_call=is_call)
    found = implied_vol(price, 100.0, strike, years, is_call=is_call)
    if found is not None:
        assert black_price(100.0, strike, years, found, is_call=is_call) == pytest.approx(price, abs=1e-6)
    else:
        assert price < 0.01 or price < abs(100.0 - strike) + 100.0 * RATE * years + 0.01


@pytest.mark.parametrize("price", [0.0, 19.0, 20.0, 100.5])
def test_a_price_without_time_value_or_above_all_has_none(price: float) -> None:
    """Below what exercise gives, at it, above the share."""
    assert implied_vol(price, 100.0, 80.0, 0.25, is_call=True) is None


def test_an_expired_contract_has_none() -> None:
    """No time, no volatility."""
    assert implied_vol(5.0, 100.0, 100.0, 0.0, is_call=True) is None


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_are_the_slopes_of_the_price(is_call: bool) -> None:
    """Against differences of prices; theta a day, vega a point."""
    spot, strike, years, vol = 100.0, 105.0, 0.4, 0.3
    greeks = black_greeks(spot, strike, years, vol, is_call=is_call)

    def price(spot: float = spot, years: float = years, vol: float = vol) -> float:
        return black_price(spot, strike, years, vol, is_call=is_call)

    up, down = price(spot + STEP), price(spot - STEP)
    assert greeks.delta == pytest.approx((up - down) / (2 * STEP), abs=1e-6)
    up, middle, down = price(spot + 0.01), price(), price(spot - 0.01)
    assert greeks.gamma == pytest.approx((up - 2 * middle + down) / 0.01**2, abs=1e-4)
    assert greeks.vega == pytest.approx(
        (price(vol=vol + STEP) - price(vol=vol - STEP)) / (2 * STEP) / 100, abs=1e-5
    )
    later = (price(years=years - STEP) - price(years=years + STEP)) / (2 * STEP) / 365
    assert greeks.theta == pytest.approx(later, abs=1e-5)


def test_prices_rise_with_volatility() -> None:
    """Both rights."""
    for is_call in (True, False):
        prices = [black_price(100.0, 120.0, 0.5, vol / 10, is_call=is_call) for vol in range(1, 20)]
        assert all(low < high for low, high in pairwise(prices))
