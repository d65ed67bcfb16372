"""Implied volatility: the one at which a model gives a price, of European and American options, for whole chains.

Arrays have one element a leg, shape (n,), float64; NaN where there is no such volatility between `LEAST` and `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.american import DEFAULT, Dividends, american_black75, american_prices, pays_before_dividends
from analytics.black import Flags, Legs, european_greeks, european_prices
from analytics.boundary import Quadrature
from analytics.normal import DENSITY_AT_ZERO, Doubles, cumulative_into

MODEL_VERSION = 1
"""Raised with every change of a result: what is derived is a function of records, inputs and this number."""
LEAST, MOST = 0.001, 5.0
ROUNDS = 16
EUROPEAN_ROUNDS = 12
# before them, for which seven digits are enough
ROUGH_ROUNDS = 3
# relative, of a volatility: what is left after such a step is its third power
EUROPEAN_STEP = 1e-5
# of the spot, between model and quote
FIT = 5e-7
# European options that are solved at once: see `analytics.boundary`.
BLOCK = 3072
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


@dataclass(frozen=True, slots=True)
class _Side:
    """Rows of one solution: ln of the smaller of forward and strike over the other, the most a price can be, which logarithm is solved, and for what."""

    distance: Doubles
    limit: Doubles
    is_above: Flags
    sign: Doubles
    wanted: Doubles

    def take(self, rows: Rows) -> _Side:
        """Return some of them."""
        return _Side(
            self.distance[rows], self.limit[rows], self.is_above[rows], self.sign[rows], self.wanted[rows]
        )


def _value(
    distance: Doubles, limit: Doubles, w: Doubles, scratch: Doubles, *, is_rough: bool
) -> tuple[Doubles, Doubles, Doubles]:
    """Return the normalised price, its slope in w, and (distance/w)²; `scratch` is (5, 2, n) or more, and holds all three."""
    both, out, first, second, (middle, half) = scratch[:5]
    np.divide(distance, w, out=middle)
    np.multiply(w, 0.5, out=half)
    np.add(middle, half, out=both[0])
    np.subtract(middle, half, out=both[1])
    near, far = cumulative_into(out, both, first, second, is_rough=is_rough)
    near *= limit
    far /= limit
    half *= half
    middle *= middle
    half += middle
    half *= -0.5
    slope = np.exp(half, out=half)
    slope *= DENSITY_AT_ZERO
    return np.subtract(near, far, out=near), slope, middle


def _halley(
    side: _Side, w: Doubles, low: Doubles, high: Doubles, scratch: Doubles, *, is_rough: bool
) -> Doubles:
    """Return the next w, and narrow the bounds in place; `scratch` is (7, 2, n)."""
    (left, rise), (bend, part) = scratch[5:]
    found, slope, square = _value(side.distance, side.limit, w, scratch, is_rough=is_rough)
    np.copyto(left, found)
    np.subtract(side.limit, found, out=left, where=side.is_above)
    np.maximum(left, TINY, out=left)
    np.divide(np.maximum(slope, TINY, out=slope), left, out=rise)
    # of the logarithm, times `sign` so that it rises with w on both sides
    miss = np.log(left, out=left)
    miss -= side.wanted
    miss *= side.sign
    # second derivative over the first, of the price and then of its logarithm
    np.divide(square, w, out=bend)
    bend -= np.multiply(w, 0.25, out=part)
    bend -= np.multiply(side.sign, rise, out=part)
    np.copyto(low, w, where=miss <= 0.0)
    np.copyto(high, w, where=miss > 0.0)
    step = np.divide(miss, rise, out=miss)
    bend *= step
    bend *= -0.5
    bend += 1.0
    np.minimum(np.maximum(bend, 0.3, out=bend), 3.0, out=bend)
    moved: Doubles = w - np.divide(step, bend, out=step)
    strays = ~((moved >= low) & (moved <= high))
    moved[strays] = 0.5 * (low[strays] + high[strays])
    return moved


def _deviations(distance: Doubles, value: Doubles) -> Doubles:
    """Return w by Halley's steps, on the logarithm of the price below the inflection, on that of what it lacks to its limit above.

    Each of them is nearly straight on its side. The inflection is where w² = 2·|ln F/K| (Manaster and Koehler, The calculation of implied variances from
    the Black-Scholes model, Journal of Finance 37, 1982); bounds on both sides keep a step from leaving. What has settled is left alone.
    """
    limit = np.exp(0.5 * distance)
    turn = np.maximum(np.sqrt(-2.0 * distance), 1e-8)
    scratch = np.empty((7, 2, len(distance)))
    found, slope, _ = _value(distance, limit, turn, scratch, is_rough=False)
    at_turn, slope = found.copy(), slope.copy()
    is_above = value >= at_turn
    wanted = np.log(np.where(is_above, np.maximum(limit - value, TINY), value))
    side = _Side(distance, limit, is_above, np.where(is_above, -1.0, 1.0), wanted)
    rising = np.minimum(turn + (value - at_turn) / slope, 12.0)
    w = np.where(is_above, rising, _low_start(turn, at_turn, slope, value))
    lowest, highest = np.where(is_above, turn, 0.0), np.where(is_above, 40.0, turn)
    low, high = lowest.copy(), highest.copy()
    for _ in range(ROUGH_ROUNDS):
        w = _halley(side, w, low, high, scratch, is_rough=True)
    # What rough prices said of the side a root lies on may be wrong next to it.
    low, high, active = lowest, highest, np.arange(len(w))
    for _ in range(EUROPEAN_ROUNDS):
        some = side if len(active) == len(w) else side.take(active)
        at, bottom, top = w[active], low[active], high[active]
        moved = _halley(some, at, bottom, top, scratch[..., : len(at)], is_rough=False)
        w[active], low[active], high[active] = moved, bottom, top
        active = active[np.abs(moved - at) > EUROPEAN_STEP * at]
        if not len(active):
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
    """Return where `model` fits the prices of `rows`, by secants between bounds; rows that fit are not priced again.

    What is made to fit is the root of the time value: just above its exercise boundary that is straight in volatility, where the price is a parabola.
    """
    vol, count = np.where(np.isnan(start[rows]), 1.0, start[rows]), len(rows)
    search = _Search(
        np.full(count, LEAST), np.full(count, MOST), np.full(count, np.nan), np.full(count, np.nan)
    )
    found, active = np.full(count, np.nan), np.arange(count)
    for _ in range(ROUNDS):
        if not len(active):
            break
        at, leg_rows = vol[active], rows[active]
        some = legs.take(leg_rows)
        modelled, intrinsic = model(leg_rows, at), some.intrinsic()
        fits = np.abs(modelled - price[leg_rows]) <= FIT * some.spot
        found[active[fits]] = at[fits]
        root = np.sqrt(np.maximum(modelled - intrinsic, 0.0))
        miss = root - np.sqrt(price[leg_rows] - intrinsic)
        # where exercising now is best the price is flat, and says nothing of the way but its direction
        rising = np.where(root > 0.0, european_greeks(some, at).vega * 50.0 / np.maximum(root, 1e-9), np.nan)
        vol[active] = _next(search, active, at, miss, rising)
        active = active[~fits]
    return found


def _next(search: _Search, active: Rows, at: Doubles, miss: Doubles, rising: Doubles) -> Doubles:
    """Return the next volatilities and note the last; the first slope is `rising`, and where that is NaN the middle is next."""
    low = np.where(miss <= 0.0, np.maximum(search.low[active], at), search.low[active])
    high = np.where(miss > 0.0, np.minimum(search.high[active], at), search.high[active])
    apart = at - search.before[active]
    slope = (miss - search.miss_before[active]) / np.where(apart == 0.0, np.nan, apart)
    slope = np.maximum(np.where(np.isnan(slope), np.nan_to_num(rising), slope), TINY)
    tells = ~np.isnan(rising)
    search.low[active], search.high[active] = low, high
    search.before[active[tells]], search.miss_before[active[tells]] = at[tells], miss[tells]
    moved = at - np.clip(miss, -2.0 * MOST * slope, 2.0 * MOST * slope) / slope
    is_within = tells & (moved > low) & (moved < high)
    # A bound that was never priced says little: twice as far is far enough.
    above = np.where(high < MOST, high, np.minimum(high, 2.0 * at))
    return np.where(is_within, moved, 0.5 * (low + above))
