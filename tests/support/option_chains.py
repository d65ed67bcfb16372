"""A chain of options whose volatilities are known, and any chain at all, for tests and benchmarks of pricing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.black import DAYS_PER_YEAR, Legs
from analytics.normal import Doubles

EXPIRY_DAYS = (1, 2, 3, 7, 14, 21, 30, 44, 63, 91, 126, 182, 273, 365, 730)
STRIKES = 100


@dataclass(frozen=True, slots=True)
class KnownChain:
    """Legs, the volatility of each, and the whole days each has left."""

    legs: Legs
    vols: Doubles
    days: NDArray[np.int64]


def smiling_chain() -> KnownChain:
    """Return 3,000 legs of a share at 250: 15 expiries, 100 strikes from half to 1.6 of it, calls and puts, with a smile that falls to the right."""
    days = np.repeat(EXPIRY_DAYS, 2 * STRIKES)
    strikes = np.repeat(np.round(250.0 * np.linspace(0.5, 1.6, STRIKES), 1), 2)
    legs = Legs.of(
        spot=250.0,
        strike=np.tile(strikes, len(EXPIRY_DAYS)),
        years=days / DAYS_PER_YEAR,
        rate=0.043,
        dividend_yield=0.006,
        is_call=np.tile([True, False], STRIKES * len(EXPIRY_DAYS)),
    )
    distance = np.log(legs.strike / legs.forward()) / np.sqrt(legs.years)
    vols = 0.25 + 0.08 * np.tanh(-0.5 * distance) + 0.006 * np.minimum(distance**2, 20.0)
    return KnownChain(legs, vols, days)


def random_puts(count: int, seed: int) -> KnownChain:
    """Return puts at 100 from everywhere: rates to 10 %, yields to 12 %, volatilities from 5 to 300 %, a day to three years, strikes from a third to three times."""
    random = np.random.default_rng(seed)
    days = random.choice([1, 2, 7, 30, 91, 365, 1000], count)
    legs = Legs.of(
        spot=100.0,
        strike=100.0 * np.exp(random.uniform(-1.2, 1.2, count)),
        years=days / DAYS_PER_YEAR,
        rate=random.choice([1e-4, 0.005, 0.02, 0.05, 0.1], count),
        dividend_yield=random.choice([0.0, 0.005, 0.02, 0.05, 0.12], count),
        is_call=False,
    )
    return KnownChain(legs, np.exp(random.uniform(np.log(0.05), np.log(3.0), count)), days)
