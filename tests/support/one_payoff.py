"""The payoff of one combination at a time, said in full: what tests of payoffs judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytics.normal import Doubles
from analytics.payoff import Combinations, payoffs


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionLeg:
    """One option of a combination: `quantity` bought (> 0) or sold (< 0), strike in USD."""

    quantity: float
    is_call: bool
    strike: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """Payoff of one combination, USD per share; None where `profit_unbounded` or `loss_unbounded`.

    `breakevens` are the prices above 0 at which it is zero, of a zero stretch its ends; `zero_stretches` their pairs,
    with None for a stretch without an end.
    """

    max_profit: float | None
    max_loss: float | None
    breakevens: tuple[float, ...]
    zero_stretches: tuple[tuple[float, float | None], ...]
    profit_unbounded: bool
    loss_unbounded: bool


def payoff(legs: Sequence[OptionLeg], *, cost: float, shares: float = 0.0) -> Payoff:
    """Return the payoff of one combination, all in USD per share; `cost` is negative where it was paid for taking it."""
    table = payoffs(combination(legs, cost=cost, shares=shares))
    profit, loss = float(table.max_profit[0]), float(table.max_loss[0])
    return Payoff(
        max_profit=profit if np.isfinite(profit) else None,
        max_loss=loss if np.isfinite(loss) else None,
        breakevens=tuple(float(each) for each in table.breakevens[0] if np.isfinite(each)),
        zero_stretches=_zero_stretches(table.knots[0], table.values[0], float(table.slopes[0])),
        profit_unbounded=bool(np.isposinf(profit)),
        loss_unbounded=bool(np.isneginf(loss)),
    )


def combination(legs: Sequence[OptionLeg], *, cost: float, shares: float = 0.0) -> Combinations:
    """Return one combination as a row; `cost` in USD per share."""
    return Combinations(
        quantities=np.array([[leg.quantity for leg in legs]], dtype=np.float64),
        is_call=np.array([[leg.is_call for leg in legs]], dtype=np.bool_),
        strikes=np.array([[leg.strike for leg in legs]], dtype=np.float64),
        shares=np.array([shares], dtype=np.float64),
        cost=np.array([cost], dtype=np.float64),
    )


def _zero_stretches(knots: Doubles, values: Doubles, slope: float) -> tuple[tuple[float, float | None], ...]:
    """Return the stretches on which one payoff is zero, as (from, to) in USD; None where a stretch has no end."""
    found: list[tuple[float, float | None]] = []
    points = [(float(x), float(y)) for x, y in zip(knots, values, strict=True)]
    for (low, at_low), (high, at_high) in pairwise(points):
        if at_low == 0 and at_high == 0 and high > low:
            joins = bool(found) and found[-1][1] == low
            found = [*found[:-1], (found[-1][0], high)] if joins else [*found, (low, high)]
    last, at_last = points[-1]
    if at_last == 0 and slope == 0:
        joins = bool(found) and found[-1][1] == last
        found = [*found[:-1], (found[-1][0], None)] if joins else [*found, (last, None)]
    return tuple(found)
