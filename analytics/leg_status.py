"""Legs of a chain as they are quoted: which of them have an implied volatility, and why the others have none.

Arrays have one element a leg, shape (n,), float64; NaN stands for what is not quoted, and for what is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.american import DEFAULT, Dividends, american_black75, american_greeks, pays_before_dividends
from analytics.black import Flags, Greeks, Legs, european_greeks, european_prices
from analytics.boundary import Quadrature
from analytics.implied import LARGEST, american_vols, european_vols
from analytics.normal import Doubles

WIDE = 0.10
"""Dollars: a spread up to here is never wide, whatever it is of the price."""
WIDE_SHARE = 0.5
HALF_TICK = 0.005
LEAST_VEGA = 0.001
"""Dollars a volatility point: below it a tick of the quote is five points."""


class LegStatus(IntEnum):
    """Reasons for a leg to have no implied volatility, in the order they are looked for; the first that holds is the leg's."""

    OK = 0
    EXPIRED = 1
    ADJUSTED_DELIVERABLE = 2
    UNKNOWN_SETTLEMENT = 3
    NO_UNDERLYING = 4
    STALE = 5
    NO_BID = 6
    NO_ASK = 7
    CROSSED = 8
    WIDE = 9
    BELOW_INTRINSIC = 10
    AT_INTRINSIC = 11
    ABOVE_BOUND = 12
    NO_ROOT = 13
    LOW_VEGA = 14

    @property
    def label(self) -> str:
        """The word of answers: `ok`, `no_bid`, and so on."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class QuotedLegs:
    """Legs with their quotes and what is known of them; flags are one for all or one a leg.

    `bid` and `ask` in dollars, NaN where there is none. `is_stale`: the quote, or its slice, is older than counts. Without an underlying price
    (`has_underlying`) the legs' spot is of no meaning. `is_european` is by the root.
    """

    legs: Legs
    bid: Doubles
    ask: Doubles
    is_european: ArrayLike = False
    is_adjusted: ArrayLike = False
    is_settlement_known: ArrayLike = True
    has_underlying: ArrayLike = True
    is_stale: ArrayLike = False


@dataclass(frozen=True, slots=True)
class ImpliedLegs:
    """Legs with what their quotes imply: `status` holds `LegStatus`, `vol` is 0.2 for 20 %, `width` is (ask − bid)/vega in the same unit.

    `mid` is NaN where there is no price to use; `vol`, `width` and greeks are NaN where the status is not ok.
    """

    status: NDArray[np.int8]
    mid: Doubles
    vol: Doubles
    width: Doubles
    greeks: Greeks

    def counts(self) -> Mapping[str, int]:
        """Return how many legs have each status, those that none has left out."""
        codes, numbers = np.unique(self.status, return_counts=True)
        return {LegStatus(code).label: int(number) for code, number in zip(codes, numbers, strict=True)}


def implied_legs(quoted: QuotedLegs, by: Quadrature = DEFAULT, dividends: Dividends = ()) -> ImpliedLegs:
    """Return status, volatility and greeks of each leg; known cash `dividends` count for the calls worth exercising before one."""
    legs = quoted.legs
    status, (mid, spread) = quote_status(quoted), _mid_and_spread(quoted)
    is_european = _each(quoted.is_european, legs)
    is_open = status == LegStatus.OK
    vol = np.full(len(legs), np.nan)
    for rows in (np.flatnonzero(is_open & is_european), np.flatnonzero(is_open & ~is_european)):
        some = legs.take(rows)
        european = len(rows) > 0 and bool(is_european[rows[0]])
        vol[rows] = (
            european_vols(some, mid[rows]) if european else american_vols(some, mid[rows], by, dividends)
        )
    status[is_open & np.isnan(vol)] = LegStatus.NO_ROOT
    rows = np.flatnonzero(status == LegStatus.OK)
    found = model_greeks(
        legs.take(rows), vol[rows], is_european=is_european[rows], by=by, dividends=dividends
    )
    tells = found.vega >= LEAST_VEGA
    status[rows[~tells]] = LegStatus.LOW_VEGA
    vol[status != LegStatus.OK] = np.nan
    greeks = Greeks(
        *(_spread(getattr(found, each.name)[tells], rows[tells], legs) for each in fields(Greeks))
    )
    is_priced = (status == LegStatus.OK) | (status >= LegStatus.BELOW_INTRINSIC)
    return ImpliedLegs(
        status=status,
        mid=np.where(is_priced, mid, np.nan),
        vol=vol,
        width=spread / greeks.vega / 100.0,
        greeks=greeks,
    )


def model_greeks(
    legs: Legs,
    vol: Doubles,
    *,
    is_european: ArrayLike = False,
    by: Quadrature = DEFAULT,
    dividends: Dividends = (),
) -> Greeks:
    """Return prices and greeks by the model each leg is priced with."""
    european, special = _each(is_european, legs), pays_before_dividends(legs, dividends)
    parts = [np.empty(len(legs)) for _ in fields(Greeks)]
    for mask in (european, special & ~european, ~(special | european)):
        rows = np.flatnonzero(mask)
        if not len(rows):
            continue
        some, at = legs.take(rows), vol[rows]
        if european[rows[0]]:
            found = european_greeks(some, at)
        elif special[rows[0]]:
            found = american_black75(some, at, dividends)
        else:
            found = american_greeks(some, at, by)
        for part, each in zip(parts, fields(Greeks), strict=True):
            part[rows] = getattr(found, each.name)
    return Greeks(*parts)


def quote_status(quoted: QuotedLegs) -> NDArray[np.int8]:
    """Return the first reason of each leg that can be seen without solving for its volatility, else ok."""
    legs, bid, ask, (mid, spread) = quoted.legs, quoted.bid, quoted.ask, _mid_and_spread(quoted)
    with np.errstate(invalid="ignore"):
        least, most = _bounds(legs, _each(quoted.is_european, legs))
        reasons: Mapping[LegStatus, Flags] = {
            LegStatus.EXPIRED: legs.years <= 0.0,
            LegStatus.ADJUSTED_DELIVERABLE: _each(quoted.is_adjusted, legs),
            LegStatus.UNKNOWN_SETTLEMENT: ~_each(quoted.is_settlement_known, legs),
            LegStatus.NO_UNDERLYING: ~_each(quoted.has_underlying, legs),
            LegStatus.STALE: _each(quoted.is_stale, legs),
            LegStatus.NO_BID: ~(bid > 0.0),
            LegStatus.NO_ASK: ~(ask > 0.0),
            LegStatus.CROSSED: bid > ask,
            LegStatus.WIDE: spread > np.maximum(WIDE, WIDE_SHARE * mid),
            LegStatus.BELOW_INTRINSIC: mid < least - HALF_TICK,
            LegStatus.AT_INTRINSIC: mid <= least + HALF_TICK,
            LegStatus.ABOVE_BOUND: mid >= most,
        }
    # the first reason is written last
    status = np.full(len(legs), LegStatus.OK, np.int8)
    for reason, holds in reversed(list(reasons.items())):
        status[holds] = reason
    return status


def _mid_and_spread(quoted: QuotedLegs) -> tuple[Doubles, Doubles]:
    bid, ask = (np.clip(each, -LARGEST, LARGEST) for each in (quoted.bid, quoted.ask))
    return 0.5 * (bid + ask), ask - bid


def _bounds(legs: Legs, is_european: Flags) -> tuple[Doubles, Doubles]:
    """Return what a leg is worth at least, without any volatility, and what it can never reach."""
    least = np.where(is_european, european_prices(legs, 0.0), legs.intrinsic())
    return least, np.where(legs.is_call, legs.spot, legs.strike)


def _each(flag: ArrayLike, legs: Legs) -> Flags:
    return np.broadcast_to(np.asarray(flag, np.bool_), (len(legs),))


def _spread(values: Doubles, rows: NDArray[np.intp], legs: Legs) -> Doubles:
    """Return values at their rows, NaN at all others."""
    out = np.full(len(legs), np.nan)
    out[rows] = values
    return out
