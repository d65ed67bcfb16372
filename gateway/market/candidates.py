"""Candidates for the fields of `price`: which value, whose book, which close before the day; each with its own time and provider.

Values of two providers are never averaged. What the value's own provider does not say is taken from another, by name, and
only where both tell the same: no close in another currency, no book or volume of another moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from gateway.database.versions import StoredClose, Value
from gateway.market.freshness import stale_after_us, trading_day, true_at
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.intervals import AHEAD_US
from schemas.providers.built_in import is_priced
from schemas.streams import Bar, Quote, Trade

_RANK: Mapping[type, int] = {Trade: 2, Quote: 1, Bar: 0}


SAME_UNIT = 10.0  # prices of one unit differ less; pence and pounds, the nearest of units, by a hundred


class Quoted(NamedTuple):
    """The currency a price is in, in the words of who says so, and who that is."""

    currency: str
    provider: str


class Borrowed(NamedTuple):
    """A number with the moment it is of (µs) and who gave it."""

    value: float
    time: int
    provider: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The newest values of a symbol, of memory and store, and the closes before the day of the newest of them."""

    values: Sequence[Value]
    closes: Sequence[StoredClose] = ()

    @cached_property
    def value(self) -> Value | None:
        """The value the answer is about; None where none has a price."""
        return newest(self.values)

    def quotes(self, provider: str) -> list[Quote]:
        """Return the quotes there are, those of `provider` first, then the newest of others."""
        found = [value for value in self.values if isinstance(value, Quote) and _is_believable(value)]
        return sorted(found, key=lambda quote: (quote.provider == provider, *_age(quote)), reverse=True)


def price_of(value: Value) -> tuple[float, str] | None:
    """Return (price, price_type) of a record: last, mid of a two-sided quote, or close; None where it has none.

    Nor has a trade whose conditions say that it was not made at the price of its moment.
    """
    if isinstance(value, Trade):
        return (value.price, "last") if is_priced(value.provider, value.conditions) else None
    if isinstance(value, Bar):
        return value.close, "close"
    if value.last is not None:
        return value.last, "last"
    if value.bid is not None and value.ask is not None and value.bid > 0 and value.ask > 0:
        return (value.bid + value.ask) / 2, "mid"
    return None


def newest(values: Iterable[Value | None]) -> Value | None:
    """Return the record with the newest price by event_time; at one time a trade, then a quote, then a bar.

    One stamped further ahead of its knowledge than clocks differ is suspect, and the newest of nothing.
    """
    priced = [
        value
        for value in values
        if value is not None and _is_believable(value) and price_of(value) is not None
    ]
    return max(priced, key=lambda v: (v.event_time, _RANK[type(v)], *_age(v)[1:]), default=None)


def book_of(quotes: Iterable[Quote], now: MarketTime, speed: float) -> Quote | None:
    """Return the first quote that shows a book and is not stale at `now`."""
    for quote in quotes:
        shown = quote.bid is not None or quote.ask is not None
        if shown and now - quote.event_time <= stale_after_us("quote", quote.delay_s, speed):
            return quote
    return None


def volume_of(value: Value, quotes: Iterable[Quote], calendar: Calendar) -> Borrowed | None:
    """Return what was traded on the day of the value, by the first quote of that day that says so."""
    for quote in _of_the_day(value, quotes, calendar):
        if quote.volume is not None:
            return Borrowed(quote.volume, quote.event_time, quote.provider)
    return None


def previous_close_of(
    value: Value, quotes: Sequence[Quote], closes: Sequence[StoredClose], calendar: Calendar
) -> Borrowed | None:
    """Return the last regular close before the day of the value.

    By its own provider's quote of that day, else by a daily bar, else by the last regular minute, the own provider's
    first; else by another provider's quote.
    """
    own = own_currency(value, quotes)
    said = [
        Borrowed(quote.previous_close, quote.event_time, quote.provider)
        for quote in _of_the_day(value, quotes, calendar)
        if quote.previous_close is not None and _is_alike(own, quote.currency)
    ]
    if said and said[0].provider == value.provider:
        return said[0]
    stored = max(
        _closes_before(value, closes, calendar, own), key=lambda ranked: ranked[0], default=(None, None)
    )[1]
    return stored or next(iter(said), None)


def own_currency(value: Value, quotes: Iterable[Quote]) -> str:
    """Return the currency of a value, of a trade as its provider's quotes have it; empty where that says nothing."""
    own = "" if isinstance(value, Trade) else value.currency
    return own or next(
        (quote.currency for quote in quotes if quote.provider == value.provider and quote.currency), ""
    )


def currency_of(value: Value, quotes: Iterable[Quote], candidates: Candidates) -> Quoted | None:
    """Return the currency of a value: its provider's word, else that of the newest candidate that has one, if it can be no other.

    It may be another where candidates differ, or where their prices are so far from the value's that their unit may be too.
    """
    if own := own_currency(value, quotes):
        return Quoted(own, value.provider)
    priced = price_of(value)
    witnesses = list(_witnesses(candidates))
    if priced is None or not witnesses or len({quoted.currency for _, _, quoted in witnesses}) > 1:
        return None
    if not all(_is_of_one_unit(priced[0], price) for _, price, _ in witnesses):
        return None
    return max(witnesses, key=lambda witness: witness[0])[2]


def _witnesses(candidates: Candidates) -> Iterator[tuple[int, float, Quoted]]:
    """Yield (moment, price, currency) of the candidates that have both."""
    for value in candidates.values:
        if isinstance(value, Trade) or not value.currency or not _is_believable(value):
            continue
        if (priced := price_of(value)) is not None:
            yield value.event_time, priced[0], Quoted(value.currency, value.provider)
    for close in candidates.closes:
        if close.currency:
            yield close.event_time, close.close, Quoted(close.currency, close.provider)


def _is_of_one_unit(one: float, other: float) -> bool:
    return one == other or (one > 0 and other > 0 and max(one, other) < SAME_UNIT * min(one, other))


def _closes_before(
    value: Value, closes: Iterable[StoredClose], calendar: Calendar, currency: str
) -> Iterator[tuple[tuple[int, bool, bool], Borrowed]]:
    """Yield the closes before the value's day with their rank: of the latest day, the own provider's, a day's own."""
    day = trading_day(value.event_time, calendar)
    opens = value.event_time if day is None else day.open
    for close in closes:
        of_day = trading_day(close.event_time, calendar)
        begun = close.event_time if of_day is None else of_day.open
        if begun < opens and _is_alike(currency, close.currency):
            true = true_at(close.interval, close.event_time, calendar)
            rank = (begun, close.provider == value.provider, close.interval == DAILY)
            yield rank, Borrowed(close.close, true, close.provider)


def _of_the_day(value: Value, quotes: Iterable[Quote], calendar: Calendar) -> Iterator[Quote]:
    day = trading_day(value.event_time, calendar)
    for quote in quotes:
        if quote is value or trading_day(quote.event_time, calendar) == day:
            yield quote


def _is_alike(one: str, other: str) -> bool:
    return not one or not other or one == other


def _is_believable(value: Value) -> bool:
    return value.event_time <= value.known_from + AHEAD_US


def _age(value: Value) -> tuple[int, int, int, int]:
    return value.event_time, value.known_from, value.raw_offset, value.index
