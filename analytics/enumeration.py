"""Candidates for option strategies, enumerated from a chain: the same ones in the same order for the same input.

A leg counts where its volatility is known, it can be bought and sold, somebody holds or trades it, its price says something of
its volatility, and it is neither certain nor hopeless to end in the money. Strikes of one candidate lie at most
`width_max` listed strikes apart, each from the next; a calendar spread is made of an expiry and the next listed one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.black import Flags
from analytics.normal import Doubles
from analytics.strategy_types import MOST_LEGS, STRATEGY_TYPES, StrategyType, View
from schemas.errors import TooManyCandidates

Integers = NDArray[np.int64]

LEAST_OPEN_INTEREST = 10
LEAST_VOLUME = 1
MOST_IV_WIDTH = 0.10  # of volatility, a decimal a year
LEAST_DELTA, MOST_DELTA = 0.05, 0.95
MOST_WIDTH = 20  # listed strikes
MOST_CANDIDATES: Final = 20_000
EQUAL_WINGS_USD = 1e-6
NONE = -1  # in place of a leg


@dataclass(frozen=True)
class ChainColumns:
    """Options of one underlying, one value a contract; prices in USD a share, NaN where unknown.

    `expiries` number the expiries in order from 0. `is_usable`: the volatility is known and the contract is not adjusted.
    Greeks are those of one option on one share: vega per point of volatility, theta per day, rho per 1 % of rate.
    """

    names: tuple[str, ...]
    expiries: Integers
    strikes: Doubles
    is_call: Flags
    bids: Doubles
    asks: Doubles
    volumes: Doubles
    open_interest: Doubles
    volatilities: Doubles
    iv_widths: Doubles
    greeks: Doubles
    is_usable: Flags

    @cached_property
    def eligible(self) -> Flags:
        """Contracts that may be legs."""
        delta = np.abs(self.greeks[:, 0])
        traded = (self.open_interest >= LEAST_OPEN_INTEREST) | (self.volumes >= LEAST_VOLUME)
        priced = (self.bids > 0) & (self.asks >= self.bids) & np.isfinite(self.asks)
        informed = (self.iv_widths <= MOST_IV_WIDTH) & (delta >= LEAST_DELTA) & (delta <= MOST_DELTA)
        return self.is_usable & traded & priced & informed & np.isfinite(self.greeks).all(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Filters that keep candidates from being made: None admits all; `expiries` are numbers of the chain's, of the nearer leg.

    `legs_max` counts options, `width_max` listed strikes (1 to 20) between neighbouring strikes of a candidate.
    """

    view: View | None = None
    types: Collection[str] | None = None
    expiries: Collection[int] | None = None
    legs_max: int = MOST_LEGS
    width_max: int = 5

    def admits(self, each: StrategyType) -> bool:
        """Whether candidates of a type are looked at."""
        suits = self.view is None or each.view == self.view
        return suits and (self.types is None or each.name in self.types) and len(each.legs) <= self.legs_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumerated:
    """Candidates by row: number of the type and of the nearer expiry, and by column its legs as rows of the chain, −1 for none."""

    types: Integers
    expiries: Integers
    legs: Integers


def enumerated(chain: ChainColumns, selection: Selection) -> Enumerated:
    """Return the candidates of a chain within a selection, by expiry, type and strikes.

    Raises TooManyCandidates where there are more than 20,000, before any is valued.
    """
    numbers = sorted({int(each) for each in chain.expiries})
    chosen = [each for each in numbers if selection.expiries is None or each in selection.expiries]
    width = min(max(selection.width_max, 1), MOST_WIDTH)
    blocks: list[tuple[int, int, Integers]] = []
    for expiry in chosen:
        later = next((each for each in numbers if each > expiry), None)
        blocks += [
            (kind, expiry, legs)
            for kind, legs in _of_expiry(chain, selection, expiry, later, width)
            if len(legs)
        ]
    _limited(blocks)
    counts = np.array([len(legs) for _, _, legs in blocks], dtype=np.int64)
    return Enumerated(
        types=np.repeat(np.array([kind for kind, _, _ in blocks], dtype=np.int64), counts),
        expiries=np.repeat(np.array([expiry for _, expiry, _ in blocks], dtype=np.int64), counts),
        legs=np.concatenate([np.empty((0, MOST_LEGS), dtype=np.int64), *(legs for _, _, legs in blocks)]),
    )


