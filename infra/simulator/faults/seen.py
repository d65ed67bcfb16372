"""The market as a vendor with habits shows it: late, without some symbols, or with others as they are not.

Moments are market time in µs.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from infra.simulator.faults.habits import (
    Delayed,
    EmptySymbols,
    FrozenSymbols,
    ListedElsewhere,
    ScaledSymbols,
    StaleSymbols,
    SymbolHabit,
    UnknownSymbols,
)
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import (
    Aggregate,
    Candle,
    DailyBar,
    Listing,
    MarketModel,
    SimulatedAction,
    Split,
    TopOfBook,
    TradeChunk,
)
from infra.simulator.market.venues import VenueMarket
from infra.simulator.market.view import LOOKBACK_US, MarketView
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import MINUTE_US, SECOND_US

PRICE_DECIMALS = 6
NEVER_TRADED = 1.0  # what stands where nothing was traded before
FROZEN_HALF_SPREAD = 0.01  # a frozen price has a book around it

Bar = TypeVar("Bar", bound=Candle)


def seen(view: MarketView, faults: Collection[Fault]) -> MarketView:
    """Return the view of a vendor with these habits; `view` itself where none of them changes what is seen."""
    if not any(isinstance(fault, Delayed | SymbolHabit) for fault in faults):
        return view
    abroad = [s for fault in faults if isinstance(fault, ListedElsewhere) for s in fault.symbols]
    whole = MarketView(VenueMarket(view.market, abroad), view.clock) if abroad else view
    return _HabitualView(whole, HabitualMarket(whole.market, faults), faults)


def delayed(view: MarketView, by_s: float) -> MarketView:
    """Return what `view` showed `by_s` seconds ago."""
    return _HabitualView(view, view.market, (Delayed(type="delayed", by_s=by_s),))


def thinned(view: MarketView, share: float) -> MarketView:
    """Return what `view` shows of one exchange that has `share` of the volume."""
    return _HabitualView(view, _ThinMarket(view.market, share), ())


def is_empty(symbol: str, faults: Collection[Fault]) -> bool:
    """Whether the vendor lists a symbol and has nothing of it."""
    return any(isinstance(fault, EmptySymbols) and symbol in fault.symbols for fault in faults)


def is_spelt_otherwise(symbol: str, faults: Collection[Fault]) -> bool:
    """Whether the vendor says in its rarer way that it has nothing of a symbol."""
    empty = (fault for fault in faults if isinstance(fault, EmptySymbols) and symbol in fault.symbols)
    return any(fault.spelt == "otherwise" for fault in empty)


def delay_s(faults: Collection[Fault]) -> float:
    """Return by how much the feed says it is late."""
    return max((fault.by_s for fault in faults if isinstance(fault, Delayed)), default=0.0)


def behind_us(symbol: str, faults: Collection[Fault]) -> int:
    """Return by how much what is seen of `symbol` is late: the feed, and the symbol in it."""
    return int(delay_s(faults) * SECOND_US) + _stale_us(symbol, faults)


class _HabitualView(MarketView):
    """A view of another's moment, later still by `faults`, with `market` in place of its own."""

    def __init__(self, view: MarketView, market: MarketModel, faults: Collection[Fault]) -> None:
        super().__init__(market, view.clock)
        self._view = view
        self._delay_us = int(delay_s(faults) * SECOND_US)
        self._faults = faults

    def now(self, symbol: str) -> int:
        return self._view.now(symbol) - self._delay_us - _stale_us(symbol, self._faults)


