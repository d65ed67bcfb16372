"""Rates for the time of an option, from par yields of US Treasuries; par yields are not zero rates, and `source` says so.

A rate that is wrong by 1 % at the same forward moves at-the-money volatility by 0.02 points at 30 days and 0.3 at a year: it matters little once the
forward is implied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from analytics.normal import Doubles

TENOR_YEARS: Mapping[str, float] = MappingProxyType(
    {
        "1M": 1 / 12, "2M": 2 / 12, "3M": 3 / 12, "4M": 4 / 12, "6M": 6 / 12,
        "1Y": 1.0, "2Y": 2.0, "3Y": 3.0, "5Y": 5.0, "7Y": 7.0, "10Y": 10.0, "20Y": 20.0, "30Y": 30.0,
    }
)  # fmt: skip
MAX_AGE_DAYS = 10
"""Older yields than this are no rate of today."""
FALLBACK_RATE = 0.04
# Percent: nothing outside of it was ever a par yield.
YIELDS = (-5.0, 50.0)

RateSource = Literal["ust_par", "fallback"]


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Continuous rates a year at some tenors in years, in their order; flat outside of them. `source` is shown beside each use."""

    tenors: tuple[float, ...]
    rates: tuple[float, ...]
    source: RateSource

    def at(self, years: ArrayLike) -> Doubles:
        """Return the rates for times in years, of any shape, linear in the tenor."""
        return np.asarray(np.interp(np.asarray(years, np.float64), self.tenors, self.rates))


def rate_curve(
    yields: Mapping[str, float | None], *, observed: date, valued: date, fallback: float = FALLBACK_RATE
) -> RateCurve:
    """Return the curve of par yields in percent by tenor (`3M`, `10Y`), observed on one day and used on another.

    A bond pays twice a year: r = 2·ln(1 + y/2). Tenors that are not known, not given or impossible count for nothing; without any, or where
    the yields are older than 10 days or of a later day, the rate is `fallback`, labelled so.
    """
    known = sorted(
        (TENOR_YEARS[tenor], 2.0 * math.log1p(percent / 200.0))
        for tenor, percent in yields.items()
        if tenor in TENOR_YEARS and percent is not None and YIELDS[0] <= percent <= YIELDS[1]
    )
    if not known or not 0 <= (valued - observed).days <= MAX_AGE_DAYS:
        return RateCurve((1.0,), (fallback,), "fallback")
    return RateCurve(tuple(years for years, _ in known), tuple(rate for _, rate in known), "ust_par")
