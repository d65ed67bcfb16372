"""Habits of the vendors: what each of them does every day and a kind test double does not; off unless a rule says so.

Times are seconds. Where a habit was seen is said at its class; docs/PROVIDERS.md has the table by vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.simulator.faults.values import Moment, ScenarioPart, Seconds

MAX_REQUESTS = 1_000_000
MAX_WINDOW_S = 86_400.0
MAX_DELAY_S = 7 * 86_400.0
MAX_SYMBOLS = 10_000

Symbols = Annotated[frozenset[str], Field(min_length=1, max_length=MAX_SYMBOLS)]  # asked about for every bar
Delay = Annotated[float, Field(gt=0.0, le=MAX_DELAY_S)]


class Latency(ScenarioPart):
    """Answers take time: log-normal by the median and the 99th percentile, drawn by the seed.

    No vendor publishes its own: the shape is our choice, the numbers are the scenario's. That an answer may take longer than a
    client waits is reported of each of them (finnhubio/Finnhub-API#346, a 524 of its edge).
    """

    type: Literal["latency"]
    p50_s: Seconds
    p99_s: Seconds

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not 0.0 < self.p50_s <= self.p99_s:
            raise ValueError("p50_s must be above 0 and at most p99_s")
        return self


class CountedLimit(ScenarioPart):
    """So many requests, a socket's handshakes among them, in a window that begins with the first; then the vendor's own 429.

    `by` says what has a count of its own. Over the limit, nothing passes for `block_s`, if that is longer than the window.
    Finnhub: 60 a minute and 30 a second a key (finnhub.io/docs/api/rate-limit, Finnhub-API#122, #125, #466); Alpaca: 200 a
    minute a key, with X-Ratelimit headers (docs.alpaca.markets); Polygon: 5 a minute a key and no word of when
    (massive-com/client-python#871, polygon-io/issues#112); Yahoo: by address, for minutes (ranaroussi/yfinance#2422, #2518).
    """

    type: Literal["limit"]
    requests: int = Field(ge=1, le=MAX_REQUESTS)
    window_s: float = Field(default=60.0, gt=0.0, le=MAX_WINDOW_S)
    by: tuple[Literal["key", "address", "endpoint"], ...] = ("key",)
    block_s: float = Field(default=0.0, ge=0.0, le=MAX_WINDOW_S)


class Delayed(ScenarioPart):
    """A feed that shows the market `by_s` late and says so, each vendor in its field.

    Yahoo: exchangeDataDelayedBy in minutes, the chart's regularMarketTime (yfinance#789, recorded quotes of OCDO.L); Polygon:
    status DELAYED (polygon.io/docs/stocks, 15-minute plans). Who has no field for it says nothing, nor does a socket.
    """

    type: Literal["delayed"]
    by_s: Delay


class IexPlan(ScenarioPart):
    """Alpaca's plan without the newest consolidated data: SIP of the last `recent_s` is refused, IEX is another market.

    Its volume is `share` of the tape's, and minutes without a share traded there are absent (docs.alpaca.markets, "Market
    Data FAQ"; alpacahq/alpaca-trade-api-python#423 for the batch).
    """

    type: Literal["iex_plan"]
    recent_s: Delay = 900.0
    share: float = Field(default=0.02, gt=0.0, le=1.0)


class LiveRow(ScenarioPart):
    """Yahoo's row stamped "now" beside the one of its interval: flat at the last price, without volume; it stays after the close.

    ranaroussi/yfinance#2206, #2389; dpguthrie/yahooquery#18, #127.
    """

    type: Literal["live_row"]


class Float32(ScenarioPart):
    """Yahoo's prices in charts: float32 widened, 129.0399932861328 for 129.04 (recorded charts of node-yahoo-finance2)."""

    type: Literal["float32"]


class CloseStamps(ScenarioPart):
    """Yahoo's daily row of the newest session, stamped `after_s` after its close instead of at its open.

    London, Milan, Tokyo, Sydney, Toronto: OCDO.L 16:35:01, UNIR.MI 17:35:42 (node-yahoo-finance2; dpguthrie/yahooquery#127,
    #176; maread99/market_prices#562). With `own_row` the day's own row stands beside it.
    """

    type: Literal["close_stamps"]
    after_s: float = Field(default=301.0, ge=0.0, le=7_200.0)
    own_row: bool = False


class ShortPages(ScenarioPart):
    """Pages of at most `rows` bars, whatever was asked for: they end in the middle of a symbol, and begin with another one.

    Alpaca sorts by symbol before time and cuts anywhere (docs.alpaca.markets, "Historical bars"; alpaca-trade-api-csharp#473);
    Polygon's limit counts base bars and not those it returns (polygon.io/docs/stocks, aggregates).
    """

    type: Literal["short_pages"]
    rows: int = Field(ge=1, le=10_000)


class CutFrames(ScenarioPart):
    """Frames of at most `trades` trades, those of one millisecond too: one each in Finnhub-API#143."""

    type: Literal["cut_frames"]
    trades: int = Field(default=1, ge=1, le=200)


class GatherFrames(ScenarioPart):
    """Frames that hold what came in `s` seconds, symbols mixed, as in Finnhub's own example (finnhub.io/docs/api/websocket-trades)."""

    type: Literal["gather_frames"]
    s: float = Field(gt=0.0, le=60.0)


class OneSocket(ScenarioPart):
    """One socket a key: another one ends the `first`, or is itself ended as the `second`.

    Finnhub ended the second within a second (Finnhub-API#158); Polygon the first (alpacahq/alpaca-trade-api-js#51).
    """

    type: Literal["one_socket"]
    ends: Literal["first", "second"] = "second"


class TooManySymbols(ScenarioPart):
    """A socket that takes so many symbols; each further subscription is answered alike, without its name.

    Finnhub, beyond 50 of a free key: "Subscribing to too many symbols", as users of it log it.
    """

    type: Literal["too_many_symbols"]
    most: int = Field(ge=0, le=MAX_SYMBOLS)


class UnknownSymbols(ScenarioPart):
    """Symbols that the vendor never heard of, in its own words or silence."""

    type: Literal["unknown_symbols"]
    symbols: Symbols


class RefusedSymbols(ScenarioPart):
    """Symbols that fail the whole request they are part of: "invalid symbol" (alpacahq/alpaca-trade-api-python#423).

    A socket refuses them alone, in its vendor's words for what is not in a plan.
    """

    type: Literal["refused_symbols"]
    symbols: Symbols


class EmptySymbols(ScenarioPart):
    """Symbols that the vendor lists and has nothing of.

    Yahoo's stub with quoteType NONE (recorded by node-yahoo-finance2), Finnhub's zeros (Finnhub-API#54, #332). With `spelt`
    otherwise, the other words for nothing: Yahoo's entry of a share without a price (node-yahoo-finance2#465, #636),
    Finnhub's empty list (Finnhub-API#179).
    """

    type: Literal["empty_symbols"]
    symbols: Symbols
    spelt: Literal["usual", "otherwise"] = "usual"


class StaleSymbols(ScenarioPart):
    """Symbols whose answers and trades stand `by_s` behind, without a word (ranaroussi/yfinance#789).

    A socket sends a trade so much later, under its own stamp. Without `book`, bid and ask are of now beside the old trade (alpacahq/Alpaca-API#267: a trade of August in December).
    """

    type: Literal["stale_symbols"]
    symbols: Symbols
    by_s: Delay
    book: bool = True


class ScaledSymbols(ScenarioPart):
    """Symbols whose prices are `factor` times the market's.

    A split that one vendor has applied and another has not, or hundredths for units (yfinance's documentation, "Price repair").
    """

    type: Literal["scaled_symbols"]
    symbols: Symbols
    factor: float = Field(default=2.0, gt=0.0, le=1_000.0)


class FrozenSymbols(ScenarioPart):
    """Symbols whose price stands while their stamps go on, from `since`: the beginning of the rule where it is not said.

    finnhubio/Finnhub-API#262: one price over a day of trades.
    """

    type: Literal["frozen_symbols"]
    symbols: Symbols
    since: Moment | None = None


class ListedElsewhere(ScenarioPart):
    """Symbols of venues outside New York, made up, with their venue's hours: `OCDO.L`, `7203.T`.

    No vendor's habit in itself; the stamps of their daily rows are.
    """

    type: Literal["listed_elsewhere"]
    symbols: Symbols


SymbolHabit = (
    UnknownSymbols
    | RefusedSymbols
    | EmptySymbols
    | StaleSymbols
    | ScaledSymbols
    | FrozenSymbols
    | ListedElsewhere
)
SocketHabit = CutFrames | GatherFrames | OneSocket | TooManySymbols
Habit = (
    Latency
    | CountedLimit
    | Delayed
    | IexPlan
    | LiveRow
    | Float32
    | CloseStamps
    | ShortPages
    | SymbolHabit
    | SocketHabit
)
HABITS: Mapping[str, type[ScenarioPart]] = {
    "latency": Latency,
    "limit": CountedLimit,
    "delayed": Delayed,
    "iex_plan": IexPlan,
    "live_row": LiveRow,
    "float32": Float32,
    "close_stamps": CloseStamps,
    "short_pages": ShortPages,
    "cut_frames": CutFrames,
    "gather_frames": GatherFrames,
    "one_socket": OneSocket,
    "too_many_symbols": TooManySymbols,
    "unknown_symbols": UnknownSymbols,
    "refused_symbols": RefusedSymbols,
    "empty_symbols": EmptySymbols,
    "stale_symbols": StaleSymbols,
    "scaled_symbols": ScaledSymbols,
    "frozen_symbols": FrozenSymbols,
    "listed_elsewhere": ListedElsewhere,
}
