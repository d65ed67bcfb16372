"""Figures of a whole chain: put-call ratios, max pain, gamma exposure, and where a volatility stands in its history.

Columns have one value a contract. What a vendor did not tell of a contract is NaN there and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.black import Flags
from analytics.normal import Doubles
from analytics.payoff import LARGEST

GEX_ASSUMPTION: Final = "dealers long calls, short puts"
ONE_PERCENT = 0.01
HISTORY_DAYS = 252  # sessions of a year, of which rank and percentile are taken


@dataclass(frozen=True, slots=True, kw_only=True)
class PutCall:
    """Totals of puts and calls (contracts), and puts a call; `ratio` is None where there are no calls."""

    puts: float
    calls: float
    ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPain:
    """The listed strike (USD) at which holders of options would be paid least at expiry, and that `payout` (USD)."""

    strike: float
    payout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityRank:
    """Place of a volatility among those of its last sessions: `rank` and `percentile` in [0, 1].

    Both are None where fewer than a year of sessions is known; `history_days` are the sessions there are.
    """

    rank: float | None
    percentile: float | None
    history_days: int


def put_call(amounts: Doubles, is_call: Flags) -> PutCall:
    """Return the put-call ratio of `amounts`, the volume or the open interest of each contract."""
    counted = _counted(amounts)
    puts, calls = float(counted[~is_call].sum()), float(counted[is_call].sum())
    return PutCall(puts=puts, calls=calls, ratio=_finite(puts / calls) if calls > 0 else None)


def max_pain(
    strikes: Doubles, is_call: Flags, open_interest: Doubles, *, multiplier: float = 100.0
) -> MaxPain | None:
    """Return the strike of least Σ open interest · payoff · multiplier (USD) of one expiry; None without open interest.

    Of equal ones it is the lowest. At a price x calls below it pay Σ OI·x − Σ OI·K, puts above it the reverse.
    """
    counted = _counted(open_interest)
    if not counted.any():
        return None
    listed, at = np.unique(np.clip(strikes, 0.0, LARGEST), return_inverse=True)
    calls = np.bincount(at, np.where(is_call, counted, 0.0), len(listed))
    puts = np.bincount(at, np.where(is_call, 0.0, counted), len(listed))
    from_calls = listed * np.cumsum(calls) - np.cumsum(calls * listed)
    # from the highest strike down, for the puts
    above, worth = np.cumsum(puts[::-1])[::-1], np.cumsum((puts * listed)[::-1])[::-1]
    paid = from_calls + (worth - listed * above)
    least = int(np.argmin(paid))
    payout = float(paid[least]) * multiplier
    return MaxPain(strike=float(listed[least]), payout=payout) if np.isfinite(payout) else None


def gamma_exposure(
    gamma: Doubles, open_interest: Doubles, is_call: Flags, *, spot: float, multiplier: float = 100.0
) -> float | None:
    """Return how many USD of the underlying dealers must trade for a move of 1 %, if they are long calls and short puts.

    Σ ± Γ · open interest · multiplier · S² · 0.01 with Γ in 1/USD and S in USD, calls +, puts −. None where no contract has both.
    """
    known = np.isfinite(gamma) & np.isfinite(open_interest)
    if not known.any():
        return None
    slopes = np.clip(gamma[known], -LARGEST, LARGEST) * np.where(is_call[known], 1.0, -1.0)
    held = float(np.sum(slopes * _counted(open_interest[known])))
    price = min(abs(float(spot)), LARGEST)
    return _finite(held * multiplier * price * price * ONE_PERCENT)


def volatility_rank(history: Sequence[float], today: float) -> VolatilityRank:
    """Return rank and percentile of a volatility among those of the last 252 sessions, the newest last.

    Rank is (σ − lowest) / (highest − lowest), held within [0, 1]; percentile the share of sessions that were below.
    """
    last = np.asarray(history[-HISTORY_DAYS:], dtype=np.float64)
    if len(last) < HISTORY_DAYS:
        return VolatilityRank(rank=None, percentile=None, history_days=len(last))
    low, high = float(last.min()), float(last.max())
    rank = (min(max(today, low), high) - low) / (high - low) if high > low else None
    return VolatilityRank(rank=rank, percentile=float((last < today).mean()), history_days=len(last))


def _counted(amounts: Doubles) -> Doubles:
    """Return amounts with nothing for what is unknown, and none below zero."""
    return np.where(np.isfinite(amounts), np.clip(amounts, 0.0, LARGEST), 0.0)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
