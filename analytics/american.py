"""American options: prices and greeks of whole chains, European ones with a premium of early exercise on them.

Arrays have one element a leg, shape (n,), float64. A call is the put with spot and strike, rate and yield exchanged (McDonald and Schroder, A parity
result for American options, Journal of Computational Finance 1, 1998). Where exercising early never pays (a call with a yield ≤ 0, a put with a rate ≤ 0) the
price is the European one, or what exercising pays if that is more: of rates below zero the second boundary is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.black import (
    DAYS_PER_YEAR,
    LEAST_DEVIATION,
    PRICES,
    Flags,
    Greeks,
    Legs,
    bounded_vol,
    european_greeks,
    european_prices,
    theta_per_day,
)
from analytics.boundary import Premiums, Puts, Quadrature, premiums, quadrature
from analytics.normal import Doubles, cumulative

DEFAULT = quadrature(5, 7, 4, 12)
"""Within 5.1e-5 of the spot on a usual chain, within 6e-4 on puts from everywhere; see `benchmarks/options_pricing.py`."""
FAST = quadrature(4, 6, 3, 10)
"""Within 1.3e-4 of the spot on a usual chain, in three quarters of the time."""
# Of the strike: below it a premium is nothing beside a quote's tick.
NEGLIGIBLE = 1e-7
# Of the spot: only above it is the premium priced again for vega and rho.
WORTH_PRICING_AGAIN = 1e-6
LEAST_RATE = 1e-12
VOL_STEP = 1e-3
RATE_STEP = 1e-3
# Years: so little before the ex-dividend date a call may be exercised.
JUST_BEFORE = 1e-6

Dividends = Sequence[tuple[float, float]]
"""Cash dividends a share: (years from the valuation time to the ex-date, dollars)."""


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """Legs as puts with strike 1: what they are times `scale` is in dollars. `may_pay` says where early exercise can."""

    puts: Puts
    scale: Doubles
    may_pay: Flags


def _mirrored(legs: Legs, vol: Doubles) -> _Mirrored:
    """Return the legs as puts; those whose premium is surely negligible may not pay."""
    log_spot = np.log(legs.spot / legs.strike)
    puts = Puts(
        log_spot=np.where(legs.is_call, -log_spot, log_spot),
        years=legs.years,
        rate=np.where(legs.is_call, legs.dividend_yield, legs.rate),
        dividend_yield=np.where(legs.is_call, legs.rate, legs.dividend_yield),
        vol=vol,
    )
    may_pay = (puts.rate > LEAST_RATE) & (vol * np.sqrt(legs.years) > LEAST_DEVIATION)
    return _Mirrored(
        puts=puts,
        scale=np.where(legs.is_call, legs.spot, legs.strike),
        may_pay=may_pay & (_largest_premium(puts) > NEGLIGIBLE),
    )


def _largest_premium(puts: Puts) -> Doubles:
    """Return what a premium cannot exceed, of the strike: interest on it for all the time left, times the chance of being exercised by then.

    The boundary lies below X, so that the chance is at most that of lying below X, at the moment when that is likeliest.
    """
    interest = np.maximum(puts.rate, 0.0) * puts.years
    payout = np.maximum(-puts.dividend_yield, 0.0) * puts.years
    above = puts.log_spot + np.log(np.maximum(1.0, puts.dividend_yield / np.maximum(puts.rate, LEAST_RATE)))
    vol = np.maximum(puts.vol, LEAST_DEVIATION)
    drift = puts.rate - puts.dividend_yield - 0.5 * vol * vol
    until = np.where(drift * puts.years > above, above / np.maximum(drift, LEAST_DEVIATION), puts.years)
    until = np.clip(until, LEAST_DEVIATION, np.maximum(puts.years, LEAST_DEVIATION))
    chance = cumulative(-(above + drift * until) / (vol * np.sqrt(until)))
    paid = interest + payout * np.exp(np.minimum(puts.log_spot, 50.0) + payout)
    return np.asarray(paid * np.where(above > 0.0, chance, 1.0))


def _rows(puts: Puts, rows: NDArray[np.intp]) -> Puts:
    return Puts(
        puts.log_spot[rows], puts.years[rows], puts.rate[rows], puts.dividend_yield[rows], puts.vol[rows]
    )


def _bounded(premium: Premiums, scale: Doubles, european: Doubles, intrinsic: Doubles) -> Doubles:
    """Return prices from premiums: never below the European one or what exercising pays, never above the most a leg can be worth."""
    price = european + np.maximum(premium.value, 0.0) * scale
    price = np.where(premium.is_exercised | ~np.isfinite(price), intrinsic, price)
    return np.maximum(np.minimum(price, np.maximum(scale, european)), np.maximum(european, intrinsic))


def american_prices(legs: Legs, vol: ArrayLike, by: Quadrature = DEFAULT) -> Doubles:
    """Return the prices at a volatility each."""
    vol = bounded_vol(vol, legs)
    european, intrinsic = european_prices(legs, vol), legs.intrinsic()
    price = np.maximum(european, intrinsic)
    mirrored = _mirrored(legs, vol)
    rows = np.flatnonzero(mirrored.may_pay)
    if len(rows):
        found = premiums(_rows(mirrored.puts, rows), by)
        price[rows] = _bounded(found, mirrored.scale[rows], european[rows], intrinsic[rows])
    return price


def american_greeks(legs: Legs, vol: ArrayLike, by: Quadrature = DEFAULT) -> Greeks:
    """Return prices and greeks at a volatility each, in the units of `Greeks`; a leg that is best exercised now has those of its payoff.

    Delta and gamma are derivatives of the integral, since the boundary does not depend on the spot; theta follows from the pricing equation. The boundary
    does depend on volatility and rate, so that vega and rho are those of the European leg and the difference of two premiums.
    """
    vol = bounded_vol(vol, legs)
    greeks, intrinsic = european_greeks(legs, vol), legs.intrinsic()
    mirrored = _mirrored(legs, vol)
    rows = np.flatnonzero(mirrored.may_pay)
    found = premiums(_rows(mirrored.puts, rows), by) if len(rows) else None
    price, delta, gamma = np.maximum(greeks.price, intrinsic), greeks.delta.copy(), greeks.gamma.copy()
    vega, rho = greeks.vega.copy(), greeks.rho.copy()
    if found is not None:
        scale = mirrored.scale[rows]
        price[rows] = _bounded(found, scale, greeks.price[rows], intrinsic[rows])
        own, other = _by_spot(legs.take(rows), found)
        delta[rows] += own
        gamma[rows] = np.maximum(gamma[rows] + other, 0.0)
        again = rows[price[rows] - greeks.price[rows] > WORTH_PRICING_AGAIN * legs.spot[rows]]
        vega_change, rho_change = _premium_changes(legs.take(again), vol[again], by)
        vega[again] = np.maximum(vega[again] + vega_change, 0.0)
        rho[again] += rho_change
    theta = theta_per_day(legs, vol, price, delta, gamma)
    exercised = (price <= intrinsic) & (greeks.price < intrinsic * (1.0 - 1e-12))
    sign = np.where(legs.is_call, 1.0, -1.0)
    gone = [np.where(exercised, 0.0, each) for each in (gamma, vega, theta, rho)]
    return Greeks(price, np.where(exercised, sign, np.clip(delta, -1.0, 1.0)), *gone)


def _by_spot(legs: Legs, found: Premiums) -> tuple[Doubles, Doubles]:
    """Return what premiums add to delta and gamma; of a call the spot is its put's strike, of degree 1 as the spot is."""
    strikes = legs.strike / legs.spot
    delta = np.where(legs.is_call, found.value - strikes * found.slope, found.slope)
    gamma = np.where(legs.is_call, found.curvature * strikes**2 / legs.spot, found.curvature / legs.strike)
    return delta, gamma


