"""The vocabulary of the simulator: what a market holds, whatever it is made from.

Times are integer microseconds since the Unix epoch, UTC; prices are US dollars; sizes are shares.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

from schemas.calendar.trading_days import TradingSession

MS_US = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """Open, high, low, close and volume from `time` (the bar's START) on."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBar(Candle):
    """One regular session; `adjusted_close` has splits and dividends taken out, as known at some market time."""

    adjusted_close: float
    visible_from: int  # the session's regular close: before it, the day is still forming


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(Candle):
    """The aggregate of a stretch of time; `time` is its first bar's or trade's, `last_time` its last trade's.

    Where only whole minutes are known, a finished minute's last trade counts as made at its end.
    """

    last_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A share split: `numerator` new shares for `denominator` old ones, effective at the session open `time`."""

    time: int
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAction:
    """A corporate action as it is told from market time `told_from` (µs) on; one told later of the same kind and day corrects it.

    It takes effect at the open `time` (µs) of `ex_date`. Of a split and a spin-off `numerator` shares for `denominator`, of a
    dividend the cash a share of that day, in dollars; `other` is the symbol that is spun off, or that follows a rename.
    """

    kind: Literal["split", "dividend", "spin_off", "rename"]
    ex_date: date
    time: int
    told_from: int
    declared: date | None = None
    record: date | None = None
    paid: date | None = None
    numerator: int = 1
    denominator: int = 1
    amount: float = 0.0
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOfBook:
    """Best bid and ask at `time`; sizes in shares."""

    time: int
    bid: float
    bid_size: int
    ask: float
    ask_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Identity of a symbol in the words the vendors use."""

    symbol: str
    long_name: str
    exchange_code: str  # Yahoo's exchangeName: NMS, NYQ, PCX, SIM
    exchange_name: str  # Yahoo's fullExchangeName
    instrument_type: str  # EQUITY, ETF, SIMULATED
    calendar: str  # a name that schemas.calendar.load_calendar takes
    first_trade_time: int
    synthetic: bool
    streams: tuple[str, ...]  # of bars, quotes, trades


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeChunk:
    """Consecutive trades of one symbol as columns, in the order they happened.

    The columns have equal length. `next_from` is the market time to ask for the chunk after this
    one; no trade lies between the last row and it.
    """

    symbol: str
    times_ms: array[int] = field(repr=False)
    prices: array[float] = field(repr=False)
    sizes: array[int] = field(repr=False)
    conditions: Sequence[str] = field(repr=False)
    next_from: int

    def __len__(self) -> int:
        return len(self.times_ms)


def span_of(bars: Sequence[Candle], *, last_time: int) -> Aggregate | None:
    """Return the aggregate of `bars` (oldest first); None when there are none."""
    if not bars:
        return None
    return Aggregate(
        time=bars[0].time,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=sum(bar.volume for bar in bars),
        last_time=last_time,
    )


class MarketModel(Protocol):
    """The market the vendor faces show; it knows the whole of time, the view decides what may be seen yet."""

    @property
    def synthetic(self) -> bool:
        """Whether nothing in it is real."""

    @property
    def start_time(self) -> int:
        """Return where the clock begins unless it is told otherwise."""

    @property
    def end_time(self) -> int | None:
        """Return the end of all data, None when it never ends."""

    def listings(self) -> Sequence[Listing]:
        """Return the symbols on offer."""

    def listing(self, symbol: str) -> Listing | None:
        """Return the listing of `symbol`, None when the market does not know it."""

    def end_of(self, symbol: str) -> int | None:
        """Return the end of what is known of `symbol`; None when it never ends."""

    def minutes(self, symbol: str, start: int, end: int) -> Sequence[Candle]:
        """Return the whole minute bars that start in [start, end), oldest first."""

    def forming(self, symbol: str, now: int) -> Candle | None:
        """Return the minute that holds `now` as far as it has happened; None without a trade yet."""

    def daily(self, symbol: str, start: int, end: int, now: int) -> Sequence[DailyBar]:
        """Return regular sessions that open in [start, end), adjusted for the splits known at `now`."""

    def session_close(self, symbol: str, session: TradingSession, now: int) -> float | None:
        """Return the regular close of a `session` that is over, adjusted as known at `now`; None without one."""

    def splits(self, symbol: str, start: int, end: int) -> Sequence[Split]:
        """Return the splits that took effect in [start, end)."""

    def actions(self, symbol: str, now: int) -> Sequence[SimulatedAction]:
        """Return the corporate actions told by `now`, each as it was told last, by ex-date; some lie ahead."""

    def span(self, symbol: str, start: int, end: int) -> Aggregate | None:
        """Return the aggregate of all that had happened in [start, end) by `end`, the forming minute included."""

    def year_range(self, symbol: str, now: int) -> tuple[float, float] | None:
        """Return lowest and highest price of about the 52 weeks before `now`'s day; None without a finished day."""

    def top_of_book(self, symbol: str, now: int) -> TopOfBook | None:
        """Return the best bid and ask standing at `now`, None where the market holds no quotes."""

    async def trade_chunk(self, symbol: str, from_time: int) -> TradeChunk | None:
        """Return the next chunk that may hold trades at or after `from_time`; None at the end of the data."""
