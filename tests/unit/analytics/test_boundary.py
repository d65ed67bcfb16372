"""Exercise boundaries and the premiums that follow, against published and limiting values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.boundary import BLOCK, Puts, premiums, quadrature

FINE = quadrature(10, 20, 10, 41)
USUAL = quadrature(5, 7, 4, 12)


def puts(log_spot: float | list[float], years: float, rate: float, dividend_yield: float, vol: float) -> Puts:
    """Return puts that differ in their spot alone."""
    spots = np.atleast_1d(np.array(log_spot, np.float64))
    return Puts(spots, *(np.full(len(spots), each) for each in (years, rate, dividend_yield, vol)))


def test_the_published_premium() -> None:
    """Andersen, Lake and Offengenden's own example: S = K = 100, a year, r = q = 5 %, σ = 25 %: 0.1069527."""
    at_the_money = puts(0.0, 1.0, 0.05, 0.05, 0.25)

    assert 100.0 * premiums(at_the_money, FINE).value[0] == pytest.approx(0.1069527, abs=2e-5)
    assert 100.0 * premiums(at_the_money, USUAL).value[0] == pytest.approx(0.1069527, abs=4e-4)


def test_a_put_of_forty_years_is_exercised_where_a_perpetual_one_is() -> None:
    """Without a yield at K/(1 + σ²/2r), (Merton, Theory of rational option pricing, 1973)."""
    rate, vol = 0.08, 0.3
    perpetual = np.log(1.0 / (1.0 + vol * vol / (2.0 * rate)))
    around = premiums(puts([perpetual - 0.01, perpetual + 0.03], 40.0, rate, 0.0, vol), FINE)

    assert around.is_exercised.tolist() == [True, False]


@given(
    log_spot=st.floats(-0.1, 0.6),
    years=st.floats(0.02, 3.0),
    rate=st.floats(0.01, 0.1),
    dividend_yield=st.floats(0.0, 0.1),
    vol=st.floats(0.1, 0.8),
)
def test_derivatives_are_those_of_the_value(
    log_spot: float, years: float, rate: float, dividend_yield: float, vol: float
) -> None:
    """By central differences, as far as single precision goes."""
    spot, step = np.exp(log_spot), 0.01
    three = np.log([spot - step, spot, spot + step]).tolist()
    found = premiums(puts(three, years, rate, dividend_yield, vol), USUAL)
    if found.is_exercised.any():
        return
    down, here, up = found.value

    size = max(float(np.abs(found.curvature).max()), 1.0)
    assert found.slope[1] == pytest.approx((up - down) / (2 * step), abs=2e-3 * size)
    assert found.curvature[1] == pytest.approx((up - 2 * here + down) / step**2, abs=0.1 * size)


def test_each_put_has_its_own_premium() -> None:
    """Whichever block it falls into, and whatever lies beside it."""
    spots = np.linspace(-0.05, 0.4, 2 * BLOCK + 77)
    together = premiums(puts(spots.tolist(), 0.5, 0.05, 0.02, 0.3), USUAL)

    for at in (0, BLOCK - 1, BLOCK, len(spots) - 1):
        alone = premiums(puts(float(spots[at]), 0.5, 0.05, 0.02, 0.3), USUAL)
        assert alone.value[0] == pytest.approx(together.value[at], abs=1e-7)
    assert premiums(puts([], 0.5, 0.05, 0.02, 0.3), USUAL).value.shape == (0,)


def test_a_finer_rule_is_nearer() -> None:
    """To what a much finer one says, on puts of a year from deep in to far out."""
    some = puts(np.linspace(-0.1, 0.5, 60).tolist(), 1.0, 0.08, 0.02, 0.2)
    truth = premiums(some, quadrature(12, 32, 16, 61)).value

    rough, fine = (np.abs(premiums(some, by).value - truth).max() for by in (quadrature(4, 6, 3, 10), FINE))

    assert fine < rough
    assert fine < 5e-6
    assert rough < 2e-4


@given(data=st.data())
def test_nothing_within_the_bounds_overflows(data: st.DataObject) -> None:
    """Extreme rates, yields, times and volatilities in one block with each other."""
    many = 20
    column = [
        np.array(data.draw(st.lists(st.floats(low, high), min_size=many, max_size=many)))
        for low, high in ((-50.0, 50.0), (0.0, 30.0), (1e-12, 1.0), (-1.0, 1.0), (0.0, 10.0))
    ]
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        found = premiums(Puts(*column), USUAL)

    assert found.value.shape == (many,)
