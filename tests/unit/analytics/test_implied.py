"""Implied volatilities, European and American, against those the prices were made with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from analytics.american import american_black75, american_greeks, american_prices
from analytics.black import Legs, european_greeks, european_prices
from analytics.implied import FIT, LEAST, MOST, american_vols, european_vols
from tests.support.option_chains import KnownChain, random_puts, smiling_chain
from tests.support.quantlib import american_prices as oracle

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEGS = st.fixed_dictionaries(
    {
        "spot": st.floats(20.0, 500.0),
        "strike": st.floats(20.0, 500.0),
        "years": st.floats(0.003, 3.0),
        "rate": st.floats(0.0, 0.12),
        "dividend_yield": st.floats(0.0, 0.12),
        "is_call": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def chain() -> KnownChain:
    """Return 3,000 legs with a smile."""
    return smiling_chain()


def test_european_volatilities_come_back_to_the_last_digits(chain: KnownChain) -> None:
    """Wherever half a cent of time value is left."""
    price = european_prices(chain.legs, chain.vols)
    worth = price - european_prices(chain.legs, 0.0) > 0.005

    errors = np.abs(european_vols(chain.legs, price) - chain.vols)[worth]

    assert worth.sum() > 1_000
    assert errors.max() <= 1e-11


def test_so_they_do_everywhere_on_a_hard_grid() -> None:
    """150,000 of σ√T from 0.001 to 3, out to four deviations: within 1e-11 of their own size."""
    random = np.random.default_rng(1)
    vols = 10 ** random.uniform(-3, np.log10(3), 150_000)
    distance = np.abs(random.normal(0, 1, 150_000)) * np.minimum(6 * vols, 4)
    legs = Legs.of(spot=1.0, strike=np.exp(distance), years=1.0, rate=0.0, dividend_yield=0.0, is_call=True)
    price = european_prices(legs, vols)
    rows = (price > 1e-12) & (vols >= LEAST)

    found = european_vols(legs.take(rows), price[rows])

    assert rows.sum() > 100_000
    assert np.max(np.abs(found / vols[rows] - 1.0)) <= 1e-11


def test_american_volatilities_of_a_chain(chain: KnownChain) -> None:
    """Of QuantLib's prices, where a point is worth half a cent: within 1.5e-3, 99 of 100 within 3e-4."""
    price = oracle(chain.legs, chain.vols, chain.days)
    tells = (american_greeks(chain.legs, chain.vols).vega >= 0.005) & (price - chain.legs.intrinsic() > 0.005)

    errors = np.abs(american_vols(chain.legs, price) - chain.vols)[tells]

    assert tells.sum() > 1_300
    assert errors.max() <= 1.5e-3
    assert np.percentile(errors, 99) <= 3e-4


def test_american_volatilities_of_anything() -> None:
    """Of its own prices, of puts from everywhere: all but a few of a thousand are found, within what the fit leaves open."""
    some = random_puts(3_000, seed=3)
    price, greeks = american_prices(some.legs, some.vols), american_greeks(some.legs, some.vols)
    tells = (greeks.vega >= 0.005) & (price - some.legs.intrinsic() > 0.005)

    found = american_vols(some.legs, price)[tells]

    assert np.isnan(found).sum() <= 2
    width = 2.0 * FIT * 100.0 / (100.0 * greeks.vega[tells]) + 1e-6
    assert np.nanmax(np.abs(found - some.vols[tells]) / width) <= 1.0


@pytest.mark.parametrize("is_call", [True, False])
def test_no_price_with_time_value_is_without_a_volatility(is_call: bool) -> None:
    """Of legs from far within to far without, some of which are best exercised now at most volatilities: none is given up."""
    drawn, count = np.random.default_rng(7), 4_000
    legs = Legs.of(
        spot=drawn.uniform(5.0, 200.0, count), strike=drawn.uniform(5.0, 200.0, count),
        years=drawn.uniform(0.02, 4.0, count), rate=drawn.uniform(-0.02, 0.12, count),
        dividend_yield=drawn.uniform(0.0, 0.15, count), is_call=is_call,
    )  # fmt: skip
    greeks = american_greeks(legs, drawn.uniform(0.05, 1.5, count))
    tells = (greeks.vega > 0.01) & (greeks.price > legs.intrinsic() + 1e-3 * legs.spot)

    assert tells.sum() > 2_000
    assert not np.isnan(american_vols(legs, greeks.price)[tells]).any()


