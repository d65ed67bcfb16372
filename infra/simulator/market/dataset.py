"""The market of real data: a directory of zipped exchange files, read a symbol-day at a time.

It serves what the files hold and nothing else: a minute without a row has no bar, a symbol without
tick files has no trades, a symbol without quote files has no bid or ask.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from infra.simulator.market.actions import told
from infra.simulator.market.daily import DailySeries, regular_day
from infra.simulator.market.lean_files import (
    midnight_us,
    read_daily_rows,
    read_factors,
    read_first_time_ms,
    read_minute_bars,
    read_minute_quotes,
    read_ticks,
)
from infra.simulator.market.listings import real_listing
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
from infra.simulator.market.real_actions import load_actions
from schemas.calendar.sessions import US_EQUITIES, Calendar, load_calendar
from schemas.calendar.trading_days import TradingSession
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, MINUTE_US

CACHED_BAR_DAYS = 128  # symbol-days of about 0.2 MB
CACHED_TICK_DAYS = 4  # symbol-days of about 14 MB
YEAR_US = 364 * DAY_US
NO_PRICE_CONDITIONS = 0x20 | 0x20000000  # odd lots and prints out of sequence move volume, not the price
LAST_EVENT_US = 20 * 60 * MINUTE_US + MINUTE_US  # 20:01 New York: the post-market has closed and reported


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFiles:
    """The files of one symbol by New York date."""

    minute_trades: Mapping[date, Path] = field(default_factory=dict)
    minute_quotes: Mapping[date, Path] = field(default_factory=dict)
    ticks: Mapping[date, Path] = field(default_factory=dict)

    def event_days(self) -> list[date]:
        """Return the dates with trades or bars, oldest first."""
        return sorted({*self.minute_trades, *self.ticks})


class RealMarket:
    """A Market over the files under one directory; thread-safe, with bounded caches."""

    synthetic = False

    def __init__(self, root: Path) -> None:
        """Index the files under `root`; raise ConfigurationError when there is nothing to serve."""
        self._root = root
        self._files = dict(_index(root))
        if not self._files:
            raise ConfigurationError(
                f"MDS_SIMULATOR_DATA={root} holds no equity_minute/ or equity_tick/ files",
                remedy="point it at a directory in that layout, or unset it for the synthetic market",
            )
        self._calendar: Calendar = load_calendar(US_EQUITIES)
        self._bars = lru_cache(maxsize=CACHED_BAR_DAYS)(self._read_bars)
        self._quotes = lru_cache(maxsize=CACHED_BAR_DAYS)(self._read_quotes)
        self._ticks = lru_cache(maxsize=CACHED_TICK_DAYS)(self._read_ticks)
        self._daily: dict[str, DailySeries | None] = {s: self._load_daily(s) for s in sorted(self._files)}
        self._actions: dict[str, Sequence[SimulatedAction]] = {}
        self._listings = {symbol: self._list(symbol) for symbol in self._daily}
        self.start_time: int = min(self._first_event(symbol) for symbol in self._files)
        self.end_time: int | None = max(self.end_of(symbol) for symbol in self._files)

    def listings(self) -> Sequence[Listing]:
        """Return the symbols that have files."""
        return tuple(self._listings.values())

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of `symbol`, None when there is no file of it."""
        return self._listings.get(symbol)

    def end_of(self, symbol: str) -> int:
        """Return 20:01 New York of the last day with files of `symbol`."""
        return midnight_us(self._files[symbol].event_days()[-1]) + LAST_EVENT_US

    def minutes(self, symbol: str, start: int, end: int) -> list[Candle]:
        """Return the file rows that start in [start, end), untouched."""
        found: list[Candle] = []
        for day in _days_in(self._files[symbol].minute_trades, start, end):
            bars = self._bars(symbol, day)
            first = bisect_left(bars, start, key=_time)
            found.extend(bars[first : bisect_left(bars, end, key=_time)])
        return found

    def forming(self, symbol: str, now: int) -> Candle | None:
        """Return the running minute: an approximation, since the files hold whole minutes only."""
        minute = now - now % MINUTE_US
        rows = self.minutes(symbol, minute, minute + 1)
        return partial_bar(rows[0], (now - minute) / MINUTE_US) if rows else None

    def daily(self, symbol: str, start: int, end: int, now: int) -> list[DailyBar]:
        """Return the daily file's sessions, or those made of regular minutes where there is no such file."""
        series = self._daily[symbol]
        if series is not None:
            return series.bars(start, end, now)
        sessions = [
            session
            for day in _days_in(self._files[symbol].minute_trades, start - DAY_US, end)
            for session in self._calendar.sessions(midnight_us(day), midnight_us(day) + DAY_US)
            if start <= session.open < end
        ]
        made = (regular_day(s, self.minutes(symbol, s.open, s.close)) for s in sessions)
        return [bar for bar in made if bar is not None]

    def session_close(self, symbol: str, session: TradingSession, now: int) -> float | None:
        """Return the close of the daily bar of `session`, None when there is none."""
        days = self.daily(symbol, session.open, session.open + 1, now)
        return days[0].close if days else None

    def splits(self, symbol: str, start: int, end: int) -> list[Split]:
        """Return the splits of the factor file that took effect in [start, end)."""
        series = self._daily[symbol]
        return series.splits(start, end) if series is not None else []

    def actions(self, symbol: str, now: int) -> list[SimulatedAction]:
        """Return what the factor file tells by `now`, or, without one, known steps of the prices."""
        if symbol not in self._actions:
            days = self.daily(symbol, 0, self.end_of(symbol), self.end_of(symbol))
            self._actions[symbol] = load_actions(self._root, symbol, days, self._calendar)
        return told(self._actions[symbol], now)

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Return the aggregate of the minutes in [start, end), or of the ticks of a symbol without minute files."""
        if not self._files[symbol].minute_trades:
            return self._tick_span(symbol, start, end)
        whole = self.minutes(symbol, start, end - MINUTE_US + 1)
        forming = self.forming(symbol, end) if end % MINUTE_US and end - end % MINUTE_US >= start else None
        bars = [*whole, forming] if forming is not None else whole
        return span_of(bars, last_time=min(end, bars[-1].time + MINUTE_US)) if bars else None

    def year_range(self, symbol: str, now: int) -> tuple[float, float] | None:
        """Return lowest and highest price of the sessions that closed in the 52 weeks before `now`."""
        days = [d for d in self.daily(symbol, now - YEAR_US, now, now) if d.visible_from <= now]
        return (min(day.low for day in days), max(day.high for day in days)) if days else None

    def top_of_book(self, symbol: str, now: int) -> TopOfBook | None:
        """Return the closing bid and ask of the last whole minute before `now` on the same New York day."""
        for day in _days_in(self._files[symbol].minute_quotes, now, now + 1):
            quotes = self._quotes(symbol, day)
            index = bisect_right(quotes, now - MINUTE_US, key=_quote_time) - 1
            if index >= 0:
                return quotes[index]
        return None

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk | None:
        """Return the first day of ticks that ends after `from_time`, read in a thread: it takes half a second."""
        for day in sorted(self._files[symbol].ticks):
            if midnight_us(day) + DAY_US > from_time:
                return await asyncio.to_thread(self._ticks, symbol, day)
        return None

    def _tick_span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Aggregate ticks: prices of eligible trades, the volume of all."""
        for day in _days_in(self._files[symbol].ticks, start, end):
            chunk = self._ticks(symbol, day)
            first, last = (bisect_left(chunk.times_ms, -(-moment // MS_US)) for moment in (start, end))
            eligible = [
                i for i in range(first, last) if not int(chunk.conditions[i], 16) & NO_PRICE_CONDITIONS
            ]
            if eligible:
                prices = [chunk.prices[i] for i in eligible]
                return Aggregate(
                    time=chunk.times_ms[eligible[0]] * MS_US,
                    open=prices[0],
                    high=max(prices),
                    low=min(prices),
                    close=prices[-1],
                    volume=sum(chunk.sizes[first:last]),
                    last_time=chunk.times_ms[eligible[-1]] * MS_US,
                )
        return None

    def _read_bars(self, symbol: str, day: date) -> tuple[Candle, ...]:
        return read_minute_bars(self._files[symbol].minute_trades[day], midnight_us(day))

    def _read_quotes(self, symbol: str, day: date) -> tuple[TopOfBook, ...]:
        return read_minute_quotes(self._files[symbol].minute_quotes[day], midnight_us(day))

    def _read_ticks(self, symbol: str, day: date) -> TradeChunk:
        midnight = midnight_us(day)
        return read_ticks(self._files[symbol].ticks[day], symbol, midnight, midnight + DAY_US)

    def _load_daily(self, symbol: str) -> DailySeries | None:
        path = self._root / "equity_daily" / "daily" / f"{symbol.lower()}.zip"
        factors = self._root / "equity_daily" / "factor_files" / f"{symbol.lower()}.csv"
        if not path.is_file():
            return None
        return DailySeries(
            read_daily_rows(path), read_factors(factors) if factors.is_file() else (), self._calendar
        )

    def _list(self, symbol: str) -> Listing:
        files, series = self._files[symbol], self._daily[symbol]
        streams = (
            *(("bars",) if files.minute_trades else ()),
            *(("quotes",) if files.minute_quotes or files.ticks else ()),
            *(("trades",) if files.ticks else ()),
        )
        first_daily = series.first_open if series is not None else None
        first = self._first_event(symbol) if first_daily is None else first_daily
        return real_listing(self._root, symbol, streams=streams, first_trade_time=first)

    def _first_event(self, symbol: str) -> int:
        files = self._files[symbol]
        day = files.event_days()[0]
        paths = [held[day] for held in (files.minute_trades, files.ticks) if day in held]
        return midnight_us(day) + min(read_first_time_ms(path) for path in paths) * MS_US


def partial_bar(whole: Candle, fraction: float) -> Candle:
    """Return `whole` as it may have looked after `fraction` of its minute.

    Assumes the price went from the open over the nearer extreme and the other one to the close, a
    quarter of the minute each, and volume came evenly: never outside the whole bar, equal to it at 1.
    """
    extremes = (whole.low, whole.high) if whole.close >= whole.open else (whole.high, whole.low)
    path = (whole.open, *extremes, whole.close)
    reached = path[: 1 + int(min(max(fraction, 0.0), 1.0) * (len(path) - 1))]
    return Candle(
        time=whole.time,
        open=whole.open,
        high=max(reached),
        low=min(reached),
        close=reached[-1],
        volume=int(whole.volume * fraction),
    )


def _index(root: Path) -> Iterator[tuple[str, SymbolFiles]]:
    """Yield the symbols that have bars or ticks, with their files."""
    folders = {
        p.name for kind in ("equity_minute", "equity_tick") for p in (root / kind).glob("*") if p.is_dir()
    }
    for name in sorted(folders):
        files = SymbolFiles(
            minute_trades=_by_day(root / "equity_minute" / name, "trade"),
            minute_quotes=_by_day(root / "equity_minute" / name, "quote"),
            ticks=_by_day(root / "equity_tick" / name, "trade"),
        )
        if files.minute_trades or files.ticks:
            yield name.upper(), files


def _by_day(folder: Path, kind: str) -> dict[date, Path]:
    paths = sorted(folder.glob(f"[0-9]*_{kind}.zip"))
    try:
        return {datetime.strptime(p.name[:8], "%Y%m%d").date(): p for p in paths}  # noqa: DTZ007 - a date only
    except ValueError as error:
        raise ConfigurationError(
            f"{folder}: a file is not named YYYYMMDD_{kind}.zip", remedy="rename it or take it out"
        ) from error


def _days_in(files: Mapping[date, Path], start: int, end: int) -> Iterator[date]:
    for day in sorted(files):
        midnight = midnight_us(day)
        if midnight < end and midnight + DAY_US > start:
            yield day


_time: Callable[[Candle], int] = lambda bar: bar.time  # noqa: E731 - a sort key, not a function of its own
_quote_time: Callable[[TopOfBook], int] = lambda quote: quote.time  # noqa: E731