class HabitualMarket:
    """A market that lacks symbols, is empty of some, scales the prices of others or lets them stand."""

    def __init__(self, market: MarketModel, faults: Collection[Fault]) -> None:
        """Show `market` by the habits among `faults`."""
        self._market = market
        self._faults = faults
        self._last: dict[str, float] = {}  # prices that stand, by symbol
        self.synthetic = market.synthetic
        self.start_time = market.start_time
        self.end_time = market.end_time

    def listings(self) -> Sequence[Listing]:
        """Return the symbols that are known."""
        return [listing for listing in self._market.listings() if not self._lacks(listing.symbol)]

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of `symbol`, None where the vendor does not know it."""
        return None if self._lacks(symbol) else self._market.listing(symbol)

    def end_of(self, symbol: str) -> int | None:
        """Return the end of what is known of `symbol`."""
        return self._market.end_of(symbol)

    def minutes(self, symbol: str, start: int, end: int) -> Sequence[Candle]:
        """Return the minutes as they are shown."""
        if is_empty(symbol, self._faults):
            return []
        return [self._shown(symbol, bar) for bar in self._market.minutes(symbol, start, end)]

    def forming(self, symbol: str, now: int) -> Candle | None:
        """Return the minute that holds `now` as it is shown."""
        bar = None if is_empty(symbol, self._faults) else self._market.forming(symbol, now)
        return None if bar is None else self._shown(symbol, bar)

    def daily(self, symbol: str, start: int, end: int, now: int) -> Sequence[DailyBar]:
        """Return the sessions as they are shown."""
        if is_empty(symbol, self._faults):
            return []
        return [self._shown_day(symbol, day) for day in self._market.daily(symbol, start, end, now)]

    def session_close(self, symbol: str, session: TradingSession, now: int) -> float | None:
        """Return the close of a session as it is shown."""
        close = None if is_empty(symbol, self._faults) else self._market.session_close(symbol, session, now)
        return None if close is None else self._price(symbol, close, session.close)

    def splits(self, symbol: str, start: int, end: int) -> Sequence[Split]:
        """Return the splits that took effect in [start, end)."""
        return self._market.splits(symbol, start, end)

    def actions(self, symbol: str, now: int) -> Sequence[SimulatedAction]:
        """Return the corporate actions told by `now`."""
        return [] if is_empty(symbol, self._faults) else self._market.actions(symbol, now)

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Return the aggregate of [start, end) as it is shown."""
        if is_empty(symbol, self._faults):
            return None
        since = self._frozen_since(symbol)
        whole = self._market.span(symbol, start, end)
        if whole is None or since is None or end <= since:
            return None if whole is None else self._scaled(symbol, whole)
        before = self._market.span(symbol, start, since) if start < since else None
        held = self._held(symbol, since)
        return self._scaled(symbol, _standing(whole, before, held))

    def year_range(self, symbol: str, now: int) -> tuple[float, float] | None:
        """Return lowest and highest price of the year as they are shown."""
        found = None if is_empty(symbol, self._faults) else self._market.year_range(symbol, now)
        return None if found is None else (self._times(symbol, found[0]), self._times(symbol, found[1]))

    def top_of_book(self, symbol: str, now: int) -> TopOfBook | None:
        """Return the book as it is shown: around the price that stands, where it does."""
        now += sum(int(f.by_s * SECOND_US) for f in _stale(symbol, self._faults) if not f.book)
        book = None if is_empty(symbol, self._faults) else self._market.top_of_book(symbol, now)
        if book is None:
            return None
        since, bid, ask = self._frozen_since(symbol), book.bid, book.ask
        if since is not None and book.time >= since:
            held = self._held(symbol, since)
            bid, ask = held - FROZEN_HALF_SPREAD, held + FROZEN_HALF_SPREAD
        return replace(book, bid=self._times(symbol, bid), ask=self._times(symbol, ask))

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk | None:
        """Return trades at the prices that are shown; none of a symbol that is empty."""
        if is_empty(symbol, self._faults):
            return None
        chunk = await self._market.trade_chunk(symbol, from_time)
        if chunk is None or not self._changes(symbol):
            return chunk
        rows = zip(chunk.times_ms, chunk.prices, strict=True)
        return replace(chunk, prices=array("d", (self._price(symbol, p, ms * 1_000) for ms, p in rows)))

    def _lacks(self, symbol: str) -> bool:
        return any(isinstance(fault, UnknownSymbols) and symbol in fault.symbols for fault in self._faults)

    def _changes(self, symbol: str) -> bool:
        changing = (fault for fault in self._faults if isinstance(fault, ScaledSymbols | FrozenSymbols))
        return any(symbol in fault.symbols for fault in changing)

    @cached_property
    def _frozen(self) -> dict[str, int]:
        return dict(_frozen(self._faults))

    def _frozen_since(self, symbol: str) -> int | None:
        return self._frozen.get(symbol)

    def _held(self, symbol: str, since: int) -> float:
        """Return the price that stands: the last one before the minute of `since`."""
        if symbol not in self._last:
            last = self._market.span(symbol, since - LOOKBACK_US, since)
            self._last[symbol] = last.close if last is not None else NEVER_TRADED
        return self._last[symbol]

    def _times(self, symbol: str, price: float) -> float:
        for fault in self._faults:
            if isinstance(fault, ScaledSymbols) and symbol in fault.symbols:
                price = round(price * fault.factor, PRICE_DECIMALS)
        return price

    def _price(self, symbol: str, price: float, time: int) -> float:
        since = self._frozen_since(symbol)
        return self._times(symbol, price if since is None or time < since else self._held(symbol, since))

    def _scaled(self, symbol: str, bar: Bar) -> Bar:
        if not self._changes(symbol):
            return bar
        prices = (self._times(symbol, price) for price in (bar.open, bar.high, bar.low, bar.close))
        opened, high, low, close = prices
        return replace(bar, open=opened, high=high, low=low, close=close)

    def _shown(self, symbol: str, bar: Candle) -> Candle:
        since = self._frozen_since(symbol)
        if since is not None and bar.time >= since:
            bar = _standing(bar, None, self._held(symbol, since))
        return self._scaled(symbol, bar)

    def _shown_day(self, symbol: str, day: DailyBar) -> DailyBar:
        since = self._frozen_since(symbol)
        if since is not None and day.visible_from > since:
            before = self._market.span(symbol, day.time, since) if day.time < since else None
            day = _standing(day, before, self._held(symbol, since))
        return replace(
            self._scaled(symbol, day),
            adjusted_close=self._price(symbol, day.adjusted_close, day.visible_from),
        )


