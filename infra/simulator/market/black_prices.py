"""Prices, volatilities and greeks of simulated options: Black and Scholes at one flat rate, European, without dividends.

A vendor's own model, and not a good one: neither early exercise nor dividends are in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

RATE = 0.02  # a year, continuously compounded
YEAR_S = 31_536_000.0
DAYS_A_YEAR = 365.0
PER_POINT = 100.0  # vega and rho are told for a move of one percentage point
MIN_VOL, MAX_VOL = 0.001, 8.0
STEPS = 60
CLOSE_ENOUGH = 1e-7  # dollars
LEAST_TIME_VALUE = 0.002  # dollars; below, no volatility can be read off a price


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackGreeks:
    """Sensitivities: theta a calendar day, vega and rho a percentage point."""

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def normal_cdf(x: float) -> float:
    """Return the probability below `x` standard deviations."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_density(x: float) -> float:
    """Return the density at `x` standard deviations."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def black_price(spot: float, strike: float, years: float, vol: float, *, is_call: bool) -> float:
    """Return a price in dollars; `vol` is a year's, 0.2 for 20 %, and both it and `years` are above 0."""
    d1, d2 = _moneyness(spot, strike, years, vol)
    paid = strike * math.exp(-RATE * years)
    if is_call:
        return spot * normal_cdf(d1) - paid * normal_cdf(d2)
    return paid * normal_cdf(-d2) - spot * normal_cdf(-d1)


def implied_vol(price: float, spot: float, strike: float, years: float, *, is_call: bool) -> float | None:
    """Return the volatility that gives `price`; None where none in reach does, or hardly any time value is left."""
    if years <= 0.0 or spot <= 0.0:
        return None
    paid = strike * math.exp(-RATE * years)
    worth_now = max(0.0, spot - paid if is_call else paid - spot)
    if price - worth_now < LEAST_TIME_VALUE:
        return None
    low, high = MIN_VOL, MAX_VOL
    if black_price(spot, strike, years, high, is_call=is_call) < price:
        return None
    vol = 0.3
    for _ in range(STEPS):
        error = black_price(spot, strike, years, vol, is_call=is_call) - price
        if abs(error) < CLOSE_ENOUGH:
            break
        low, high = (vol, high) if error < 0.0 else (low, vol)
        d1, _ = _moneyness(spot, strike, years, vol)
        slope = spot * normal_density(d1) * math.sqrt(years)
        step = vol - error / slope if slope > 1e-12 else low
        vol = step if low < step < high else (low + high) / 2
    return vol


def black_greeks(spot: float, strike: float, years: float, vol: float, *, is_call: bool) -> BlackGreeks:
    """Return the sensitivities; `years` and `vol` are above 0."""
    d1, d2 = _moneyness(spot, strike, years, vol)
    paid, density, sign = strike * math.exp(-RATE * years), normal_density(d1), 1.0 if is_call else -1.0
    decay = -spot * density * vol / (2.0 * math.sqrt(years)) - sign * RATE * paid * normal_cdf(sign * d2)
    return BlackGreeks(
        delta=sign * normal_cdf(sign * d1),
        gamma=density / (spot * vol * math.sqrt(years)),
        theta=decay / DAYS_A_YEAR,
        vega=spot * density * math.sqrt(years) / PER_POINT,
        rho=sign * paid * years * normal_cdf(sign * d2) / PER_POINT,
    )


def _moneyness(spot: float, strike: float, years: float, vol: float) -> tuple[float, float]:
    spread = vol * math.sqrt(years)
    d1 = (math.log(spot / strike) + RATE * years) / spread + spread / 2.0
    return d1, d1 - spread
