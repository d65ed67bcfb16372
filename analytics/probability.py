"""Chances of option combinations at expiry under one lognormal law: probability of profit and mean payoffs.

The law is risk neutral: ln x ~ N(ln F − σ²T/2, σ²T) with the forward F of the expiry and one volatility σ, its
at-the-money one (F. Black, The pricing of commodity contracts, 1976). It says what option prices imply, not what will be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.black import LEAST_DEVIATION, MAX_VOL, MAX_YEARS, PRICES, Flags, Legs, european_prices
from analytics.normal import Doubles, cumulative
from analytics.payoff import LARGEST, Indices, PayoffTable, crossings


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """The law of the underlying at expiry, one value a row: forward (USD), volatility (decimal, a year), years to expiry."""

    forward: Doubles
    volatility: Doubles
    years: Doubles

    @classmethod
    def of(cls, *, forward: Doubles, volatility: Doubles, years: Doubles) -> Lognormal:
        """Return the laws of such numbers; what is out of bounds is moved to them."""
        return cls(
            forward=np.clip(forward, *PRICES),
            volatility=np.clip(volatility, 0.0, MAX_VOL),
            years=np.clip(years, 0.0, MAX_YEARS),
        )

    def take(self, rows: Indices) -> Lognormal:
        """Return the laws of some rows."""
        return Lognormal(forward=self.forward[rows], volatility=self.volatility[rows], years=self.years[rows])

    @property
    def deviation(self) -> Doubles:
        """Standard deviation of the logarithm, σ√T, without unit."""
        return np.maximum(self.volatility * np.sqrt(self.years), LEAST_DEVIATION)


def probability_below(law: Lognormal, prices: Doubles) -> Doubles:
    """Return the probability that the underlying ends at or below a price (USD) each."""
    deviation = law.deviation
    within = np.clip(prices, 1 / LARGEST, LARGEST)
    below = cumulative((np.log(within / law.forward) + 0.5 * deviation**2) / deviation)
    return np.where(prices > 0, below, 0.0)


def profit_probability(table: PayoffTable, law: Lognormal) -> Doubles:
    """Return the probability in [0, 1] that each payoff is above zero.

    It is that of a profit far out, and where profit begins it takes away what lies below, where profit ends it adds that.
    """
    knots, values, slopes = table.knots, table.values, table.slopes
    rows, prices, rises = crossings(knots, values, slopes)
    signed = np.where(rises, -1.0, 1.0)
    far = np.where(slopes == 0, values[:, -1], slopes)
    # a knot at zero may have profit on one side of it
    zeros, columns = np.nonzero((values == 0) & (knots > 0))
    before = values[zeros, np.maximum(columns - 1, 0)] > 0
    after = (
        np.where(
            columns + 1 < knots.shape[1],
            values[zeros, np.minimum(columns + 1, knots.shape[1] - 1)],
            far[zeros],
        )
        > 0
    )
    rows, prices = np.concatenate([rows, zeros]), np.concatenate([prices, knots[zeros, columns]])
    signed = np.concatenate([signed, before.astype(np.float64) - after])
    changes = signed * probability_below(law.take(rows), prices)
    found = (far > 0) + np.bincount(rows, changes, len(knots))
    return np.clip(found, 0.0, 1.0)


def mean_payoffs(strikes: Doubles, is_call: Flags, law: Lognormal) -> Doubles:
    """Return what each option pays at expiry on average (USD per share, not discounted)."""
    # without rate and yield a price today is the mean payoff at expiry
    legs = Legs.of(
        spot=law.forward, strike=strikes, years=law.years, rate=0.0, dividend_yield=0.0, is_call=is_call
    )
    return european_prices(legs, law.volatility)
