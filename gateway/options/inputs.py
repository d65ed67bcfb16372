"""Inputs of option chains: for each slice the price of its underlying, rate, dividends and time left, as they were known when it was.

A slice is valued at its own `event_time`, the newest stamp in it, so that what is computed of it never changes with the hour it is asked for.
Rates and dividends are told in other partitions than its own: those count that were known `INPUT_LEAD_US` before it was, so that whoever has
just heard of the slice knows all of them.
Nothing here needs a model; what comes out holds no calendar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from analytics.american import Dividends
from analytics.black import Flags
from analytics.normal import Doubles
from analytics.rates import FALLBACK_RATE, RateSource, rate_curve
from analytics.tenor import years_left
from gateway.options.moments import DividendVersion, dividends_due, expiration, session_ages
from gateway.options.priced import UnderlyingPrice
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, KnowledgeTime, MarketTime, date_of
from schemas.intervals import DAY_US, SECOND_US
from schemas.streams import Quote
from schemas.symbols.occ import STANDARD_MULTIPLIER, RootTerms, Settlement, root_terms

WIDEST_SHARE: Final = 0.005  # of its mid: a wider market of the underlying says less than its last price
QUOTE_WITHIN_US: Final = 60 * SECOND_US
INPUT_LEAD_US: Final = 10 * SECOND_US
MAX_AGE_S: Final = 1_200.0
"""Seconds of sessions: older slices are stale as a whole."""
YIELDS_BACK_DAYS: Final = 14  # of which the newest counts, if it is no older than ten
DIVIDENDS_AHEAD_DAYS: Final = 366 * 3
MOVED_BACK_DAYS: Final = 92  # a version with another ex-date, in the past, replaces one that was to come


@dataclass(frozen=True, slots=True, kw_only=True)
class ParYields:
    """Par yields of US Treasuries in percent by tenor (`3M`, `10Y`), of one day; `told_at` (µs) is since when they count."""

    observed: date
    told_at: KnowledgeTime
    percents: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Quotes of the underlying, par yields and dividends: all that is known besides the slices, of any time.

    Versions of dividends are in the order they were told; `believed` says whose word on them counts, the first most.
    """

    quotes: Sequence[Quote] = ()
    par_yields: Sequence[ParYields] = ()
    dividends: Sequence[DividendVersion] = ()
    believed: Sequence[str] = ()
    fallback_rate: float = FALLBACK_RATE


def yield_days(first: Day, last: Day) -> tuple[Day, Day]:
    """Return the first and the last day of which par yields are looked at for slices stamped on days (UTC) from one to another."""
    return Day(first - YIELDS_BACK_DAYS), Day(last + 1)


