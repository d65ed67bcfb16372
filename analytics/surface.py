"""Volatility surface of one underlying: smiles by expiry, what lies between them, and figures read off it.

A smile is total variance w = σ²T over log-moneyness k = ln(K/F), from out-of-the-money options (puts below the forward,
calls from it on): linear in k between strikes, of constant σ outside. Between expiries w is linear in T at equal k (J.
Gatheral, The Volatility Surface, chapter 2). Nothing is smoothed or repaired: violations of no-arbitrage are told.

Volatilities are decimals a year, times years of 365 days, forwards and strikes USD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytics.black import DAYS_PER_YEAR, MAX_YEARS, PRICES, Flags, Legs, european_prices
from analytics.normal import Doubles
from analytics.payoff import LARGEST

WING_DELTA = 0.25
LEAST_VOLATILITY = 1e-6  # no option has less; its inverse is the most
LEAST_YEARS = 1e-9  # between two expiries: less is one
FARTHEST_MONEYNESS = 300.0  # of ln(K/F), where exp() still has a square
CONVEXITY_ROUNDING = 1e-9  # of the forward: a slope of call prices that falls by less is not a violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Smile:
    """Out-of-the-money options of one expiry, by strike: log-moneyness, total variance, delta, and which are calls."""

    forward: float
    years: float
    moneyness: Doubles
    variances: Doubles
    deltas: Doubles
    is_call: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Volatility:
    """A volatility read off a smile or surface; `extrapolated` where no strike or expiry lies beyond it."""

    value: float
    extrapolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wings:
    """Volatilities at a delta of 25 % on both sides, their difference (call − put) and their mean over the one at the money.

    None where no two neighbouring options enclose that delta.
    """

    call: float | None
    put: float | None
    risk_reversal: float | None
    butterfly: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedMove:
    """Move of the underlying that is expected until an expiry, USD: one standard deviation, and the price of the straddle."""

    deviation: float | None
    straddle: float | None


def smile(
    *, strikes: Doubles, is_call: Flags, volatilities: Doubles, deltas: Doubles, forward: float, years: float
) -> Smile | None:
    """Return the smile of one expiry (T in years) from the options that have a volatility (NaN: none); None without any."""
    if not (forward > 0 and years > 0):
        return None
    known = np.isfinite(volatilities) & (volatilities > 0) & np.isfinite(strikes) & (strikes > 0)
    chosen = known & (is_call == (strikes >= forward))
    if not chosen.any():
        return None
    forward, years = min(max(forward, PRICES[0]), PRICES[1]), min(years, MAX_YEARS)
    # of one strike listed twice the first stands
    listed, first = np.unique(strikes[chosen], return_index=True)
    sigma = volatilities[chosen][first]
    return Smile(
        forward=forward,
        years=years,
        moneyness=np.log(listed) - math.log(forward),
        variances=np.clip(sigma, LEAST_VOLATILITY, 1 / LEAST_VOLATILITY) ** 2 * years,
        deltas=deltas[chosen][first],
        is_call=is_call[chosen][first],
    )


def smile_volatility(source: Smile, moneyness: float) -> Volatility:
    """Return the volatility of a smile at ln(K/F); outside of its strikes that of the last one."""
    variance = float(np.interp(moneyness, source.moneyness, source.variances))
    outside = not source.moneyness[0] <= moneyness <= source.moneyness[-1]
    return Volatility(value=math.sqrt(variance / source.years), extrapolated=outside)


def atm_volatility(source: Smile) -> float:
    """Return the volatility at the forward, √(w(0)/T)."""
    return smile_volatility(source, 0.0).value


def surface_volatility(smiles: Sequence[Smile], *, moneyness: float, years: float) -> Volatility | None:
    """Return the volatility at ln(K/F) and T (years): total variance linear between expiries, constant σ outside of them.

    `smiles` in order of expiry; None without any.
    """
    if not smiles or not years > 0:
        return None
    near = max((each for each in smiles if each.years <= years), key=_years, default=None)
    far = min((each for each in smiles if each.years >= years), key=_years, default=None)
    if near is None or far is None:
        edge = smile_volatility(far or near or smiles[0], moneyness)
        return Volatility(value=edge.value, extrapolated=True)
    low, high = smile_volatility(near, moneyness), smile_volatility(far, moneyness)
    span = far.years - near.years
    share = (years - near.years) / span if span > 0 else 0.0
    variance = low.value**2 * near.years * (1 - share) + high.value**2 * far.years * share
    return Volatility(value=math.sqrt(variance / years), extrapolated=low.extrapolated or high.extrapolated)


def constant_maturity(smiles: Sequence[Smile], *, days: float) -> float | None:
    """Return the volatility at the forward for a fixed number of days ahead; None outside of the listed expiries.

    σ²·T = w₁ + (w₂ − w₁)(T − T₁)/(T₂ − T₁), as Cboe interpolates between two expiries for the VIX.
    """
    years = days / DAYS_PER_YEAR
    if not any(each.years <= years for each in smiles) or not any(each.years >= years for each in smiles):
        return None
    found = surface_volatility(smiles, moneyness=0.0, years=years)
    return None if found is None else found.value


def forward_volatility(near: Smile, far: Smile) -> float | None:
    """Return the volatility at the forward from one expiry to the next, √((w₂ − w₁)/(T₂ − T₁)); None where that is negative."""
    span = far.years - near.years
    growth = atm_volatility(far) ** 2 * far.years - atm_volatility(near) ** 2 * near.years
    return math.sqrt(growth / span) if span > LEAST_YEARS and growth >= 0 else None


def wings(source: Smile) -> Wings:
    """Return volatilities at 25 % delta, linear in delta between neighbouring strikes, with risk reversal and butterfly."""
    call, put = _at_delta(source, calls=True), _at_delta(source, calls=False)
    if call is None or put is None:
        return Wings(call=call, put=put, risk_reversal=None, butterfly=None)
    middle = (call + put) / 2 - atm_volatility(source)
    return Wings(call=call, put=put, risk_reversal=call - put, butterfly=middle)


def expected_move(source: Smile | None, *, straddle: float | None) -> ExpectedMove:
    """Return the move (USD) until an expiry: F·σ√T, and the mid of the straddle at the money where it has one."""
    if source is None:
        return ExpectedMove(deviation=None, straddle=straddle)
    deviation = source.forward * atm_volatility(source) * math.sqrt(source.years)
    return ExpectedMove(deviation=deviation, straddle=straddle)


def atm_straddle(*, strikes: Doubles, is_call: Flags, mids: Doubles, forward: float) -> float | None:
    """Return the price (USD) of put and call at the strike nearest to the forward, of two the lower; None without both.

    `mids` has one value a contract, NaN where it has no price.
    """
    priced = np.isfinite(mids) & (np.abs(mids) < LARGEST) & (np.abs(strikes) < LARGEST)
    both = np.intersect1d(strikes[priced & is_call], strikes[priced & ~is_call])
    if not len(both):
        return None
    strike = both[int(np.argmin(np.abs(both - min(forward, LARGEST))))]
    at = priced & (strikes == strike)
    return float(mids[at & is_call][0]) + float(mids[at & ~is_call][0])


def calendar_violations(smiles: Sequence[Smile]) -> tuple[bool, ...]:
    """Return for each expiry, in order, whether total variance at the forward is below that of the expiry before."""
    variances = [atm_volatility(each) ** 2 * each.years for each in smiles]
    return (*(False for _ in variances[:1]), *(later < earlier for earlier, later in pairwise(variances)))


def butterfly_violations(source: Smile) -> int:
    """Return at how many strikes call prices, by the smile's volatilities, are not convex: a butterfly there costs less than 0."""
    ratios = np.exp(np.clip(source.moneyness, -FARTHEST_MONEYNESS, FARTHEST_MONEYNESS))
    apart = np.concatenate([[True], np.diff(ratios) > 0])
    ratios, variances = ratios[apart], source.variances[apart]
    legs = Legs.of(spot=1.0, strike=ratios, years=source.years, rate=0.0, dividend_yield=0.0, is_call=True)
    calls = european_prices(legs, np.sqrt(variances / source.years))
    slopes = np.diff(calls) / np.diff(ratios)
    return int(np.sum(np.diff(slopes) < -CONVEXITY_ROUNDING))


def _years(source: Smile) -> float:
    return source.years


def _at_delta(source: Smile, *, calls: bool) -> float | None:
    """Return the volatility at 25 % delta of one side: from the money outwards, between the first two options around it."""
    side = source.is_call == calls
    order = np.flatnonzero(side) if calls else np.flatnonzero(side)[::-1]
    deltas = np.abs(source.deltas[order])
    volatilities = np.sqrt(source.variances[order] / source.years)
    for inner in range(len(order) - 1):
        near, far = float(deltas[inner]), float(deltas[inner + 1])
        if near >= WING_DELTA >= far:
            share = (near - WING_DELTA) / (near - far) if near > far else 0.0
            return float(volatilities[inner] * (1 - share) + volatilities[inner + 1] * share)
    return None