def _premium_changes(legs: Legs, vol: Doubles, by: Quadrature) -> tuple[Doubles, Doubles]:
    """Return how premiums change with a volatility point, and with 1 % of rate, by central differences."""
    count = len(legs)
    if not count:
        return np.empty(0), np.empty(0)
    vol_step = np.minimum(np.maximum(0.01 * vol, VOL_STEP), 0.5 * vol)
    rate_step = np.where(legs.is_call, RATE_STEP, np.minimum(RATE_STEP, 0.5 * legs.rate))
    four = legs.take(np.tile(np.arange(count), 4))
    vols = np.concatenate([vol + vol_step, vol - vol_step, vol, vol])
    rates = np.concatenate([legs.rate, legs.rate, legs.rate + rate_step, legs.rate - rate_step])
    moved = replace(four, rate=rates)
    found = american_prices(moved, vols, by) - european_prices(moved, vols)
    up, down, dearer, cheaper = found.reshape(4, count)
    return (up - down) / (200.0 * vol_step), (dearer - cheaper) / (200.0 * rate_step)


def pays_before_dividends(legs: Legs, dividends: Dividends) -> Flags:
    """Return which calls Black's approximation is for: those with a dividend before expiry above the interest on the strike from then on."""
    worth = np.zeros(len(legs), np.bool_)
    for at, paid in dividends:
        kept = legs.strike * -np.expm1(-legs.rate * np.maximum(legs.years - at, 0.0))
        worth |= (at > 0.0) & (at < legs.years) & (paid > kept)
    return worth & legs.is_call


