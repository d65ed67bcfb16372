"""American prices and greeks, against QuantLib's and their own laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics import american
from analytics.american import (
    DEFAULT,
    FAST,
    american_black75,
    american_greeks,
    american_prices,
    pays_before_dividends,
)
from analytics.black import DAYS_PER_YEAR, Greeks, Legs, european_greeks, european_prices
from analytics.boundary import Premiums, Puts, Quadrature
from analytics.implied import american_vols
from tests.support.option_chains import KnownChain, random_puts, smiling_chain
from tests.support.quantlib import american_prices as oracle

# (spot, strike, days, rate, yield, volatility, is_call), price of QdFp in high precision, QuantLib 1.44
CONSTANTS = [
    ((100, 100, 365, 0.05, 0.05, 0.25, False), 9.569445),
    ((100, 110, 365, 0.05, 0.0, 0.25, False), 13.742901),
    ((100, 90, 30, 0.05, 0.01, 0.4, False), 1.000615),
    ((100, 120, 730, 0.05, 0.02, 0.2, False), 21.517277),
    ((100, 80, 182, 0.03, 0.08, 0.3, True), 20.295441),
    ((748.24, 750, 22, 0.005, 0.0, 0.18, False), 13.995946),
]
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
VOLS = st.floats(0.05, 1.5)
# Of spot or strike: what single precision leaves of a premium.
SINGLE = 2e-6


@pytest.fixture(scope="module")
def chain() -> KnownChain:
    """Return 3,000 legs with a smile."""
    return smiling_chain()


@pytest.mark.parametrize("by", [DEFAULT, FAST], ids=["default", "fast"])
@pytest.mark.parametrize(("given_", "price"), CONSTANTS)
def test_published_constants(given_: tuple[float, ...], price: float, by: Quadrature) -> None:
    """Within 1e-4 of the spot."""
    spot, strike, days, rate, dividend_yield, vol, is_call = given_
    leg = Legs.of(
        spot=spot,
        strike=strike,
        years=days / DAYS_PER_YEAR,
        rate=rate,
        dividend_yield=dividend_yield,
        is_call=bool(is_call),
    )

    assert abs(american_prices(leg, vol, by)[0] - price) <= 1e-4 * spot


@pytest.mark.parametrize(
    ("by", "largest", "p99"), [(DEFAULT, 0.0135, 0.0050), (FAST, 0.033, 0.0056)], ids=["default", "fast"]
)
def test_a_chain_is_priced_as_by_quantlib(
    chain: KnownChain, by: Quadrature, largest: float, p99: float
) -> None:
    """3,000 legs of a share at 250, in dollars; the oracle itself is within 1e-4."""
    errors = np.abs(american_prices(chain.legs, chain.vols, by) - oracle(chain.legs, chain.vols, chain.days))

    assert errors.max() <= largest
    assert np.percentile(errors, 99) <= p99


def test_any_put_is_priced_as_by_quantlib() -> None:
    """3,000 from everywhere: within 6e-4 of the spot, 99 of 100 within 2e-4."""
    some = random_puts(3_000, seed=3)
    errors = np.abs(american_prices(some.legs, some.vols) - oracle(some.legs, some.vols, some.days)) / 100.0

    assert errors.max() <= 6e-4
    assert np.percentile(errors, 99) <= 2e-4


def test_greeks_are_those_of_quantlib_moved(chain: KnownChain) -> None:
    """140 legs with time value; QuantLib's by moving spot, volatility, rate and date."""
    worth = oracle(chain.legs, chain.vols, chain.days) - chain.legs.intrinsic()
    rows = np.array([at for at in range(0, 3_000, 11) if worth[at] > 0.02][:140])
    legs, vols, days = chain.legs.take(rows), chain.vols[rows], chain.days[rows]
    found = american_greeks(legs, vols)

    def moved(*, spot: float = 0.0, vol: float = 0.0, rate: float = 0.0, day: int = 0) -> NDArray[np.float64]:
        other = Legs(
            legs.spot + spot, legs.strike, legs.years, legs.rate + rate, legs.dividend_yield, legs.is_call
        )
        return oracle(other, vols + vol, days + day)

    up, here, down = moved(spot=0.5), moved(), moved(spot=-0.5)
    assert np.abs(found.delta - (up - down)).max() <= 9.5e-4
    assert np.percentile(np.abs(found.delta - (up - down)), 95) <= 1.2e-4
    assert np.abs(found.gamma - (up - 2.0 * here + down) / 0.25).max() <= 6e-5
    assert np.abs(found.vega - (moved(vol=2e-3) - moved(vol=-2e-3)) / 0.4).max() <= 8e-4
    assert np.abs(found.rho - (moved(rate=1e-4) - moved(rate=-1e-4)) / 0.02).max() <= 3e-3
    later = days > 20
    theta = 0.5 * (moved(day=-1) - moved(day=1))
    assert np.abs(found.theta - theta)[later].max() <= 1.6e-4


