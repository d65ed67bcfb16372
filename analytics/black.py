"""European options: prices and greeks of whole chains by Black and Scholes (1973) with a continuous yield, which is Black (1976) on the forward.

Every array has one element a leg, shape (n,), float64. Nothing here judges a quote: for every finite input there is a finite
answer, that of the nearest possible one where the input is none (a negative price, a rate of 1e300).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.normal import Doubles, cumulative, density

DAYS_PER_YEAR = 365.0
# Within these bounds no step overflows, in single precision too; every market lies far inside.
PRICES = (1e-9, 1e12)
RATES = (-1.0, 1.0)
MAX_YEARS = 30.0
MAX_VOL = 10.0
# of σ√T: below it a distribution is a point
LEAST_DEVIATION = 1e-12

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Legs:
    """Options to be priced, without their volatilities; arrays of shape (n,).

    `years` is the time left, ACT/365F; `rate` and `dividend_yield` are continuous a year, so that the forward is
    spot·exp((rate − dividend_yield)·years). A negative yield is a carry above the rate.
    """

    spot: Doubles
    strike: Doubles
    years: Doubles
    rate: Doubles
    dividend_yield: Doubles
    is_call: Flags

    @classmethod
    def of(
        cls,
        *,
        spot: ArrayLike,
        strike: ArrayLike,
        years: ArrayLike,
        rate: ArrayLike,
        dividend_yield: ArrayLike,
        is_call: ArrayLike,
    ) -> Legs:
        """Return the legs of numbers and arrays, broadcast against each other; what is out of bounds is moved to them."""
        numbers = (
            np.clip(np.asarray(spot, np.float64), *PRICES),
            np.clip(np.asarray(strike, np.float64), *PRICES),
            np.clip(np.asarray(years, np.float64), 0.0, MAX_YEARS),
            np.clip(np.asarray(rate, np.float64), *RATES),
            np.clip(np.asarray(dividend_yield, np.float64), *RATES),
        )
        flags = np.asarray(is_call, np.bool_)
        shape = np.broadcast_shapes(flags.shape, *(each.shape for each in numbers), (1,))
        columns = iter([np.broadcast_to(each, shape).reshape(-1) for each in numbers])
        return cls(
            spot=next(columns),
            strike=next(columns),
            years=next(columns),
            rate=next(columns),
            dividend_yield=next(columns),
            is_call=np.broadcast_to(flags, shape).reshape(-1),
        )

    def __len__(self) -> int:
        """Return how many legs there are."""
        return len(self.spot)

    def take(self, rows: NDArray[np.intp] | Flags) -> Legs:
        """Return some of the legs, by index or by mask."""
        return Legs(
            self.spot[rows],
            self.strike[rows],
            self.years[rows],
            self.rate[rows],
            self.dividend_yield[rows],
            self.is_call[rows],
        )

    def forward(self) -> Doubles:
        """Return the forward prices."""
        return np.asarray(self.spot * np.exp((self.rate - self.dividend_yield) * self.years))

    def intrinsic(self) -> Doubles:
        """Return what exercising now would pay."""
        return np.maximum(np.where(self.is_call, self.spot - self.strike, self.strike - self.spot), 0.0)


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and sensitivities of legs, arrays of shape (n,), for one unit of the underlying.

    `delta` per $1; `gamma` per $1²; `vega` per volatility point (0.01); `theta` per calendar day, a 365th of the yearly one, so that on
    the last day it may exceed the price; `rho` per 1 % of rate at an unchanged dividend yield.
    """

    price: Doubles
    delta: Doubles
    gamma: Doubles
    vega: Doubles
    theta: Doubles
    rho: Doubles


@dataclass(frozen=True, slots=True)
class _Terms:
    """Parts that prices and greeks share."""

    sign: Doubles
    deviation: Doubles
    d1: Doubles
    d2: Doubles
    spot_now: Doubles
    strike_now: Doubles


def _terms(legs: Legs, vol: Doubles) -> _Terms:
    deviation = np.maximum(vol * np.sqrt(legs.years), LEAST_DEVIATION)
    drift = (legs.rate - legs.dividend_yield) * legs.years
    d1 = (np.log(legs.spot / legs.strike) + drift) / deviation + 0.5 * deviation
    return _Terms(
        sign=np.where(legs.is_call, 1.0, -1.0),
        deviation=deviation,
        d1=d1,
        d2=d1 - deviation,
        spot_now=legs.spot * np.exp(-legs.dividend_yield * legs.years),
        strike_now=legs.strike * np.exp(-legs.rate * legs.years),
    )


def bounded_vol(vol: ArrayLike, legs: Legs) -> Doubles:
    """Return volatilities (a year, 0.2 is 20 %) as one per leg, moved into [0, 10]."""
    return np.broadcast_to(np.clip(np.asarray(vol, np.float64), 0.0, MAX_VOL), (len(legs),))


def european_prices(legs: Legs, vol: ArrayLike) -> Doubles:
    """Return the prices at a volatility each; without time or volatility the discounted payoff of the forward."""
    terms = _terms(legs, bounded_vol(vol, legs))
    stock = terms.spot_now * cumulative(terms.sign * terms.d1)
    cash = terms.strike_now * cumulative(terms.sign * terms.d2)
    return np.maximum(terms.sign * (stock - cash), 0.0)


def european_greeks(legs: Legs, vol: ArrayLike) -> Greeks:
    """Return prices and greeks at a volatility each; what has no time or volatility left has neither gamma, vega nor theta of volatility.

    Theta is that of the pricing equation, rV − (r − q)SΔ − σ²S²Γ/2, which a European price fulfils exactly.
    """
    vol = bounded_vol(vol, legs)
    terms = _terms(legs, vol)
    near, far = cumulative(terms.sign * terms.d1), cumulative(terms.sign * terms.d2)
    price = np.maximum(terms.sign * (terms.spot_now * near - terms.strike_now * far), 0.0)
    discounted = terms.spot_now * np.where(terms.deviation > LEAST_DEVIATION, density(terms.d1), 0.0)
    delta = terms.sign * near * (terms.spot_now / legs.spot)
    gamma = discounted / (legs.spot * legs.spot * terms.deviation)
    return Greeks(
        price=price,
        delta=delta,
        gamma=gamma,
        vega=discounted * np.sqrt(legs.years) / 100.0,
        theta=theta_per_day(legs, vol, price, delta, gamma),
        rho=terms.sign * legs.years * terms.strike_now * far / 100.0,
    )


def theta_per_day(legs: Legs, vol: Doubles, price: Doubles, delta: Doubles, gamma: Doubles) -> Doubles:
    """Return theta per calendar day by the pricing equation, for whatever fulfils it; zero where no time is left."""
    carry = (legs.rate - legs.dividend_yield) * legs.spot * delta
    yearly = legs.rate * price - carry - 0.5 * (vol * legs.spot) ** 2 * gamma
    return np.where(legs.years > 0.0, yearly, 0.0) / DAYS_PER_YEAR