class _ThinMarket(HabitualMarket):
    """A market of which one exchange is shown: minutes of which it has no share are absent."""

    def __init__(self, market: MarketModel, share: float) -> None:
        super().__init__(market, ())
        self._share = share

    def minutes(self, symbol: str, start: int, end: int) -> Sequence[Candle]:
        thin = (self._thin(bar) for bar in super().minutes(symbol, start, end))
        return [bar for bar in thin if bar is not None]

    def forming(self, symbol: str, now: int) -> Candle | None:
        return self._thin(super().forming(symbol, now))

    def daily(self, symbol: str, start: int, end: int, now: int) -> Sequence[DailyBar]:
        thin = (self._thin(day) for day in super().daily(symbol, start, end, now))
        return [day for day in thin if day is not None]

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        return self._thin(super().span(symbol, start, end))

    def _thin(self, bar: Bar | None) -> Bar | None:
        volume = 0 if bar is None else int(bar.volume * self._share)
        return replace(bar, volume=volume) if bar is not None and volume else None


def _stale(symbol: str, faults: Collection[Fault]) -> list[StaleSymbols]:
    return [fault for fault in faults if isinstance(fault, StaleSymbols) and symbol in fault.symbols]


def _stale_us(symbol: str, faults: Collection[Fault]) -> int:
    return sum(int(fault.by_s * SECOND_US) for fault in _stale(symbol, faults))


def _frozen(faults: Collection[Fault]) -> Iterator[tuple[str, int]]:
    """Yield (symbol, the minute since when its price stands)."""
    for fault in faults:
        if isinstance(fault, FrozenSymbols) and isinstance(fault.since, int):
            for symbol in fault.symbols:
                yield symbol, fault.since - fault.since % MINUTE_US


def _standing(whole: Bar, before: Candle | None, held: float) -> Bar:
    """Return `whole` where the price did not move from `held` after what was `before`."""
    if before is None:
        return replace(whole, open=held, high=held, low=held, close=held)
    return replace(whole, open=before.open, high=before.high, low=before.low, close=held)
