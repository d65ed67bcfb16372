"""Calendar spreads: the same option sold in one expiry and bought in a later one, valued when the first expires.

What the later option is worth then needs a model: Black and Scholes at the volatility it has now, at least its exercise
value, and the ratio of the two forwards as it is now. The value is taken at 401 prices around the strike, closer to each
other near it, and is linear between them: extremes, breakevens and probabilities depend on the model and are not exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.black import PRICES, RATES, Flags, Legs, european_prices
from analytics.normal import Doubles
from analytics.payoff import LARGEST, PayoffTable, breakevens
from analytics.probability import Lognormal, probability_below

POINTS = 401
REACH_DEVIATIONS = 6.0  # of the later expiry, to either side of the strike
LEAST_REACH, MOST_REACH = 0.01, 20.0  # of ln(x/K)
LINEAR_SHARE = 0.1  # of the spacing; the rest grows with the cube of the distance
LEAST_YEARS = 1e-6  # half a minute: nothing is carried in less
ROWS_AT_ONCE = 64  # 401 points a row: arrays that stay in the cache of a core


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSpreads:
    """Calendar spreads by row: strike and cost (USD per share), the laws of both expiries, the later option's own inputs.

    `volatility` (decimal a year) and `rate` (continuous, a year) are of the later option.
    """

    strikes: Doubles
    is_call: Flags
    cost: Doubles
    near: Lognormal
    far: Lognormal
    volatility: Doubles
    rate: Doubles


def calendar_payoffs(spreads: CalendarSpreads) -> PayoffTable:
    """Return extremes and breakevens (USD per share) when the nearer options expire, from 401 prices each."""
    knots, values = _scanned(spreads)
    slopes = np.zeros(len(knots))
    return PayoffTable(
        max_profit=values.max(axis=1),
        max_loss=values.min(axis=1),
        breakevens=breakevens(knots, values, slopes),
        knots=knots,
        values=values,
        slopes=slopes,
    )


def mean_calendar_payoff(table: PayoffTable, law: Lognormal) -> Doubles:
    """Return the mean payoff (USD per share, not discounted) of each calendar spread under the nearer expiry's law."""
    rows, columns = table.knots.shape
    below = probability_below(law.take(np.repeat(np.arange(rows), columns)), table.knots.reshape(-1)).reshape(
        rows, columns
    )
    middles = (table.values[:, 1:] + table.values[:, :-1]) / 2
    tails = table.values[:, 0] * below[:, 0] + table.values[:, -1] * (1 - below[:, -1])
    return np.asarray(np.sum(middles * np.diff(below, axis=1), axis=1) + tails)


def _scanned(spreads: CalendarSpreads) -> tuple[Doubles, Doubles]:
    """Return the prices that are looked at (USD), and the payoff of each spread there."""
    count = len(spreads.strikes)
    strikes, cost = np.clip(spreads.strikes, *PRICES), np.clip(spreads.cost, -LARGEST, LARGEST)
    knots, values = np.empty((count, POINTS)), np.empty((count, POINTS))
    reach = np.clip(REACH_DEVIATIONS * spreads.far.deviation, LEAST_REACH, MOST_REACH)
    even = np.linspace(-1.0, 1.0, POINTS)
    spacing = LINEAR_SHARE * even + (1 - LINEAR_SHARE) * even**3
    for start in range(0, count, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        knots[some] = strikes[some, None] * np.exp(reach[some, None] * spacing)
        values[some] = _values(spreads, some, knots[some]) - cost[some, None]
    return knots, values


def _values(spreads: CalendarSpreads, some: slice, prices: Doubles) -> Doubles:
    years = np.maximum(spreads.far.years[some] - spreads.near.years[some], 0.0)
    growth = np.log(spreads.far.forward[some]) - np.log(spreads.near.forward[some])
    # the carry of the time between the two, of which a rate less a yield is made
    carry = np.divide(growth, years, out=np.zeros_like(years), where=years > LEAST_YEARS)
    rates = np.clip(spreads.rate[some], *RATES)
    legs = Legs.of(
        spot=prices.reshape(-1),
        strike=np.repeat(spreads.strikes[some], POINTS),
        years=np.repeat(years, POINTS),
        rate=np.repeat(rates, POINTS),
        dividend_yield=np.repeat(rates - carry, POINTS),
        is_call=np.repeat(spreads.is_call[some], POINTS),
    )
    exercised = legs.intrinsic()
    later = np.maximum(european_prices(legs, np.repeat(spreads.volatility[some], POINTS)), exercised)
    return (later - exercised).reshape(prices.shape)
