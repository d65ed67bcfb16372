"""Carry of an underlying by expiry: what option prices, known dividends or the rate alone say of its forward.

European put-call parity holds of American options once what early exercise is worth is taken off both: F = K +
e^{rT}((C − πc) − (P − πp)) (H. Stoll, The relationship between put and call option prices, 1969, on prices of Europeans). The
premium depends on volatilities and these on the forward, so it is done over a few times, for all expiries at once.

Prices are USD, times years of 365 days; rates and the carry b = ln(F/S)/T are continuous, a year.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from analytics.american import Dividends, american_prices
from analytics.black import MAX_YEARS, PRICES, RATES, Flags, Legs, european_prices
from analytics.implied import american_vols
from analytics.normal import Doubles
from analytics.payoff import Indices

CarrySource = Literal["implied", "dividends", "rate_only"]

# the nearest to the underlying: the others tell more of their spreads than of the forward
MOST_PAIRS: Final = 6
LEAST_PAIRS: Final = 2
FARTHEST: Final = 100.0  # times the underlying, either way: no strike beyond says anything
MOST_PASSES: Final = 4
SETTLED_SHARE = 5e-5  # of the underlying: a forward that moves by less is found
MOST_CARRY = 0.5  # a year, either way


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityQuotes:
    """One expiry's strikes at which both put and call have a good quote, with their mids (USD), and what else is known of it.

    `years` until it ends, `rate` continuous a year; `dividends` are those known by now.
    """

    years: float
    rate: float
    strikes: Doubles
    call_mids: Doubles
    put_mids: Doubles
    is_american: bool = True
    dividends: Dividends = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """Forward (USD) and carry (a year) of one expiry, and where they are from; `clipped` where prices said more than ±0.5.

    `dividend_yield` is rate − carry, what the American model takes. `pairs` are those of which the forward is the median.
    """

    forward: float
    carry: float
    dividend_yield: float
    source: CarrySource
    pairs: int
    passes: int
    clipped: bool


def carries(spot: float, expiries: Sequence[ParityQuotes]) -> tuple[Carry, ...]:
    """Return the carry of each expiry: implied by two pairs or more, else by known dividends, else the rate alone."""
    spot, expiries = min(max(spot, PRICES[0]), PRICES[1]), [_bounded(each) for each in expiries]
    chosen = [_nearest(spot, each) for each in expiries]
    implied = [at for at, rows in enumerate(chosen) if len(rows) >= LEAST_PAIRS and expiries[at].years > 0]
    forwards, passes = _implied(spot, [expiries[at] for at in implied], [chosen[at] for at in implied])
    found = dict(zip(implied, zip(forwards, passes, strict=True), strict=True))
    return tuple(
        _carry(spot, each, found[at][0], "implied", len(chosen[at]), found[at][1])
        if at in found
        else _without_prices(spot, each)
        for at, each in enumerate(expiries)
    )


def _bounded(quotes: ParityQuotes) -> ParityQuotes:
    """Return quotes with time and rate moved into the bounds of the pricing model."""
    years, rate = (
        min(max(value, low), high)
        for value, low, high in ((quotes.years, 0.0, MAX_YEARS), (quotes.rate, *RATES))
    )
    return replace(quotes, years=years, rate=rate)


def _nearest(spot: float, quotes: ParityQuotes) -> Indices:
    """Return the usable pairs nearest to the underlying, of two equally near the lower; NaN fits no bound."""
    usable = (quotes.strikes > spot / FARTHEST) & (quotes.strikes < min(spot * FARTHEST, PRICES[1]))
    usable &= (quotes.call_mids > 0) & (quotes.call_mids <= spot)
    rows = np.flatnonzero(usable & (quotes.put_mids > 0) & (quotes.put_mids <= quotes.strikes))
    order = np.lexsort((quotes.strikes[rows], np.abs(quotes.strikes[rows] - spot)))
    return rows[order[:MOST_PAIRS]]


def _without_prices(spot: float, quotes: ParityQuotes) -> Carry:
    """Return the carry of an expiry without enough pairs: dividends until it, discounted, lower the forward."""
    due = [(until, paid) for until, paid in quotes.dividends if 0 < until <= quotes.years]
    worth = sum(paid * _growth(-quotes.rate * until) for until, paid in due)
    forward = (spot - worth) * _growth(quotes.rate * quotes.years)
    return _carry(spot, quotes, forward, "dividends" if due else "rate_only", 0, 0)


def _carry(
    spot: float, quotes: ParityQuotes, forward: float, source: CarrySource, pairs: int, passes: int
) -> Carry:
    told = _told(spot, forward, quotes.years, quotes.rate)
    held = min(max(told, -MOST_CARRY), MOST_CARRY)
    return Carry(
        forward=spot * _growth(held * quotes.years),
        carry=held,
        dividend_yield=quotes.rate - held,
        source=source,
        pairs=pairs,
        passes=passes,
        clipped=held != told,
    )


def _told(spot: float, forward: float, years: float, rate: float) -> float:
    """Return ln(F/S)/T as it is; the rate where no time is left, −inf where a forward is not above zero."""
    if not years > 0:
        return rate
    return (math.log(forward) - math.log(spot)) / years if forward > 0 and spot > 0 else -math.inf


def _growth(exponent: float) -> float:
    return math.exp(min(max(exponent, -100.0), 100.0))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of all expiries, one row each, with the expiry they belong to."""

    expiry: Indices
    strikes: Doubles
    calls: Doubles
    puts: Doubles