@pytest.mark.parametrize(("rate", "dividend_yield"), [(0.03, 0.08), (0.08, 0.03), (0.05, 0.05)])
def test_delta_and_gamma_are_those_of_the_price(rate: float, dividend_yield: float) -> None:
    """Of calls with a premium as of puts, by differences of the spot."""
    strikes = np.linspace(70.0, 140.0, 29)
    columns = {"rate": rate, "dividend_yield": dividend_yield, "is_call": [[True], [False]], "years": 0.75}
    legs, up, down = (Legs.of(spot=spot, strike=strikes, **columns) for spot in (100.0, 100.5, 99.5))
    prices = [american_prices(each, 0.3) for each in (legs, up, down)]
    inside = (
        np.min(
            [price - each.intrinsic() for price, each in zip(prices, (legs, up, down), strict=True)], axis=0
        )
        > 0.01
    )
    greeks = american_greeks(legs, 0.3)

    here, high, low = prices
    assert inside.sum() > 30
    assert np.abs(greeks.delta - (high - low))[inside].max() <= 2e-3
    assert np.abs(greeks.gamma - (high - 2.0 * here + low) / 0.25)[inside].max() <= 4e-4


@given(given_=LEGS, vol=VOLS)
def test_a_right_more_is_never_worth_less(given_: dict[str, Any], vol: float) -> None:
    """American ≥ European ≥ 0, and never below what exercising pays, nor above what it could ever pay."""
    leg = Legs.of(**given_)
    price, european = american_prices(leg, vol)[0], european_prices(leg, vol)[0]

    assert price >= european >= 0.0
    assert (
        leg.intrinsic()[0]
        <= price
        <= max(given_["spot"] if given_["is_call"] else given_["strike"], european)
    )


@given(given_=LEGS, vol=VOLS, more=st.floats(0.001, 0.5))
def test_more_volatility_is_worth_more(given_: dict[str, Any], vol: float, more: float) -> None:
    """Or as much, where a leg is exercised at once."""
    leg = Legs.of(**given_)
    low, high = american_prices(leg, vol)[0], american_prices(leg, vol + more)[0]

    assert high >= low - SINGLE * leg.strike[0]


@given(given_=LEGS, vol=VOLS)
def test_a_call_is_the_put_of_the_other_side(given_: dict[str, Any], vol: float) -> None:
    """C(S, K, r, q) = P(K, S, q, r)."""
    one = Legs.of(**given_)
    other = Legs(one.strike, one.spot, one.years, one.dividend_yield, one.rate, ~one.is_call)

    assert american_prices(one, vol)[0] == pytest.approx(american_prices(other, vol)[0], rel=1e-9, abs=1e-9)


@given(given_=LEGS, vol=VOLS, scale=st.floats(0.01, 100.0))
def test_prices_scale_with_spot_and_strike(given_: dict[str, Any], vol: float, scale: float) -> None:
    """A split changes no price but by its ratio; delta stays, gamma goes by the inverse."""
    one = Legs.of(**given_)
    scaled = Legs(one.spot * scale, one.strike * scale, one.years, one.rate, one.dividend_yield, one.is_call)
    first, second = american_greeks(one, vol), american_greeks(scaled, vol)

    assert second.price[0] == pytest.approx(
        scale * first.price[0], rel=1e-6, abs=SINGLE * scale * one.strike[0]
    )
    assert second.delta[0] == pytest.approx(first.delta[0], abs=1e-3)
    assert second.gamma[0] * scale == pytest.approx(first.gamma[0], rel=1e-2, abs=1e-4)


@given(given_=LEGS, vol=VOLS)
def test_a_call_without_a_yield_is_european(given_: dict[str, Any], vol: float) -> None:
    """Waiting costs nothing then."""
    leg = Legs.of(**{**given_, "is_call": True, "dividend_yield": 0.0})

    assert american_prices(leg, vol)[0] == pytest.approx(european_prices(leg, vol)[0], abs=1e-12)


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
    """No exception, no NaN, no infinity, and no warning."""
    vol = given_.pop("vol")
    greeks = american_greeks(Legs.of(**given_), vol)

    assert np.isfinite(_numbers(greeks)).all()


@given(
    spot=st.floats(1e-3, 1e5),
    strike=st.floats(1e-3, 1e5),
    years=st.floats(0.0, 50.0),
    rate=st.floats(-3.0, 3.0),
    dividend_yield=st.floats(-3.0, 3.0),
    vol=st.floats(0.0, 12.0),
    is_call=st.booleans(),
)
def test_so_has_every_input_that_could_be_one(**given_: float) -> None:
    """Where steps are near to overflow rather than far beyond."""
    vol = given_.pop("vol")
    leg = Legs.of(**given_)
    greeks = american_greeks(leg, vol)

    assert np.isfinite(_numbers(greeks)).all()
    assert american_prices(leg, vol)[0] >= leg.intrinsic()[0]


def _numbers(greeks: Greeks) -> NDArray[np.float64]:
    fields = (greeks.price, greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho)
    return np.concatenate(fields)


