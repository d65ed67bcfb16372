"""Option strategies of a chain: those that suit a view and keep within bounds, the best ones first.

The score is probability of profit + expected value a unit of risk − half of what entering at natural prices costs beyond the
middle, a unit of risk, neither of the two beyond 1. Risk is the largest loss, or the margin where that is unbounded. It compares,
it does not recommend: none of it is advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.enumeration import NONE, ChainColumns, Enumerated, Selection, enumerated
from analytics.margin import MARGIN_BASIS
from analytics.payoff import Indices
from analytics.strategy_types import STRATEGY_TYPES, View
from analytics.valuation import ExpiryColumns, Underlying, Valued, valued

NOT_ADVICE: Final = "not advice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """Least and most a strategy may have; `max_loss` and `max_margin` in USD of one strategy (its multiplier applied).

    None bounds nothing; a strategy of unbounded loss passes no `max_loss`. `min_pop` in [0, 1]. `limit` counts strategies.
    """

    max_loss: float | None = None
    max_margin: float | None = None
    min_pop: float | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyLeg:
    """One contract of a strategy by its name, bought (> 0) or sold (< 0)."""

    contract: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One strategy, valued: amounts in USD per share of the underlying, None where unbounded; greeks of it on `multiplier` shares.

    `expected_value` is the discounted mean of what it will be worth, less its cost. `model_dependent`: its payoff is not
    that of an expiry alone but a model's. Vega is per volatility point, theta per day, rho per 1 % of rate.
    """

    type: str
    view: View
    legs: tuple[StrategyLeg, ...]
    shares: int
    cost: float
    mid_cost: float
    max_profit: float | None
    max_loss: float | None
    breakevens: tuple[float, ...]
    pop: float
    expected_value: float
    margin: float
    margin_basis: str
    model_dependent: bool
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The best strategies in order of score, how many candidates were looked at, and how many of them kept within the bounds."""

    strategies: tuple[Strategy, ...]
    candidates: int
    kept: int


def ranking(
    chain: ChainColumns,
    expiries: ExpiryColumns,
    underlying: Underlying,
    *,
    selection: Selection,
    demands: Demands,
    multiplier: float = 100.0,
) -> Ranking:
    """Return the best strategies of a chain, ties by the names of their contracts: the same for the same input, always.

    Raises TooManyCandidates, naming the filter to narrow, where there are more than 20,000 candidates.
    """
    found = enumerated(chain, selection)
    values = valued(chain, expiries, underlying, found, multiplier=multiplier)
    kept = _kept(values, demands, multiplier)
    best = _ordered(chain, found, values, kept)[: max(demands.limit, 0)]
    return Ranking(
        strategies=tuple(_strategy(chain, found, values, int(row)) for row in best),
        candidates=len(found.types),
        kept=len(kept),
    )


def _kept(values: Valued, demands: Demands, multiplier: float) -> Indices:
    """Return the rows within bounds; one whose expiry has no forward or volatility has no score and is none of them."""
    within = np.isfinite(values.score)
    if demands.max_loss is not None:
        within &= -values.outcomes.max_loss * multiplier <= demands.max_loss
    if demands.max_margin is not None:
        within &= values.margin * multiplier <= demands.max_margin
    if demands.min_pop is not None:
        within &= values.outcomes.pop >= demands.min_pop
    return np.flatnonzero(within)


def _ordered(chain: ChainColumns, found: Enumerated, values: Valued, rows: Indices) -> Indices:
    """Return rows by falling score, then by the names of their contracts, then by type."""
    places = np.empty(len(chain.names) + 1, dtype=np.int64)
    places[np.argsort(np.array(chain.names, dtype=np.str_), kind="stable")] = np.arange(len(chain.names))
    # a leg that is none stands before all names
    places[NONE] = NONE
    names = places[found.legs[rows]]
    order = np.lexsort((found.types[rows], *names.T[::-1], -values.score[rows]))
    return rows[order]


def _strategy(chain: ChainColumns, found: Enumerated, values: Valued, row: int) -> Strategy:
    kind, outcomes = STRATEGY_TYPES[int(found.types[row])], values.outcomes
    profit, loss = float(outcomes.max_profit[row]), float(outcomes.max_loss[row])
    legs = (
        StrategyLeg(contract=chain.names[int(place)], quantity=leg.quantity)
        for place, leg in zip(found.legs[row], kind.legs, strict=False)
    )
    delta, gamma, vega, theta, rho = (float(each) for each in values.greeks[row])
    return Strategy(
        type=kind.name,
        view=kind.view,
        legs=tuple(legs),
        shares=kind.shares,
        cost=float(values.cost[row]),
        mid_cost=float(values.mid_cost[row]),
        max_profit=profit if np.isfinite(profit) else None,
        max_loss=loss if np.isfinite(loss) else None,
        breakevens=tuple(float(each) for each in outcomes.breakevens[row] if np.isfinite(each)),
        pop=float(outcomes.pop[row]),
        expected_value=float(values.expected[row]),
        margin=float(values.margin[row]),
        margin_basis=MARGIN_BASIS,
        model_dependent=kind.spans_expiries,
        delta=delta,
        gamma=gamma,
        vega=vega,
        theta=theta,
        rho=rho,
        score=float(values.score[row]),
    )