def _implied(
    spot: float, quotes: Sequence[ParityQuotes], chosen: Sequence[Indices]
) -> tuple[list[float], list[int]]:
    """Return each expiry's forward (USD), and how many times the premium of early exercise was taken off."""
    if not quotes:
        return [], []
    pairs = _Pairs(
        np.repeat(np.arange(len(quotes)), [len(rows) for rows in chosen]),
        np.concatenate([each.strikes[rows] for each, rows in zip(quotes, chosen, strict=True)]),
        np.concatenate([each.call_mids[rows] for each, rows in zip(quotes, chosen, strict=True)]),
        np.concatenate([each.put_mids[rows] for each, rows in zip(quotes, chosen, strict=True)]),
    )
    years, rates = np.array([each.years for each in quotes]), np.array([each.rate for each in quotes])
    nothing = np.zeros(len(pairs.strikes))
    forwards = _parity(pairs, nothing, years, rates, np.full(len(quotes), spot))
    passes = np.zeros(len(quotes), dtype=np.int64)
    active = np.array([each.is_american for each in quotes])
    for _ in range(MOST_PASSES):
        if not active.any():
            break
        early = _early_exercise(spot, pairs, active, forwards, years, rates)
        moved = np.where(active, _parity(pairs, early, years, rates, forwards), forwards)
        passes += active
        active &= np.abs(moved - forwards) > SETTLED_SHARE * spot
        forwards = moved
    return forwards.tolist(), passes.tolist()


def _parity(pairs: _Pairs, early: Doubles, years: Doubles, rates: Doubles, otherwise: Doubles) -> Doubles:
    """Return the median forward of each expiry by parity, calls less puts less `early`; of NaN alone what it was."""
    growth = np.exp(np.clip(rates * years, -100.0, 100.0))[pairs.expiry]
    each = pairs.strikes + growth * (pairs.calls - pairs.puts - early)
    found = otherwise.copy()
    for expiry in range(len(years)):
        told = each[(pairs.expiry == expiry) & np.isfinite(each)]
        if len(told):
            found[expiry] = np.median(told)
    return found


def _early_exercise(
    spot: float, pairs: _Pairs, active: Flags, forwards: Doubles, years: Doubles, rates: Doubles
) -> Doubles:
    """Return by how much early exercise makes each call dearer than its put (USD); NaN where a price has no volatility."""
    told = [
        _told(spot, *each) for each in zip(forwards.tolist(), years.tolist(), rates.tolist(), strict=True)
    ]
    yields = rates - np.clip(told, -MOST_CARRY, MOST_CARRY)
    rows = np.flatnonzero(active[pairs.expiry])
    expiry, count = np.tile(pairs.expiry[rows], 2), len(rows)
    legs = Legs.of(
        spot=spot,
        strike=np.tile(pairs.strikes[rows], 2),
        years=years[expiry],
        rate=rates[expiry],
        dividend_yield=yields[expiry],
        is_call=np.arange(2 * count) < count,
    )
    prices = np.concatenate([pairs.calls[rows], pairs.puts[rows]])
    vols = american_vols(legs, prices)
    known = np.isfinite(vols)
    premiums = np.full(2 * count, np.nan)
    some = legs.take(known)
    premiums[known] = american_prices(some, vols[known]) - european_prices(some, vols[known])
    early = np.zeros(len(pairs.strikes))
    early[rows] = premiums[:count] - premiums[count:]
    return early
