"""European prices and greeks, against QuantLib's numbers and their own laws."""

from __future__ import annotations

import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.black import DAYS_PER_YEAR, Greeks, Legs, european_greeks, european_prices
from tests.support.quantlib import european_engine, vanilla

# (spot, strike, days, rate, yield, volatility, is_call), (price, delta, gamma, vega, theta, rho) of AnalyticEuropeanEngine, QuantLib 1.44
CONSTANTS = [
    ((100, 100, 365, 0.05, 0.05, 0.25, False), (9.46249260, -0.42830225, 0.01506130, 0.37653246, -0.01159872, -0.52292718)),
    ((100, 110, 365, 0.05, 0.0, 0.25, False), (12.66162139, -0.52242498, 0.01593247, 0.39831185, -0.00474984, -0.64904119)),
    ((100, 90, 30, 0.05, 0.01, 0.4, False), (0.99734913, -0.15737422, 0.02098238, 0.06898318, -0.04412751, -0.01375461)),
    ((100, 100, 365, 0.05, 0.0, 0.25, True), (12.33599893, 0.62740946, 0.01513679, 0.37841983, -0.01986437, 0.50404947)),
]  # fmt: skip
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def legs(spot: float, strike: float, days: float, rate: float, dividend_yield: float, is_call: bool) -> Legs:
    """Return one leg."""
    return Legs.of(
        spot=spot,
        strike=strike,
        years=days / DAYS_PER_YEAR,
        rate=rate,
        dividend_yield=dividend_yield,
        is_call=is_call,
    )


def numbers(greeks: Greeks) -> list[float]:
    """Return price, delta, gamma, vega, theta and rho of one leg."""
    fields = (greeks.price, greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho)
    return [float(each[0]) for each in fields]


@pytest.mark.parametrize(("given_", "expected"), CONSTANTS)
def test_published_constants(given_: tuple[float, ...], expected: tuple[float, ...]) -> None:
    """To 1e-8, in the units of this service."""
    *terms, vol, is_call = given_

    found = european_greeks(legs(*terms, is_call=bool(is_call)), vol)

    assert numbers(found) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=60)
@given(
    strike=st.floats(40.0, 250.0),
    days=st.integers(1, 1500),
    rate=st.floats(-0.03, 0.15),
    dividend_yield=st.floats(-0.03, 0.15),
    vol=st.floats(0.03, 2.5),
    is_call=st.booleans(),
)
def test_any_leg_is_priced_as_by_quantlib(
    strike: float, days: int, rate: float, dividend_yield: float, vol: float, is_call: bool
) -> None:
    """Price and greeks, to 1e-9 of the spot."""
    option = vanilla(strike, days, is_call=is_call, is_american=False)
    option.setPricingEngine(european_engine(100.0, rate, dividend_yield, vol))

    found = european_greeks(legs(100.0, strike, days, rate, dividend_yield, is_call), vol)

    expected = [
        option.NPV(), option.delta(), option.gamma(), option.vega() / 100, option.theta() / 365, option.rho() / 100,
    ]  # fmt: skip
    assert numbers(found) == pytest.approx(expected, abs=1e-7, rel=1e-9)


@given(
    spot=FINITE,
    strike=FINITE,
    years=FINITE,
    rate=FINITE,
    dividend_yield=FINITE,
    vol=FINITE,
    is_call=st.booleans(),
)
def test_every_finite_input_has_a_finite_answer(**given_: float) -> None:
    """No exception, no NaN, no infinity, and no warning of an overflow."""
    vol = given_.pop("vol")
    leg = Legs.of(**given_)

    greeks = european_greeks(leg, vol)

    assert np.isfinite(numbers(greeks)).all()
    assert np.isfinite(leg.forward()).all()
    assert european_prices(leg, vol)[0] == greeks.price[0] >= 0.0


@given(
    strike=st.floats(50.0, 200.0),
    years=st.floats(0.01, 3.0),
    rate=st.floats(-0.02, 0.1),
    dividend_yield=st.floats(-0.02, 0.1),
    vol=st.floats(0.01, 2.0),
)
def test_call_less_put_is_the_forward(
    strike: float, years: float, rate: float, dividend_yield: float, vol: float
) -> None:
    """Parity holds at any volatility: C − P = Se^(−qT) − Ke^(−rT)."""
    pair = Legs.of(
        spot=100.0,
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        is_call=[True, False],
    )
    call, put = european_prices(pair, vol).tolist()

    assert call - put == pytest.approx((pair.forward()[0] - strike) * np.exp(-rate * years), abs=1e-10)


def test_without_time_or_volatility_a_payoff_is_left() -> None:
    """At expiry what exercising pays, with the delta of it; gamma, vega and theta are gone."""
    leg = Legs.of(
        spot=[100.0, 100.0, 100.0],
        strike=[90.0, 110.0, 110.0],
        years=0.0,
        rate=0.05,
        dividend_yield=0.0,
        is_call=[True, True, False],
    )
    greeks = european_greeks(leg, 0.3)

    assert greeks.price.tolist() == pytest.approx([10.0, 0.0, 10.0])
    assert greeks.delta.tolist() == pytest.approx([1.0, 0.0, -1.0])
    assert [greeks.gamma.any(), greeks.vega.any(), greeks.theta.any()] == [False] * 3
    assert leg.intrinsic().tolist() == [10.0, 0.0, 10.0]


def test_legs_are_taken_by_mask_and_by_index() -> None:
    """All parts of a leg stay together."""
    all_legs = Legs.of(
        spot=100.0,
        strike=[90.0, 100.0, 110.0],
        years=1.0,
        rate=0.0,
        dividend_yield=0.0,
        is_call=[True, False, True],
    )
    assert len(all_legs) == 3
    assert all_legs.take(np.array([False, True, True])).strike.tolist() == [100.0, 110.0]
    assert all_legs.take(np.array([2, 0])).is_call.tolist() == [True, True]
    assert len(all_legs.take(np.array([], np.intp))) == 0


def test_the_oracle_is_the_one_the_constants_came_from() -> None:
    """Another QuantLib may print other digits: then the constants are to be looked at."""
    assert QuantLib.__version__.split(".")[0] == "1"
