"""Chains with what their quotes imply: the price of the underlying, the inputs of each expiry, volatilities and greeks of each leg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analytics.black import Flags
from analytics.carry import CarrySource
from analytics.leg_status import ImpliedLegs
from analytics.normal import Doubles
from analytics.rates import RateSource
from gateway.options.slices import OptionSlice
from schemas.clocks import EventTime
from schemas.symbols.occ import Settlement

UnderlyingSource = Literal["slice_mid", "slice_last", "quote", "none"]


class LegModel(IntEnum):
    """Models that legs are priced with."""

    BLACK76 = 0
    AMERICAN_INTEGRAL = 1
    AMERICAN_BLACK75 = 2

    @property
    def label(self) -> str:
        """The word of answers: `black76`, and so on."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderlyingPrice:
    """The price S of the underlying that legs are priced at, its sides, and where it is from; None for what is not known.

    `time` is the stamp of that price (µs). `slice_mid`: between the sides of the slice itself; `slice_last`: its last price; `quote`: a
    quote of our own of about that moment; `none`: nothing can be priced.
    """

    price: float | None
    bid: float | None
    ask: float | None
    time: EventTime | None
    source: UnderlyingSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryInputs:
    """Inputs one slice is priced with, besides its quotes.

    `years` of 365 days from `valuation_us` to `expiration_us` (µs), 0 once it has passed. `rate` and `carry` are continuous, a year; `forward` and `carry`
    are None without a price of the underlying. `pairs` are those the forward is implied by. `settlement` is unknown where the
    moment of expiration is: `expiration_us` is then the latest it can be, and nothing is priced. `is_stale`: the slice as a whole was too old when it was
    asked for. `dividend_approx`: a known dividend goes ex before expiration, and American legs take it as a part of their carry alone.
    """

    underlying: UnderlyingPrice
    expiration_us: EventTime
    valuation_us: EventTime
    years: float
    rate: float
    rate_source: RateSource
    forward: float | None
    carry: float | None
    carry_source: CarrySource | None
    carry_clipped: bool
    pairs: int
    is_european: bool
    settlement: Settlement
    is_adjusted: bool
    is_stale: bool
    dividend_approx: bool

    @property
    def days(self) -> float:
        """Days left, with their fraction."""
        return self.years * 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedSlice:
    """A slice with its inputs and what its quotes imply by leg; arrays have shape (n,).

    `model` holds codes of `LegModel`, of what a leg is priced with if its status lets it be. `quote_age_s` is how old its quote was at
    `inputs.valuation_us`, seconds of regular sessions, NaN without a stamp. `adjusted_legs` deliver something else than 100 shares or units. `bid_vol` and `ask_vol` are the volatilities of the two sides, where they were asked
    for: NaN where the leg's status is not ok, or that side alone has none.
    """

    slice: OptionSlice
    inputs: ExpiryInputs
    implied: ImpliedLegs
    model: NDArray[np.int8]
    quote_age_s: Doubles
    adjusted_legs: Flags
    bid_vol: Doubles | None = None
    ask_vol: Doubles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedChain:
    """Slices of one underlying by (expiry, root); `underlying` is the price of the newest of them."""

    symbol: str
    underlying: UnderlyingPrice
    slices: tuple[PricedSlice, ...]
