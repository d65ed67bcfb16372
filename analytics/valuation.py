"""Valuation of enumerated strategies: entry prices, payoff, chances, margin, greeks and score, all candidates at once.

Amounts are USD per share of the underlying, greeks of one strategy on `multiplier` shares. None of it is advice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.black import MAX_YEARS, RATES, Flags
from analytics.calendar_spreads import CalendarSpreads, calendar_payoffs, mean_calendar_payoff
from analytics.enumeration import NONE, ChainColumns, Enumerated, Integers
from analytics.margin import (
    cash_secured_margin,
    covered_call_margin,
    defined_risk_margin,
    paid_margin,
    short_pair_margin,
)
from analytics.normal import Doubles
from analytics.payoff import LARGEST, Combinations, Indices, payoffs
from analytics.probability import Lognormal, mean_payoffs, profit_probability
from analytics.strategy_types import MARGIN_RULES, MOST_LEGS, STRATEGY_TYPES, MarginRule

PROBABILITY_WEIGHT, RETURN_WEIGHT, SPREAD_WEIGHT = 1.0, 1.0, 0.5
LEAST_RISK_USD = 0.01  # a share: what cannot lose is no division by zero
_SPANNING = np.array([each.spans_expiries for each in STRATEGY_TYPES])
_SHARES = np.array([float(each.shares) for each in STRATEGY_TYPES])
_QUANTITIES = np.array(
    [[leg.quantity for leg in each.legs] + [0] * (MOST_LEGS - len(each.legs)) for each in STRATEGY_TYPES],
    dtype=np.float64,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """The underlying's price and its bid and ask, USD a share; None where nobody quotes it."""

    price: float
    bid: float | None = None
    ask: float | None = None
    is_broad_index: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryColumns:
    """Expiries of a chain in order, one value each: years left, forward (USD), volatility at the money, rate (continuous, a year)."""

    years: Doubles
    forwards: Doubles
    volatilities: Doubles
    rates: Doubles

    def law(self, numbers: Integers) -> Lognormal:
        """Return the law of the underlying at some of the expiries."""
        return Lognormal.of(
            forward=self.forwards[numbers], volatility=self.volatilities[numbers], years=self.years[numbers]
        )

    def discounts(self) -> Doubles:
        """Return what a USD at each expiry is worth now."""
        return np.exp(-np.clip(self.rates, *RATES) * np.clip(self.years, 0.0, MAX_YEARS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Ends that strategies may take, by row: USD per share, unbounded profits +inf and losses −inf; `pop` in [0, 1].

    `mean` is the mean payoff then, under the law of the nearer expiry; `breakevens` ascend, +inf is none.
    """

    max_profit: Doubles
    max_loss: Doubles
    pop: Doubles
    mean: Doubles
    breakevens: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """Strategies by row; amounts in USD per share.

    `cost` buys at the ask and sells at the bid, `mid_cost` does both in the middle; a cost below zero is money paid for
    taking it. `expected` is what it is worth on average at expiry, discounted, less its cost. `greeks` are delta, gamma, vega, theta and rho of one strategy, times the multiplier.
    """

    outcomes: Outcomes
    cost: Doubles
    mid_cost: Doubles
    expected: Doubles
    margin: Doubles
    greeks: Doubles
    score: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """Legs of candidates, by row and column: what the chain says of each."""

    quantities: Doubles
    shares: Doubles
    strikes: Doubles
    is_call: Flags
    natural: Doubles
    mids: Doubles
    means: Doubles


def valued(
    chain: ChainColumns,
    expiries: ExpiryColumns,
    underlying: Underlying,
    candidates: Enumerated,
    *,
    multiplier: float = 100.0,
) -> Valued:
    """Return what each candidate costs, may bring and lose (USD per share), needs as margin, and how well it scores."""
    legs = _gathered(chain, expiries, candidates)
    ask, bid = (
        _bounded(underlying.price if each is None else each) for each in (underlying.ask, underlying.bid)
    )
    cost = (legs.quantities * legs.natural).sum(axis=1) + legs.shares * ask
    mid_cost = (legs.quantities * legs.mids).sum(axis=1) + legs.shares * ((bid + ask) / 2)
    outcomes = _outcomes(chain, expiries, candidates, legs, cost)
    expected = (outcomes.mean + cost) * expiries.discounts()[candidates.expiries] - cost
    margin = _margins(candidates, legs, cost, outcomes.max_loss, underlying)
    held = np.clip(chain.greeks, -LARGEST, LARGEST)[candidates.legs]
    known = np.where((candidates.legs == NONE)[:, :, None], 0.0, held)
    greeks = np.einsum("nl,nlg->ng", legs.quantities, known)
    greeks[:, 0] += legs.shares
    # what may lose without bound is judged by what it binds
    risk = np.maximum(np.where(np.isneginf(outcomes.max_loss), margin, -outcomes.max_loss), LEAST_RISK_USD)
    gain = PROBABILITY_WEIGHT * outcomes.pop + RETURN_WEIGHT * np.clip(expected / risk, -1.0, 1.0)
    return Valued(
        outcomes=outcomes,
        cost=cost,
        mid_cost=mid_cost,
        margin=margin,
        greeks=greeks * multiplier,
        expected=expected,
        score=gain - SPREAD_WEIGHT * np.clip((cost - mid_cost) / risk, 0.0, 1.0),
    )


def _bounded(price: float) -> float:
    return min(max(price, 0.0), LARGEST)


def _gathered(chain: ChainColumns, expiries: ExpiryColumns, candidates: Enumerated) -> _Gathered:
    """Return the legs of candidates with their entry prices and mean payoffs; a column without a leg has quantity and prices 0."""
    rows, quantities = candidates.legs, _QUANTITIES[candidates.types]
    bids, asks = (np.clip(side, 0.0, LARGEST)[rows] for side in (chain.bids, chain.asks))
    strikes = np.clip(chain.strikes, 0.0, LARGEST)[rows]
    absent = rows == NONE
    means = mean_payoffs(chain.strikes, chain.is_call, expiries.law(chain.expiries))
    return _Gathered(
        quantities=quantities,
        shares=_SHARES[candidates.types],
        strikes=np.where(absent, 0.0, strikes),
        is_call=chain.is_call[rows],
        natural=np.where(absent, 0.0, np.where(quantities > 0, asks, bids)),
        mids=np.where(absent, 0.0, (bids + asks) / 2),
        means=np.where(absent, 0.0, means[rows]),
    )


def _outcomes(
    chain: ChainColumns, expiries: ExpiryColumns, candidates: Enumerated, legs: _Gathered, cost: Doubles
) -> Outcomes:
    spanning = _SPANNING[candidates.types]
    within, across = np.flatnonzero(~spanning), np.flatnonzero(spanning)
    parts = (
        _at_expiry(expiries.law(candidates.expiries[within]), legs, cost, within),
        _across_expiries(chain, expiries, candidates, cost, across),
    )
    columns = max(part.breakevens.shape[1] for part in parts)
    merged = Outcomes(
        max_profit=np.empty(len(cost)),
        max_loss=np.empty(len(cost)),
        pop=np.empty(len(cost)),
        mean=np.empty(len(cost)),
        breakevens=np.full((len(cost), columns), np.inf),
    )
    for rows, part in zip((within, across), parts, strict=True):
        merged.max_profit[rows], merged.max_loss[rows] = part.max_profit, part.max_loss
        merged.pop[rows], merged.mean[rows] = part.pop, part.mean
        merged.breakevens[rows, : part.breakevens.shape[1]] = part.breakevens
    return merged


def _at_expiry(law: Lognormal, legs: _Gathered, cost: Doubles, rows: Indices) -> Outcomes:
    held = Combinations(
        quantities=legs.quantities[rows],
        is_call=legs.is_call[rows],
        strikes=legs.strikes[rows],
        shares=legs.shares[rows],
        cost=cost[rows],
    )
    table = payoffs(held)
    return Outcomes(
        max_profit=table.max_profit,
        max_loss=table.max_loss,
        pop=profit_probability(table, law),
        mean=(held.quantities * legs.means[rows]).sum(axis=1) + held.shares * law.forward - held.cost,
        breakevens=table.breakevens,
    )


def _across_expiries(
    chain: ChainColumns, expiries: ExpiryColumns, candidates: Enumerated, cost: Doubles, rows: Indices
) -> Outcomes:
    near, far = candidates.legs[rows, 0], candidates.legs[rows, 1]
    law = expiries.law(chain.expiries[near])
    table = calendar_payoffs(
        CalendarSpreads(
            strikes=chain.strikes[near],
            is_call=chain.is_call[near],
            cost=cost[rows],
            near=law,
            far=expiries.law(chain.expiries[far]),
            volatility=chain.volatilities[far],
            rate=expiries.rates[chain.expiries[far]],
        )
    )
    return Outcomes(
        max_profit=table.max_profit,
        max_loss=table.max_loss,
        pop=profit_probability(table, law),
        mean=mean_calendar_payoff(table, law),
        breakevens=table.breakevens,
    )


def _margins(
    candidates: Enumerated, legs: _Gathered, cost: Doubles, max_loss: Doubles, underlying: Underlying
) -> Doubles:
    """Return the margin of each candidate by the rule of its type; a put stands before its call."""
    spot, found = _bounded(underlying.price), np.empty(len(cost))
    rule_of_type = np.array([each.margin for each in STRATEGY_TYPES])
    rules = rule_of_type[candidates.types]

    def of(rule: MarginRule, rows: Flags) -> Doubles:
        strikes, prices = legs.strikes[rows], legs.natural[rows]
        if rule == "short_pair":
            return short_pair_margin(
                put_strike=strikes[:, 0],
                put_premium=prices[:, 0],
                call_strike=strikes[:, 1],
                call_premium=prices[:, 1],
                spot=spot,
                is_broad_index=underlying.is_broad_index,
            )
        if rule in {"covered_call", "collar"}:
            shares = covered_call_margin(spot, len(strikes))
            # the put of a collar is paid in full
            return shares + prices[:, 0] if rule == "collar" else shares
        if rule == "cash_secured":
            return cash_secured_margin(strikes[:, 0])
        return paid_margin(cost[rows]) if rule == "paid" else defined_risk_margin(max_loss[rows])

    for rule in MARGIN_RULES:
        rows = rules == rule
        found[rows] = of(rule, rows)
    return found