def american_black75(legs: Legs, vol: ArrayLike, dividends: Dividends) -> Greeks:
    """Return prices and greeks of calls with known cash dividends, (years until the ex-date, dollars a share): Black's approximation.

    A call is exercised just before a dividend or never: the price is the highest of European ones that end just before each ex-date and at expiry, on the
    spot without the dividends that are paid until then (Black, Fact and fantasy in the use of options, Financial Analysts Journal 31, 1975). The
    legs' own yield is not used, since the dividends stand for it. Puts come out as European ones on the same spot.
    """
    vol = bounded_vol(vol, legs)
    known = [(at, paid) for at, paid in dividends if at > 0.0]
    best = _until(legs, vol, known, legs.years)
    for at, _ in known:
        ends = np.clip(legs.years, 0.0, max(at - JUST_BEFORE, 0.0))
        other = _until(legs, vol, known, ends)
        best = _chosen(legs.is_call & (other.price > best.price), other, best)
    intrinsic, none = legs.intrinsic(), np.zeros(len(legs))
    now = Greeks(intrinsic, np.ones(len(legs)), none, none, none, none)
    return _chosen(legs.is_call & (intrinsic > best.price), now, best)


def _until(legs: Legs, vol: Doubles, known: Dividends, ends: Doubles) -> Greeks:
    """Return European prices and greeks that end at `ends` (years), on the spot without what is paid before."""
    present, weighted = np.zeros(len(legs)), np.zeros(len(legs))
    for at, paid in known:
        value = np.where(at < ends, paid * np.exp(-legs.rate * at), 0.0)
        present, weighted = present + value, weighted + at * value
    spot = np.maximum(legs.spot - present, PRICES[0])
    moved = replace(legs, spot=spot, years=ends, dividend_yield=np.zeros(len(legs)))
    found = european_greeks(moved, vol)
    # What is paid later is worth less at a higher rate, and more a day later: both move the spot that counts.
    return replace(
        found,
        theta=found.theta - legs.rate * present * found.delta / DAYS_PER_YEAR,
        rho=found.rho + found.delta * weighted / 100.0,
    )


def _chosen(rows: Flags, first: Greeks, second: Greeks) -> Greeks:
    """Return the greeks of one where `rows` says so, else of the other."""
    pairs = ((getattr(first, each.name), getattr(second, each.name)) for each in fields(Greeks))
    return Greeks(*(np.where(rows, *pair) for pair in pairs))
