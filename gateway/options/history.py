"""Volatilities of past sessions: at which moments they are taken, which slices they follow from, and how little of these is enough.

The volatility of a session is the `iv30` of METRICS as of 30 minutes after its close, to the last bit, made of two slices instead of a chain: those of the
expiries around 30 days, and of these the strikes about the money. Where that little does not prove that the whole would say the same, the whole is priced.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from analytics.black import DAYS_PER_YEAR, MAX_YEARS, PRICES
from analytics.carry import MOST_PAIRS
from analytics.chain_metrics import HISTORY_DAYS
from analytics.surface import Smile, constant_maturity
from analytics.tenor import years_left
from gateway.options.inputs import (
    MAX_AGE_S,
    QUOTE_WITHIN_US,
    Beside,
    UnpricedChain,
    UnpricedSlice,
    underlying_price,
    unpriced_chain,
    yield_days,
)
from gateway.options.metrics import NEAR_DAYS, number, smile_of
from gateway.options.model import priced
from gateway.options.moments import expiration, session_ages
from gateway.options.places import SlicePlace, listed_places, listed_span
from gateway.options.priced import PricedSlice
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, KnowledgeTime, MarketTime, date_of, day_of
from schemas.intervals import DAY_US, MINUTE_US
from schemas.symbols.occ import root_terms

AFTER_CLOSE_US: Final = 30 * MINUTE_US
LOOKED_BACK_DAYS: Final = 500  # 252 sessions are a year; no market was closed for so long besides
# Looked at besides where a session of a year has no volatility: else one missed close would leave it without a rank.
SPARE_SESSIONS: Final = 21
ENOUGH_STRIKES: Final = 10  # more than the pairs a forward is made of: some have no price
NO_VOLATILITY: Final = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPlace(SlicePlace):
    """A slice as it was found as of a moment of the past; `lacks_underlying` as of slices."""

    is_adjusted: bool
    lacks_underlying: bool


class PastMonth(NamedTuple):
    """Moments (µs) as of which the same months are looked at, in order; slices are stamped in `span`."""

    span: tuple[EventTime, EventTime]
    moments: Sequence[KnowledgeTime]


def past_moments(calendar: Calendar, today: date, as_of: KnowledgeTime, *, count: int) -> list[KnowledgeTime]:
    """Return the moments (µs), 30 minutes after their close, of the last `count` sessions before a day, in order; none after `as_of`.

    At most of a year and the spare ones.
    """
    midnight = day_of(today) * DAY_US
    sessions = calendar.sessions(midnight - LOOKED_BACK_DAYS * DAY_US, midnight + DAY_US)
    moments = (
        KnowledgeTime(session.close + AFTER_CLOSE_US) for session in sessions if session.day < midnight
    )
    found = [each for each in moments if each <= as_of]
    return found[len(found) - min(count, HISTORY_DAYS + SPARE_SESSIONS, len(found)) :]


def past_months(moments: Iterable[KnowledgeTime]) -> list[PastMonth]:
    """Return moments, given in order, by the months in which their slices lie."""
    months = []
    for begin, group in groupby(moments, key=lambda each: listed_span(each)[0]):
        some = list(group)
        months.append(PastMonth((begin, listed_span(some[-1])[1]), some))
    return months


@dataclass(slots=True)
class PastChain:
    """Slices that count of the chain as of a past moment: on both sides of 30 days those that may say something, the nearest first.

    `lacking` are stamp and knowledge (µs) of the slices without a price of their underlying.
    """

    moment: KnowledgeTime
    lacking: Sequence[tuple[EventTime, KnowledgeTime]]
    near: Sequence[PastPlace]
    far: Sequence[PastPlace]

    def wanted(self, smiles: Mapping[Hashable, Smile | None]) -> list[PastPlace]:
        """Return which slices to price next, by what is known of others; none where all that counts is known."""
        heads = self._heads(smiles)
        return [] if heads is None else [each for each in dict.fromkeys(heads) if each.key not in smiles]

    def volatility(self, smiles: Mapping[Hashable, Smile | None]) -> float:
        """Return the 30-day volatility as METRICS says it; NaN where there is none."""
        heads = self._heads(smiles)
        around = [] if heads is None else [smiles[each.key] for each in heads]
        told = number(constant_maturity([each for each in around if each is not None], days=NEAR_DAYS))
        return NO_VOLATILITY if told is None else told

    def _heads(self, smiles: Mapping[Hashable, Smile | None]) -> tuple[PastPlace, PastPlace] | None:
        """Return the nearest slice of each side but for those that turned out to say nothing; None where a side has none left."""
        heads = [
            next((each for each in side if each.key not in smiles or smiles[each.key] is not None), None)
            for side in (self.near, self.far)
        ]
        near, far = heads
        return None if near is None or far is None else (near, far)


class PastEnds:
    """Ends of a symbol's contracts by root and expiry, each looked up once."""

    def __init__(self, symbol: str, calendar: Calendar) -> None:
        """Know nothing yet."""
        self.calendar = calendar
        self._symbol = symbol
        self._found: dict[tuple[str, date, bool], EventTime | None] = {}

    def of(self, place: PastPlace) -> EventTime | None:
        """Return when a slice ends (µs); None where it is adjusted, or nobody knows: nothing is priced then."""
        key = place.root, place.expiry, place.is_adjusted
        if key not in self._found:
            terms = root_terms(place.root, underlying=self._symbol, is_nonstandard=place.is_adjusted)
            ends, settlement = expiration(place.expiry, terms, self.calendar)
            self._found[key] = None if terms.is_adjusted or settlement == "unknown" else ends
        return self._found[key]


