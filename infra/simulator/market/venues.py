"""Made-up symbols beside a market that keep hours: those of other venues, and an index; breaks and holidays included.

Moments are market time in µs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from infra.simulator.market.listings import simulated_listing
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
    span_of,
)
from infra.simulator.market.synthetic import FIRST_TRADE_TIME, SimulatedMarket
from infra.simulator.market.view import LOOKBACK_US
from schemas.calendar.sessions import Calendar, calendar_of, load_calendar
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import MINUTE_US

INDEX_SYMBOL = "^SIMX"
SEED = 1  # of symbols of other venues; their prices depend on the name alone: every vendor shows the same


class VenueMarket:
    """A market with further symbols; all others are as they were."""

    def __init__(self, market: MarketModel, symbols: Collection[str], *, seed: int = SEED) -> None:
        """Add `symbols`, whose names say where they are traded."""
        self._market = market
        self._symbols = frozenset(symbols)
        self._made_up = SimulatedMarket(seed=seed, start_time=market.start_time)
        self.synthetic = market.synthetic
        self.start_time = market.start_time
        self.end_time = market.end_time

    def listings(self) -> Sequence[Listing]:
        """Return all symbols on offer."""
        return [*self._market.listings(), *map(_listed, sorted(self._symbols))]

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of `symbol`."""
        return _listed(symbol) if symbol in self._symbols else self._market.listing(symbol)

    def end_of(self, symbol: str) -> int | None:
        """Return the end of what is known of `symbol`: ours never end."""
        return None if symbol in self._symbols else self._market.end_of(symbol)

    def minutes(self, symbol: str, start: int, end: int) -> Sequence[Candle]:
        """Return the minutes of [start, end) in which the venue trades."""
        if symbol not in self._symbols:
            return self._market.minutes(symbol, start, end)
        parts = _parts(symbol, start, end)
        return [bar for low, high in parts for bar in self._made_up.minutes(symbol, low, high)]

    def forming(self, symbol: str, now: int) -> Candle | None:
        """Return the minute that holds `now`, where the venue trades."""
        if symbol not in self._symbols:
            return self._market.forming(symbol, now)
        minute = now - now % MINUTE_US
        return self._made_up.forming(symbol, now) if list(_parts(symbol, minute, minute + 1)) else None

    def daily(self, symbol: str, start: int, end: int, now: int) -> Sequence[DailyBar]:
        """Return the sessions that open in [start, end), each the aggregate of its minutes."""
        if symbol not in self._symbols:
            return self._market.daily(symbol, start, end, now)
        sessions = [s for s in _calendar(symbol).sessions(start, end) if start <= s.open < end]
        return [day for session in sessions for day in self._day(symbol, session)]

    def session_close(self, symbol: str, session: TradingSession, now: int) -> float | None:
        """Return the close of a `session` that is over."""
        if symbol not in self._symbols:
            return self._market.session_close(symbol, session, now)
        return next((day.close for day in self._day(symbol, session)), None)

    def splits(self, symbol: str, start: int, end: int) -> Sequence[Split]:
        """Return the splits that took effect in [start, end); of ours there are none."""
        return [] if symbol in self._symbols else self._market.splits(symbol, start, end)

    def actions(self, symbol: str, now: int) -> Sequence[SimulatedAction]:
        """Return the corporate actions told by `now`; of ours there are none."""
        return [] if symbol in self._symbols else self._market.actions(symbol, now)

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Return the aggregate of what was traded in [start, end)."""
        if symbol not in self._symbols:
            return self._market.span(symbol, start, end)
        bars = list(self.minutes(symbol, start, end - MINUTE_US + 1))
        forming = self.forming(symbol, end - 1) if end % MINUTE_US and end > start else None
        bars += [forming] if forming is not None else []
        return span_of(bars, last_time=min(end, bars[-1].time + MINUTE_US)) if bars else None

    def year_range(self, symbol: str, now: int) -> tuple[float, float] | None:
        """Return lowest and highest price of the year before `now`'s day."""
        market = self._made_up if symbol in self._symbols else self._market
        return market.year_range(symbol, now)

    def top_of_book(self, symbol: str, now: int) -> TopOfBook | None:
        """Return the best bid and ask at `now`."""
        market = self._made_up if symbol in self._symbols else self._market
        return market.top_of_book(symbol, now)

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk | None:
        """Return the next trades, of ours those of the next minute in which the venue trades; None after its last."""
        if symbol not in self._symbols:
            return await self._market.trade_chunk(symbol, from_time)
        minute = from_time - from_time % MINUTE_US
        traded = next(_parts(symbol, minute, minute + LOOKBACK_US), None)
        return None if traded is None else await self._made_up.trade_chunk(symbol, traded[0])

    def _day(self, symbol: str, session: TradingSession) -> Iterator[DailyBar]:
        if session.open < FIRST_TRADE_TIME:
            return
        bars = self.minutes(symbol, session.open, session.close)
        if (span := span_of(bars, last_time=session.close)) is not None:
            yield DailyBar(
                time=session.open,
                open=span.open,
                high=span.high,
                low=span.low,
                close=span.close,
                volume=span.volume,
                adjusted_close=span.close,
                visible_from=session.close,
            )


class IndexMarket(VenueMarket):
    """A market with an index: computed in the hours of New York, quoted and traded by nobody, in no list of securities."""

    def __init__(self, market: MarketModel, *, seed: int) -> None:
        """Add the index, whose values depend on `seed` and its name alone."""
        super().__init__(market, (INDEX_SYMBOL,), seed=seed)

    def listings(self) -> Sequence[Listing]:
        """Return the securities on offer: vendors name indices elsewhere, if at all."""
        return self._market.listings()

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of `symbol`."""
        found = super().listing(symbol)
        if symbol != INDEX_SYMBOL or found is None:
            return found
        return replace(found, instrument_type="INDEX", streams=("bars", "quotes"))

    def top_of_book(self, symbol: str, now: int) -> TopOfBook | None:
        """Return the best bid and ask at `now`; None of the index."""
        return None if symbol == INDEX_SYMBOL else super().top_of_book(symbol, now)

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk | None:
        """Return the next trades; None of the index."""
        return None if symbol == INDEX_SYMBOL else await super().trade_chunk(symbol, from_time)


def _parts(symbol: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of [start, end) in which the venue trades."""
    for session in _calendar(symbol).sessions(start, end):
        for low, high in session.parts:
            if max(low, start) < min(high, end):
                yield max(low, start), min(high, end)


def _calendar(symbol: str) -> Calendar:
    return load_calendar(_listed(symbol).calendar)


@lru_cache(maxsize=1_024)
def _listed(symbol: str) -> Listing:
    listing = simulated_listing(symbol, first_trade_time=FIRST_TRADE_TIME)
    return replace(listing, calendar=calendar_of(symbol).name)
