"""Payoff of option combinations at expiry: a piecewise linear function of the underlying, solved exactly, many at once.

At a price x of the underlying a combination is worth Σ quantity · max(±(x − strike), 0) + shares · x − cost: linear
between strikes, and beyond the last one with the slope Σ quantity of calls + shares. Extremes therefore lie at 0, at
strikes or nowhere (J. Hull, Options, Futures, and Other Derivatives, chapter on trading strategies).

Prices and amounts are USD per share of the underlying, quantities are contracts by one share's worth: bought > 0, sold < 0.
Amounts of a contract are these times its multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.black import Flags
from analytics.normal import Doubles

Indices = NDArray[np.intp]

LARGEST = 1e50  # of prices and quantities; what is made of them is finite, so that nothing becomes NaN
SMALLEST = 1e-50  # of quantities: less is none
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of the summed magnitudes: a payoff below it is zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Combinations:
    """Options and shares that are held together: combinations by row, option legs by column; a leg of quantity 0 is none. `shares` and `cost` have one value a row."""

    quantities: Doubles
    is_call: Flags
    strikes: Doubles
    shares: Doubles
    cost: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoffTable:
    """Payoffs of combinations, by row; all in USD per share.

    `max_profit` is +inf and `max_loss` −inf where unbounded; a loss is negative. `breakevens` ascend, +inf is none.
    Knots are 0 and the strikes, or other prices, in order, `values` the payoff there, `slopes` the one beyond the last knot.
    """

    max_profit: Doubles
    max_loss: Doubles
    breakevens: Doubles
    knots: Doubles
    values: Doubles
    slopes: Doubles


def payoffs(combinations: Combinations) -> PayoffTable:
    """Return extremes, breakevens and knots (USD per share) of every combination, exact to rounding."""
    quantities, strikes = _counted(combinations.quantities), np.abs(_bounded(combinations.strikes))
    shares, cost = _counted(combinations.shares), _bounded(combinations.cost)
    strikes = np.where(quantities == 0, 0.0, strikes)
    start = np.zeros((len(strikes), 1))
    knots = np.sort(np.concatenate([start, strikes], axis=1), axis=1)
    values = shares[:, None] * knots - cost[:, None]
    scale = np.abs(cost) + np.abs(shares) * knots[:, -1]
    for leg in range(strikes.shape[1]):
        away = knots - strikes[:, leg, None]
        signed = np.where(combinations.is_call[:, leg, None], away, -away)
        values += quantities[:, leg, None] * np.maximum(signed, 0.0)
        scale += np.abs(quantities[:, leg]) * knots[:, -1]
    values[np.abs(values) <= ROUNDING * scale[:, None]] = 0.0
    slopes = np.sum(np.where(combinations.is_call, quantities, 0.0), axis=1) + shares
    slopes[np.abs(slopes) <= ROUNDING * (np.abs(quantities).sum(axis=1) + np.abs(shares))] = 0.0
    return PayoffTable(
        max_profit=np.where(slopes > 0, np.inf, values.max(axis=1)),
        max_loss=np.where(slopes < 0, -np.inf, values.min(axis=1)),
        breakevens=breakevens(knots, values, slopes),
        knots=knots,
        values=values,
        slopes=slopes,
    )


def crossings(knots: Doubles, values: Doubles, slopes: Doubles) -> tuple[Indices, Doubles, Flags]:
    """Return (row, price in USD, whether it rises there) of every place between or beyond knots where a payoff changes its sign."""
    signs = np.sign(values)
    rows, columns = np.nonzero(signs[:, :-1] * signs[:, 1:] < 0)
    low, at_low, at_high = knots[rows, columns], values[rows, columns], values[rows, columns + 1]
    between = low + (knots[rows, columns + 1] - low) * (at_low / (at_low - at_high))
    beyond = np.flatnonzero(signs[:, -1] * np.sign(slopes) < 0)
    last = knots[beyond, -1] - values[beyond, -1] / slopes[beyond]
    rises = np.concatenate([at_high > 0, slopes[beyond] > 0])
    return np.concatenate([rows, beyond]), np.concatenate([between, last]), rises


def breakevens(knots: Doubles, values: Doubles, slopes: Doubles) -> Doubles:
    """Return the zeros above 0 in order (USD), by row: sign changes, and zero knots that do not lie inside a zero stretch.

    Columns are as many as the longest row needs, +inf fills the others.
    """
    crossed, prices, _ = crossings(knots, values, slopes)
    touching = np.flatnonzero(((values == 0) & (knots > 0)).any(axis=1))
    at_knots = _zero_knots(knots[touching], values[touching], slopes[touching])
    places = np.nonzero(at_knots)
    rows = np.concatenate([crossed, touching[places[0]]])
    prices = np.concatenate([prices, knots[touching][places]])
    order = np.lexsort((prices, rows))
    rows, prices = rows[order], prices[order]
    counts = np.bincount(rows, minlength=len(knots))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
    found = np.full((len(knots), int(counts.max(initial=0))), np.inf)
    found[rows, np.arange(len(rows)) - starts[rows]] = prices
    return found


def _bounded(values: Doubles) -> Doubles:
    return np.clip(np.asarray(values, dtype=np.float64), -LARGEST, LARGEST)


def _counted(quantities: Doubles) -> Doubles:
    return np.where(np.abs(quantities) < SMALLEST, 0.0, _bounded(quantities))


def _zero_knots(knots: Doubles, values: Doubles, slopes: Doubles) -> Flags:
    """Return at which knots above 0 a payoff is zero without being so on both sides; of equal knots the last one counts."""
    found = np.zeros(knots.shape, dtype=np.bool_)
    if not len(knots):
        return found
    flat_before = np.zeros(len(knots), dtype=np.bool_)
    for column in range(knots.shape[1]):
        here = values[:, column] == 0
        if column:
            apart = knots[:, column] > knots[:, column - 1]
            flat_before = np.where(apart, here & (values[:, column - 1] == 0), flat_before)
        is_last = column == knots.shape[1] - 1
        counts = np.ones_like(here) if is_last else knots[:, column + 1] > knots[:, column]
        flat_after = slopes == 0 if is_last else values[:, column + 1] == 0
        found[:, column] = here & counts & (knots[:, column] > 0) & ~(flat_before & flat_after)
    return found