def past_chain(stored: Sequence[PastPlace], ends: PastEnds, moment: KnowledgeTime) -> PastChain | None:
    """Return what counts of the newest slices that were known at a moment, of whoever told last; None where none is listed.

    Adjusted slices, those that had ended, those of which nobody knows how they end and those too old by then say nothing, whatever their quotes.
    """
    places = listed_places(stored, ends.calendar)
    if not places:
        return None
    ages = session_ages(np.array([each.event_time for each in places], np.int64), moment, ends.calendar)
    found = []
    for place, age in zip(places, ages.tolist(), strict=True):
        until = ends.of(place)
        if until is not None and until > place.event_time and not age > MAX_AGE_S:
            years = min(float(years_left(until, place.event_time)), MAX_YEARS)
            found.append(((until, place.expiry, place.root), years, place))
    found.sort(key=lambda each: each[0])
    middle = NEAR_DAYS / DAYS_PER_YEAR
    # sorts keep the order of what is equally near, as looking for the nearest of a chain does
    near = sorted((each for each in found if each[1] <= middle), key=lambda each: -each[1])
    far = sorted((each for each in found if each[1] >= middle), key=lambda each: each[1])
    return PastChain(
        moment=moment,
        lacking=[(each.event_time, each.known_from) for each in places if each.lacks_underlying],
        near=[place for _, _, place in near],
        far=[place for _, _, place in far],
    )


class PastSlice(NamedTuple):
    """A slice to be priced as of a moment (µs) of the past."""

    slice: OptionSlice
    moment: KnowledgeTime


def past_smiles(
    symbol: str, slices: Sequence[PastSlice], known: Beside, calendar: Calendar, *, is_whole: bool
) -> list[tuple[Smile | None, bool]]:
    """Return the smile of each slice, None of one without, and whether it says at the forward what the whole would.

    Of a slice that is not `is_whole` the strikes about the money alone are priced. What `known` holds may be of other days as well; yields are by day,
    quotes by stamp.
    """
    unpriced = list[UnpricedSlice]()
    for each in slices:
        beside = beside_at(known, each.slice.event_time)
        price = None if is_whole else underlying_price(each.slice, beside.quotes).price
        some = about_the_money(each.slice, price)
        unpriced += unpriced_chain(symbol, [some], beside, calendar, now=MarketTime(each.moment)).slices
    chain = priced(UnpricedChain(symbol=symbol, slices=tuple(unpriced)))
    found = []
    for each, part in zip(slices, chain.slices, strict=True):
        smile = smile_of(part)
        found.append((smile, len(part.slice) == len(each.slice) or _is_enough(part, smile)))
    return found


def _is_enough(part: PricedSlice, smile: Smile | None) -> bool:
    """Whether the strikes about the price prove what all would say at the forward.

    All pairs of which the forward is made are among them, for the others lie farther; and so are the two strikes with a volatility around it, for no other
    lies between.
    """
    return (
        part.inputs.pairs == MOST_PAIRS
        and smile is not None
        and bool(smile.moneyness[0] <= 0.0 <= smile.moneyness[-1])
    )


def about_the_money(of: OptionSlice, price: float | None) -> OptionSlice:
    """Return a slice with the legs of the strikes nearest to a price alone, by the measure by which pairs are chosen; without a price all."""
    if price is None:
        return of
    listed, which = np.unique(of.strikes, return_inverse=True)
    if len(listed) <= ENOUGH_STRIKES:
        return of
    apart = np.abs(listed / min(max(price, PRICES[0]), PRICES[1]) - 1.0)
    return of.take(np.flatnonzero((apart <= np.sort(apart)[ENOUGH_STRIKES - 1])[which]))


def beside_at(known: Beside, stamp: EventTime) -> Beside:
    """Return of what is known of many days what is looked at for a slice stamped then (µs); of dividends all.

    Yields are given by day and quotes by stamp.
    """
    today = Day(stamp // DAY_US)
    first, last = (date_of(day) for day in yield_days(today, today))
    told = known.par_yields
    begin = bisect_left(told, first, key=lambda each: each.observed)
    end = bisect_right(told, last, key=lambda each: each.observed)
    low = bisect_left(known.quotes, stamp - QUOTE_WITHIN_US, key=lambda each: each.event_time)
    high = bisect_right(known.quotes, stamp + QUOTE_WITHIN_US, key=lambda each: each.event_time)
    return replace(known, quotes=known.quotes[low:high], par_yields=told[begin:end])