def _limited(blocks: list[tuple[int, int, Integers]]) -> None:
    """Refuse too many candidates, naming the filter whose narrowest choice leaves few enough, else the width."""
    count = sum(len(legs) for _, _, legs in blocks)
    if count <= MOST_CANDIDATES:
        return
    by_expiry: dict[int, int] = {}
    by_type: dict[int, int] = {}
    for kind, expiry, legs in blocks:
        by_expiry[expiry] = by_expiry.get(expiry, 0) + len(legs)
        by_type[kind] = by_type.get(kind, 0) + len(legs)
    if len(by_expiry) > 1 and max(by_expiry.values()) <= MOST_CANDIDATES:
        raise TooManyCandidates(count, most=MOST_CANDIDATES, narrower="expiry")
    if len(by_type) > 1 and max(by_type.values()) <= MOST_CANDIDATES:
        raise TooManyCandidates(count, most=MOST_CANDIDATES, narrower="types")
    raise TooManyCandidates(count, most=MOST_CANDIDATES, narrower="width_max")


def _of_expiry(
    chain: ChainColumns, selection: Selection, expiry: int, later: int | None, width: int
) -> Iterator[tuple[int, Integers]]:
    """Yield (number of a type, its candidates' legs) of one expiry; strikes are counted as listed, eligible or not."""
    ladder = np.unique(chain.strikes[chain.expiries == expiry])
    shapes = _shapes(ladder, width)
    sides = {(right, False): _at(chain, ladder, expiry, is_call=right) for right in (True, False)}
    if later is not None:
        sides |= {(right, True): _at(chain, ladder, later, is_call=right) for right in (True, False)}
    for kind, each in enumerate(STRATEGY_TYPES):
        if not selection.admits(each) or (each.spans_expiries and later is None):
            continue
        places = shapes[each.strikes - 1]
        legs = np.full((len(places), MOST_LEGS), NONE, dtype=np.int64)
        for column, leg in enumerate(each.legs):
            legs[:, column] = sides[leg.is_call, leg.later][places[:, leg.place]]
        yield kind, legs[(legs[:, : len(each.legs)] != NONE).all(axis=1)]


def _at(chain: ChainColumns, ladder: Doubles, expiry: int, *, is_call: bool) -> Integers:
    """Return for each strike of a ladder the row of the eligible contract of an expiry and right, −1 where there is none."""
    rows = np.flatnonzero(chain.eligible & (chain.expiries == expiry) & (chain.is_call == is_call))
    found = np.full(len(ladder), NONE, dtype=np.int64)
    if len(ladder):
        places = np.minimum(np.searchsorted(ladder, chain.strikes[rows]), len(ladder) - 1)
        listed = ladder[places] == chain.strikes[rows]
        found[places[listed]] = rows[listed]
    return found


def _shapes(ladder: Doubles, width: int) -> tuple[Integers, Integers, Integers, Integers]:
    """Return the places of one, two, three and four strikes of a ladder that make a candidate, in order."""
    ones = np.arange(len(ladder), dtype=np.int64)
    pairs = _stepped(ones[:, None], width, len(ladder))
    threes = _winged(pairs, ladder, width)
    fours = _winged(_stepped(pairs, width, len(ladder)), ladder, width)
    return ones[:, None], pairs, threes, fours


def _stepped(places: Integers, width: int, listed: int) -> Integers:
    """Return places with one more strike after the last, 1 to `width` listed strikes above it."""
    steps = np.arange(1, width + 1, dtype=np.int64)
    following = (places[:, -1:] + steps).reshape(-1)
    longer = np.column_stack([np.repeat(places, width, axis=0), following])
    return longer[following < listed]


def _winged(places: Integers, ladder: Doubles, width: int) -> Integers:
    """Return places with an upper wing as wide in USD as the lower one, the distance of the first two strikes."""
    if not len(places):
        return np.empty((0, places.shape[1] + 1), dtype=np.int64)
    wanted = ladder[places[:, -1]] + ladder[places[:, 1]] - ladder[places[:, 0]]
    nearest = np.minimum(np.searchsorted(ladder, wanted - EQUAL_WINGS_USD), len(ladder) - 1)
    steps = nearest - places[:, -1]
    fits = (np.abs(ladder[nearest] - wanted) <= EQUAL_WINGS_USD) & (steps >= 1) & (steps <= width)
    return np.column_stack([places, nearest])[fits]