@example(
    given_={
        "spot": 95.0,
        "strike": 36.0,
        "years": 3.0,
        "rate": 0.0,
        "dividend_yield": 0.1015625,
        "is_call": True,
    },
    vol=1.0,
)
@given(given_=LEGS, vol=st.floats(0.05, 1.5))
def test_the_volatility_of_a_price_is_its_own(given_: dict[str, Any], vol: float) -> None:
    """Within what prices can tell, American as European, wherever a tenth of a percent of time value is left."""
    leg = Legs.of(**given_)
    greeks = american_greeks(leg, vol)
    assume(greeks.vega[0] > 0.01 and greeks.price[0] > leg.intrinsic()[0] + 1e-3 * leg.spot[0])
    european = european_greeks(leg, vol)

    found = american_vols(leg, greeks.price)[0]

    assert (
        abs(found - vol)
        <= 3.0 * (FIT + 1e-6) * max(leg.spot[0], leg.strike[0]) / (100.0 * greeks.vega[0]) + 1e-6
    )
    if european.vega[0] > 0.01 and european.price[0] > european_prices(leg, 0.0)[0] + 0.005:
        assert european_vols(leg, european.price)[0] == pytest.approx(vol, rel=1e-7)


@given(
    price=FINITE,
    spot=FINITE,
    strike=FINITE,
    years=FINITE,
    rate=FINITE,
    dividend_yield=FINITE,
    is_call=st.booleans(),
)
def test_every_finite_price_has_a_volatility_or_none(**given_: float) -> None:
    """Never an exception, a warning, an infinity, or one out of its range."""
    price = np.array([given_.pop("price")])
    leg = Legs.of(**given_)

    for found in (european_vols(leg, price), american_vols(leg, price)):
        assert np.isnan(found[0]) or LEAST <= found[0] <= MOST


def test_a_leg_just_above_its_boundary_is_solved_too() -> None:
    """A cent above what exercising pays; below its volatility the price is flat."""
    leg = Legs.of(spot=390.0, strike=327.0, years=2.0, rate=0.0, dividend_yield=0.1035, is_call=True)
    price = american_prices(leg, 0.213)

    assert 0.0 < price[0] - 63.0 < 0.02
    assert american_vols(leg, price)[0] == pytest.approx(0.213, abs=1e-4)


def test_prices_that_no_volatility_gives_have_none() -> None:
    """At or below what exercising pays, at or above the share, absent, or without time."""
    legs = Legs.of(
        spot=100.0, strike=90.0, years=[0.5, 0.5, 0.5, 0.5, 0.0], rate=0.02, dividend_yield=0.0, is_call=True
    )
    price = np.array([10.0, 9.0, 100.0, np.nan, 11.0])

    assert np.isnan(american_vols(legs, price)).all()
    assert np.isnan(european_vols(legs, price)).all()


def test_a_put_above_every_european_price_has_a_volatility() -> None:
    """The strike, and not what it is worth now, is the most that it can pay."""
    leg = Legs.of(spot=100.0, strike=100.0, years=5.0, rate=0.1, dividend_yield=0.0, is_call=False)
    price = american_prices(leg, 1.5)

    assert price[0] > leg.strike[0] * np.exp(-0.5)
    assert np.isnan(european_vols(leg, price)[0])
    assert american_vols(leg, price)[0] == pytest.approx(1.5, abs=1e-4)


def test_calls_before_a_dividend_are_solved_with_it() -> None:
    """By the same model as their price; puts and other calls as without."""
    legs = Legs.of(
        spot=100.0, strike=95.0, years=30 / 365, rate=0.05, dividend_yield=0.0, is_call=[True, False]
    )
    dividends = [(28 / 365, 1.0)]
    price = np.array([american_black75(legs, 0.25, dividends).price[0], american_prices(legs, 0.25)[1]])

    found = american_vols(legs, price, dividends=dividends)

    assert found == pytest.approx([0.25, 0.25], abs=1e-4)
    assert abs(american_vols(legs, price)[0] - 0.25) > 0.003