def test_what_is_best_exercised_now_has_the_greeks_of_its_payoff() -> None:
    """A put at half its strike, a call on a share that is about to lose 30 %."""
    legs = Legs.of(
        spot=[50.0, 200.0],
        strike=100.0,
        years=1.0,
        rate=[0.1, 0.01],
        dividend_yield=[0.0, 0.3],
        is_call=[False, True],
    )
    greeks = american_greeks(legs, 0.2)

    assert greeks.price.tolist() == [50.0, 100.0]
    assert greeks.delta.tolist() == [-1.0, 1.0]
    assert np.concatenate([greeks.gamma, greeks.vega, greeks.theta, greeks.rho]).tolist() == [0.0] * 8


def test_the_work_grows_with_the_legs(chain: KnownChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the legs are twice the premiums, four times four times: counted, not timed."""
    counted: list[int] = []
    real = american.premiums

    def counting(puts: Puts, by: Quadrature) -> Premiums:
        counted.append(len(puts.vol))
        return real(puts, by)

    monkeypatch.setattr(american, "premiums", counting)
    prices = american_prices(chain.legs, chain.vols)
    work = []
    for times in (1, 2, 4):
        counted.clear()
        rows = np.tile(np.arange(0, 3_000, 5), times)
        american_vols(chain.legs.take(rows), prices[rows])
        american_greeks(chain.legs.take(rows), chain.vols[rows])
        work.append(sum(counted))

    assert work[1] == 2 * work[0]
    assert work[2] == 4 * work[0]
    assert work[0] < 600 * 12


def test_a_dividend_above_the_interest_is_exercised_for() -> None:
    """Only before expiry, only of calls, and only where it is more than the strike earns from then on."""
    legs = Legs.of(
        spot=100.0, strike=[85.0, 85.0, 300.0, 85.0], years=[30 / 365, 30 / 365, 2.0, 10 / 365], rate=0.05,
        dividend_yield=0.0, is_call=[True, False, True, True],
    )  # fmt: skip
    assert pays_before_dividends(legs, [(20 / 365, 0.25)]).tolist() == [True, False, False, False]
    assert pays_before_dividends(legs, []).tolist() == [False] * 4


# QuantLib's FdBlackScholesVanillaEngine, Spot dividends, 400 × 400 Douglas: S = 100, σ = 25 %, r = 5 %
DIVIDENDS = [
    (30, 28, 1.0, 95.0, 6.193635),
    (30, 20, 0.25, 85.0, 15.247872),
    (30, 28, 1.0, 100.0, 2.976273),
]


@pytest.mark.parametrize(("days", "ex_day", "paid", "strike", "price"), DIVIDENDS)
def test_blacks_approximation_is_near_the_grid(
    days: int, ex_day: int, paid: float, strike: float, price: float
) -> None:
    """Within three cents, where a continuous yield is up to 70 off."""
    leg = Legs.of(spot=100.0, strike=strike, years=days / 365, rate=0.05, dividend_yield=0.0, is_call=True)

    assert american_black75(leg, 0.25, [(ex_day / 365, paid)]).price[0] == pytest.approx(price, abs=0.03)


def test_without_dividends_blacks_approximation_is_black_and_scholes() -> None:
    """Dividends after expiry, or before now, change nothing either."""
    legs = Legs.of(spot=100.0, strike=[90.0, 110.0], years=0.5, rate=0.05, dividend_yield=0.0, is_call=True)
    expected = european_greeks(legs, 0.3)

    for dividends in ([], [(0.6, 2.0)], [(-0.1, 2.0)]):
        found = american_black75(legs, 0.3, dividends)
        assert _numbers(found) == pytest.approx(_numbers(expected), rel=1e-12)


def test_greeks_with_dividends_are_those_of_the_price() -> None:
    """By central differences of spot, volatility, rate and time."""
    legs = Legs.of(spot=100.0, strike=[95.0, 105.0], years=0.4, rate=0.05, dividend_yield=0.0, is_call=True)
    dividends = [(0.1, 0.8), (0.35, 0.8)]
    found = american_black75(legs, 0.3, dividends)

    def price(
        *, spot: float = 0.0, vol: float = 0.0, rate: float = 0.0, years: float = 0.0
    ) -> NDArray[np.float64]:
        other = Legs(
            legs.spot + spot,
            legs.strike,
            legs.years + years,
            legs.rate + rate,
            legs.dividend_yield,
            legs.is_call,
        )
        return american_black75(other, 0.3 + vol, [(at + years, paid) for at, paid in dividends]).price

    assert found.delta == pytest.approx((price(spot=0.01) - price(spot=-0.01)) / 0.02, abs=1e-6)
    assert found.vega == pytest.approx((price(vol=1e-4) - price(vol=-1e-4)) / 0.02, abs=1e-6)
    assert found.rho == pytest.approx((price(rate=1e-5) - price(rate=-1e-5)) / 2e-3, abs=1e-6)
    assert found.theta == pytest.approx((price(years=-1e-5) - price(years=1e-5)) / (2e-5 * 365), abs=1e-6)