def dividend_days(first: Day, last: Day) -> tuple[Day, Day]:
    """Return the first and the last ex-date of dividends that are looked at for slices stamped on days (UTC) from one to another."""
    return Day(first - MOVED_BACK_DAYS), Day(last + DIVIDENDS_AHEAD_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedSlice:
    """A slice with all that is known of it before a model is asked; `years` of 365 days are left at its `event_time`.

    `ages` are how old the quotes of its legs were then, seconds of sessions, shape (n,), NaN without a stamp; `is_stale`: the slice itself was too old
    when it was asked for. `dividends` are those that go ex from then on, whether or not before expiration. `adjusted_legs`
    deliver something else than 100 shares or units.
    """

    slice: OptionSlice
    underlying: UnderlyingPrice
    terms: RootTerms
    settlement: Settlement
    expiration_us: EventTime
    years: float
    rate: float
    rate_source: RateSource
    dividends: Dividends
    ages: Doubles
    is_stale: bool
    adjusted_legs: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedChain:
    """Slices of one underlying by (expiry, root), each root and expiry once."""

    symbol: str
    slices: tuple[UnpricedSlice, ...]


def unpriced_chain(
    symbol: str,
    slices: Sequence[OptionSlice],
    beside: Beside,
    calendar: Calendar,
    *,
    now: MarketTime | None = None,
    max_age_s: float = MAX_AGE_S,
) -> UnpricedChain:
    """Return the slices of `symbol` with their inputs; `calendar` is of the sessions its options trade in.

    At `now`, the market's time of the question, slices older than `max_age_s` seconds of sessions are stale; without it none is.
    """
    ordered = sorted(slices, key=lambda each: (each.expiry, each.root))
    return UnpricedChain(
        symbol=symbol,
        slices=tuple(_unpriced(each, beside, calendar, now, max_age_s) for each in ordered),
    )


def _unpriced(
    of: OptionSlice, beside: Beside, calendar: Calendar, now: MarketTime | None, max_age_s: float
) -> UnpricedSlice:
    terms = root_terms(of.root, underlying=of.symbol, is_nonstandard=of.is_adjusted)
    ends, settlement = expiration(of.expiry, terms, calendar)
    years = float(years_left(ends, of.event_time))
    told_by = of.known_from - INPUT_LEAD_US
    rate, rate_source = _rate(beside, told_by, calendar.date_of(of.event_time), years)
    stamps = np.where(of.quote_time == 0, of.event_time, of.quote_time)
    ages = session_ages(stamps, of.event_time, calendar)
    own_age = 0.0 if now is None else float(session_ages(np.array([of.event_time]), now, calendar)[0])
    return UnpricedSlice(
        slice=of,
        underlying=underlying_price(of, beside.quotes),
        terms=terms,
        settlement=settlement,
        expiration_us=ends,
        years=years,
        rate=rate,
        rate_source=rate_source,
        dividends=dividends_due(of, _in_sight(of, beside), told_by, calendar, believed=beside.believed),
        ages=np.where(of.quote_time == 0, np.nan, ages),
        is_stale=own_age > max_age_s,
        adjusted_legs=terms.is_adjusted | ~(np.isnan(of.multiplier) | (of.multiplier == STANDARD_MULTIPLIER)),
    )


def underlying_price(of: OptionSlice, quotes: Sequence[Quote] = ()) -> UnderlyingPrice:
    """Return the price a slice is valued at: its own mid, else its own last price, else that of a quote known then and as old.

    A mid counts where the market is not crossed and at most 0.5 % wide. Of quotes within a minute of the slice the nearest in time counts, of two
    the one known later.
    """
    bid, ask, time = _positive(of.underlying_bid), _positive(of.underlying_ask), of.underlying_time
    if (mid := _mid(bid, ask)) is not None:
        return UnderlyingPrice(price=mid, bid=bid, ask=ask, time=time, source="slice_mid")
    if (last := _positive(of.underlying_price)) is not None:
        return UnderlyingPrice(price=last, bid=bid, ask=ask, time=time, source="slice_last")
    told = [
        each
        for each in quotes
        if each.known_from <= of.known_from and abs(each.event_time - of.event_time) <= QUOTE_WITHIN_US
    ]
    for each in sorted(told, key=lambda quote: (abs(quote.event_time - of.event_time), -quote.known_from)):
        bid, ask = _positive(each.bid), _positive(each.ask)
        price = _mid(bid, ask) or _positive(each.last)
        if price is not None:
            return UnderlyingPrice(price=price, bid=bid, ask=ask, time=each.event_time, source="quote")
    return UnderlyingPrice(price=None, bid=None, ask=None, time=None, source="none")


def _positive(price: float | None) -> float | None:
    return price if price is not None and math.isfinite(price) and price > 0.0 else None


def _mid(bid: float | None, ask: float | None) -> float | None:
    """Return the middle of a market that is neither crossed nor wide; None of any other."""
    if bid is None or ask is None or bid > ask:
        return None
    mid = bid + 0.5 * (ask - bid)
    return mid if ask - bid <= WIDEST_SHARE * mid else None


def _in_sight(of: OptionSlice, beside: Beside) -> list[DividendVersion]:
    """Return the versions that are looked at for a slice, whatever else was looked at for those beside it."""
    today = Day(of.event_time // DAY_US)
    soonest, latest = (date_of(day) for day in dividend_days(today, today))
    return [each for each in beside.dividends if soonest <= each.ex_date <= latest]


def _rate(beside: Beside, told_by: int, today: date, years: float) -> tuple[float, RateSource]:
    """Return the continuous rate for so many years by the newest yields that were told by a moment (µs); the fallback without them."""
    told = [each for each in beside.par_yields if each.told_at <= told_by and each.observed <= today]
    newest = max(told, key=lambda each: (each.observed, each.told_at), default=None)
    curve = rate_curve(
        {} if newest is None else newest.percents,
        observed=today if newest is None else newest.observed,
        valued=today,
        fallback=beside.fallback_rate,
    )
    return float(curve.at(years)), curve.source
