"""The synthetic market: always open, and a pure function of (seed, symbol, time).

Any minute can be made without the ones before it. Hour anchors come from layered noise (so prices
wander like a market without drifting away), a seeded bridge joins them minute by minute, and the
trades of a minute are drawn to fit its bar: a bar is always the aggregate of its trades.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.simulator.market.actions import made_dividends, told
from infra.simulator.market.listings import simulated_listing
from infra.simulator.market.model import (
    MS_US,
    Aggregate,
    Candle,
    DailyBar,
    Listing,
    SimulatedAction,
    Split,
    TopOfBook,
    TradeChunk,
    span_of,
)
from infra.simulator.market.random_walk import (
    MINUTES_PER_HOUR,
    day_bar,
    generator,
    hour_bar,
    hours_bar,
    minute_bars,
    minute_trades,
    year_range,
)
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US

DEFAULT_SYMBOLS = tuple(f"SIM{number:03d}" for number in range(1, 21))
SYMBOL_PATTERN = re.compile(r"SIM[A-Z0-9]{1,9}")
FIRST_TRADE_TIME = 1_704_067_200 * SECOND_US  # 2024-01-01T00:00:00Z
MAX_HALF_SPREAD_CENTS = 3
MAX_BOOK_LOTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMarket:
    """A Market without beginning or end, for any symbol whose name is SIM plus letters or digits."""

    seed: int
    start_time: int
    synthetic: bool = field(default=True, init=False)
    end_time: int | None = field(default=None, init=False)

    def listings(self) -> Sequence[Listing]:
        """Return the symbols on offer by default; others of the same form are served as well."""
        return tuple(
            simulated_listing(symbol, first_trade_time=FIRST_TRADE_TIME) for symbol in DEFAULT_SYMBOLS
        )

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of any symbol that is named like a simulated one."""
        if SYMBOL_PATTERN.fullmatch(symbol) is None:
            return None
        return simulated_listing(symbol, first_trade_time=FIRST_TRADE_TIME)

    def end_of(self, symbol: str) -> None:
        """Return None: no symbol ever ends."""

    def minutes(self, symbol: str, start: int, end: int) -> list[Candle]:
        """Return a bar for every minute in [start, end) since the first trade."""
        first = max(start + -start % MINUTE_US, FIRST_TRADE_TIME)
        found: list[Candle] = []
        for hour in range(first // HOUR_US, -(-end // HOUR_US)):
            begin = max(0, (first - hour * HOUR_US) // MINUTE_US)
            finish = min(MINUTES_PER_HOUR, max(0, -(-(end - hour * HOUR_US) // MINUTE_US)))
            found.extend(minute_bars(self.seed, symbol, hour, begin, finish))
        return found

    def forming(self, symbol: str, now: int) -> Candle | None:
        """Return the aggregate of the trades of the running minute so far."""
        chunk = minute_trades(self.seed, symbol, now // MINUTE_US)
        count = bisect_right(chunk.times_ms, now // MS_US)
        if not count:
            return None
        prices = chunk.prices[:count]
        return Candle(
            time=now - now % MINUTE_US,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=sum(chunk.sizes[:count]),
        )

    def daily(self, symbol: str, start: int, end: int, now: int) -> list[DailyBar]:  # noqa: ARG002 - nothing to adjust
        """Return the UTC days that begin in [start, end), each the aggregate of its minutes."""
        first = max(-(-start // DAY_US), FIRST_TRADE_TIME // DAY_US)
        return [day_bar(self.seed, symbol, day) for day in range(first, -(-end // DAY_US))]

    def session_close(self, symbol: str, session: TradingSession, now: int) -> float | None:  # noqa: ARG002
        """Return the price at the end of a UTC day; None before the first."""
        if session.open < FIRST_TRADE_TIME:
            return None
        return hour_bar(self.seed, symbol, session.close // HOUR_US - 1).close

    def splits(self, symbol: str, start: int, end: int) -> list[Split]:  # noqa: ARG002 - the protocol's shape
        """Return nothing: simulated shares never split."""
        return []

    def actions(self, symbol: str, now: int) -> list[SimulatedAction]:
        """Return the dividends told by `now`, of the symbols that pay any; prices take no notice of them."""
        return told(made_dividends(self.seed, symbol, now), now)

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Return the aggregate of the trades in [start, end); `start` lies on a whole minute."""
        start = max(start, FIRST_TRADE_TIME)
        first_hour, last_hour = -(-start // HOUR_US), end // HOUR_US
        if first_hour >= last_hour:
            bars = self.minutes(symbol, start, end - MINUTE_US + 1)
        else:
            bars = [
                *self.minutes(symbol, start, first_hour * HOUR_US),
                hours_bar(self.seed, symbol, first_hour, last_hour),
                *self.minutes(symbol, last_hour * HOUR_US, end - MINUTE_US + 1),
            ]
        forming = self.forming(symbol, end - 1) if end % MINUTE_US and end > start else None
        if forming is not None:
            bars.append(forming)
        return span_of(bars, last_time=self.last_trade(symbol, end - 1)[0])

    def year_range(self, symbol: str, now: int) -> tuple[float, float]:
        """Return lowest and highest of the prices every four weeks in the 52 weeks before `now`'s day."""
        return year_range(self.seed, symbol, now // DAY_US)

    def last_trade(self, symbol: str, now: int) -> tuple[int, float]:
        """Return time and price of the last trade at or before `now`."""
        minute = now // MINUTE_US
        chunk = minute_trades(self.seed, symbol, minute)
        index = bisect_right(chunk.times_ms, now // MS_US) - 1
        if index < 0:
            chunk = minute_trades(self.seed, symbol, minute - 1)
        return chunk.times_ms[index] * MS_US, chunk.prices[index]

    def top_of_book(self, symbol: str, now: int) -> TopOfBook:
        """Return a bid below and an ask above the last trade; it changes at most once a second."""
        second = now // SECOND_US
        _, last = self.last_trade(symbol, second * SECOND_US)
        draw = generator(self.seed, symbol, "book", second)
        cents = round(last * 100)
        return TopOfBook(
            time=second * SECOND_US,
            bid=max(1, cents - draw.randint(1, MAX_HALF_SPREAD_CENTS)) / 100,
            bid_size=100 * draw.randint(1, MAX_BOOK_LOTS),
            ask=(cents + draw.randint(1, MAX_HALF_SPREAD_CENTS)) / 100,
            ask_size=100 * draw.randint(1, MAX_BOOK_LOTS),
        )

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk:
        """Return the trades of the minute that holds `from_time`; there is always one."""
        return minute_trades(self.seed, symbol, from_time // MINUTE_US)
