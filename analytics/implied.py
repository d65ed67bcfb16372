"""Implied volatility: the one at which a model gives a price, of European and American options, for whole chains.

Arrays have one element a leg, shape (n,), float64; NaN where there is no such volatility between `LEAST` and `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.american import DEFAULT, Dividends, american_black75, american_prices, pays_before_dividends
from analytics.black import Legs, european_greeks, european_prices
from analytics.boundary import Quadrature
from analytics.normal import DENSITY_AT_ZERO, Doubles, cumulative_into

MODEL_VERSION = 1
"""Raised with every change of a result: what is derived is a function of records, inputs and this number."""
LEAST, MOST = 0.001, 5.0
ROUNDS = 10
EUROPEAN_ROUNDS = 12
# of them, for which seven digits are enough
ROUGH_ROUNDS = 4
# relative, of a volatility: what is left after such a step is its third power
EUROPEAN_STEP = 1e-5
# of the spot, between model and quote
FIT = 5e-7
# European options that are solved at once: see `analytics.boundary`.
BLOCK = 4096
TINY = 1e-280
# Dollars: more than any leg is worth
LARGEST = 1e30

Rows = NDArray[np.intp]
Model = Callable[[Rows, Doubles], Doubles]
"""Prices of the legs at `rows` at a volatility each."""


def european_vols(legs: Legs, price: Doubles) -> Doubles:
    """Return the volatilities at which European prices are `price` (dollars, NaN for none); outside of its bounds a price has none."""
    vols = np.concatenate(
        [_european(legs.take(rows), price[rows]) for rows in _blocks(len(legs))] or [np.empty(0)]
    )
    return np.where((vols >= LEAST) & (vols <= MOST), vols, np.nan)


def _blocks(count: int) -> list[Rows]:
    rows = np.arange(count)
    return [rows[at : at + BLOCK] for at in range(0, count, BLOCK)]


def _european(legs: Legs, price: Doubles) -> Doubles:
    """Solve for the deviation w = σ√T of the out-of-the-money option at the same strike, in units of √(forward·strike)."""
    forward = legs.forward()
    distance = -np.abs(np.log(forward / legs.strike))
    in_the_money = np.where(legs.is_call, forward - legs.strike, legs.strike - forward)
    value = np.clip(price, -LARGEST, LARGEST) * np.exp(legs.rate * legs.years) - np.maximum(in_the_money, 0.0)
    value = value / np.sqrt(forward * legs.strike)
    limit = np.exp(0.5 * distance)
    with np.errstate(invalid="ignore"):
        solvable = (value > TINY) & (value < limit * (1.0 - 1e-15)) & (legs.years > 0.0)
    deviation = np.full(len(legs), np.nan)
    deviation[solvable] = _deviations(distance[solvable], value[solvable])
    return np.asarray(deviation / np.sqrt(np.maximum(legs.years, TINY)))


def _value(
    distance: Doubles, limit: Doubles, w: Doubles, scratch: Doubles, *, is_rough: bool
) -> tuple[Doubles, Doubles]:
    """Return the normalised price and its slope in w; `scratch` is (4, 2, n)."""
    middle, half = distance / w, 0.5 * w
    both, out, first, second = scratch
    np.add(middle, half, out=both[0])
    np.subtract(middle, half, out=both[1])
    near, far = cumulative_into(out, both, first, second, is_rough=is_rough)
    value = limit * near - far / limit
    return value, DENSITY_AT_ZERO * np.exp(-0.5 * (middle * middle + half * half))


def _deviations(distance: Doubles, value: Doubles) -> Doubles:
    """Return w by Halley's steps, on the logarithm of the price below the inflection, on that of what it lacks to its limit above.

    Each of them is nearly straight on its side. The inflection is where w² = 2·|ln F/K| (Manaster and Koehler, The calculation of implied variances from
    the Black-Scholes model, Journal of Finance 37, 1982); bounds on both sides keep a step from leaving.
    """
    limit = np.exp(0.5 * distance)
    turn = np.maximum(np.sqrt(-2.0 * distance), 1e-8)
    scratch = np.empty((4, 2, len(distance)))
    at_turn, slope = _value(distance, limit, turn, scratch, is_rough=False)
    above = value >= at_turn
    wanted = np.log(np.where(above, np.maximum(limit - value, TINY), value))
    w = np.where(
        above, np.minimum(turn + (value - at_turn) / slope, 12.0), _low_start(turn, at_turn, slope, value)
    )
    lowest, highest = np.where(above, turn, 0.0), np.where(above, 40.0, turn)
    low, high = lowest, highest
    sign = np.where(above, -1.0, 1.0)
    for tried in range(EUROPEAN_ROUNDS):
        if tried == ROUGH_ROUNDS:
            # what rough prices said of the side a root lies on may be wrong next to it
            low, high = lowest, highest
        found, slope = _value(distance, limit, w, scratch, is_rough=tried < ROUGH_ROUNDS)
        left = np.maximum(np.where(above, limit - found, found), TINY)
        # of the logarithm, times `sign` so that it rises with w on both sides
        miss = sign * (np.log(left) - wanted)
        rise = slope / left
        # second derivative over the first, of the price and then of its logarithm
        bend = (distance / w) ** 2 / w - 0.25 * w - sign * rise
        low, high = np.where(miss <= 0.0, w, low), np.where(miss > 0.0, w, high)
        step = miss / np.maximum(rise, TINY)
        moved = w - step / np.clip(1.0 - 0.5 * step * bend, 0.3, 3.0)
        moved = np.where((moved >= low) & (moved <= high), moved, 0.5 * (low + high))
        is_done = tried >= ROUGH_ROUNDS and bool(np.all(np.abs(moved - w) <= EUROPEAN_STEP * w))
        w = moved
        if is_done:
            break
    return w


def _low_start(turn: Doubles, at_turn: Doubles, slope: Doubles, value: Doubles) -> Doubles:
    """Return w from ln(price) as a straight line in 1/w², which it is for small w, through the inflection with its slope."""
    steepness = 0.5 * turn**3 * slope / np.maximum(at_turn, TINY)
    lacking = np.maximum(np.log(np.maximum(at_turn, TINY)) - np.log(value), 0.0)
    return np.asarray(1.0 / np.sqrt(1.0 / turn**2 + lacking / np.maximum(steepness, TINY)))


def american_vols(legs: Legs, price: Doubles, by: Quadrature = DEFAULT, dividends: Dividends = ()) -> Doubles:
    """Return the volatilities at which American prices are `price`; calls worth exercising before one of `dividends` by Black's approximation.

    A price that exercising now would pay, or less, has none.
    """
    start, price = european_vols(legs, price), np.clip(price, -LARGEST, LARGEST)
    special = pays_before_dividends(legs, dividends)
    # An American leg is worth more at each volatility: what is below the European bound has none, what is above may have one.
    with np.errstate(invalid="ignore"):
        may_have = special | ~np.isnan(start) | (price > european_prices(legs, MOST))
        open_ = may_have & (price > legs.intrinsic())

    def integral(rows: Rows, vol: Doubles) -> Doubles:
        return american_prices(legs.take(rows), vol, by)

    def with_dividends(rows: Rows, vol: Doubles) -> Doubles:
        return american_black75(legs.take(rows), vol, dividends).price

    vols = np.full(len(legs), np.nan)
    for model, mask in ((integral, open_ & ~special), (with_dividends, open_ & special)):
        rows = np.flatnonzero(mask)
        vols[rows] = _roots(model, legs, price, rows, start)
    return vols


@dataclass(slots=True)
class _Search:
    """State of a search for some roots: bounds, the last volatility and how far its price was off."""

    low: Doubles
    high: Doubles
    before: Doubles
    miss_before: Doubles


def _roots(model: Model, legs: Legs, price: Doubles, rows: Rows, start: Doubles) -> Doubles:
    """Return where `model` fits the prices of `rows`, by secants between bounds; rows that fit are not priced again."""
    vol, count = np.where(np.isnan(start[rows]), 1.0, start[rows]), len(rows)
    search = _Search(
        np.full(count, LEAST), np.full(count, MOST), np.full(count, np.nan), np.full(count, np.nan)
    )
    found, active = np.full(count, np.nan), np.arange(count)
    for _ in range(ROUNDS):
        if not len(active):
            break
        at, leg_rows = vol[active], rows[active]
        miss = model(leg_rows, at) - price[leg_rows]
        fits = np.abs(miss) <= FIT * legs.spot[leg_rows]
        found[active[fits]] = at[fits]
        rising = european_greeks(legs.take(leg_rows), at).vega * 100.0
        vol[active] = _next(search, active, at, miss, rising)
        active = active[~fits]
    return found


def _next(search: _Search, active: Rows, at: Doubles, miss: Doubles, rising: Doubles) -> Doubles:
    """Return the next volatilities and note the last; the first slope is the European one."""
    low = np.where(miss <= 0.0, np.maximum(search.low[active], at), search.low[active])
    high = np.where(miss > 0.0, np.minimum(search.high[active], at), search.high[active])
    apart = at - search.before[active]
    slope = (miss - search.miss_before[active]) / np.where(apart == 0.0, np.nan, apart)
    # Where exercising now is best the price is flat, and a secant leads nowhere: then the middle is next.
    slope = np.where(np.isnan(slope), np.maximum(rising, TINY), np.maximum(slope, TINY))
    search.low[active], search.high[active] = low, high
    search.before[active], search.miss_before[active] = at, miss
    moved = at - np.clip(miss, -2.0 * MOST * slope, 2.0 * MOST * slope) / slope
    return np.where((moved > low) & (moved < high), moved, 0.5 * (low + np.minimum(high, 2.0 * at)))
