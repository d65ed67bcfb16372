"""Finnhub's REST routes under /finnhub/api/v1: quote, stock/candle and stock/symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from infra.simulator.faults.exchange import answer
from infra.simulator.faults.refusals import Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import is_spelt_otherwise
from infra.simulator.market.model import Candle
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.bar_rows import MICS, day_rows, forming_minute, minute_rows
from infra.simulator.vendors.finnhub_socket import add_socket
from infra.simulator.vendors.yahoo_chart import join_rows, period_start
from schemas.intervals import MINUTE_US, SECOND_US

MINUTE_RESOLUTIONS = {"1": 1, "5": 5, "15": 15, "30": 30, "60": 60}
DAY_RESOLUTIONS = {"D": "1d", "W": "1wk", "M": "1mo"}
RESOLUTIONS = (*MINUTE_RESOLUTIONS, *DAY_RESOLUTIONS)
MAX_MINUTE_SPAN_US = 31 * 24 * 60 * MINUTE_US  # a month of intraday candles a call
LAST_EPOCH_S = 10**11
PERCENT_DECIMALS = 4
PRICE_DECIMALS = 4
NO_DATA = {"s": "no_data"}
ZERO_QUOTE = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
WORDS = {
    401: "Invalid API key.",
    403: "You don't have access to this resource.",
    429: "API limit reached. Please try again later. Remaining Limit: 0",
}


def _keys(request: web.Request) -> tuple[str, ...]:
    return (request.query.get("token", "") or request.headers.get("X-Finnhub-Token", ""),)


def _words(status: int) -> SimulatedReply:
    return json_reply({"error": WORDS.get(status, "Internal server error")}, status)


MANNERS = Manners(
    words=_words,
    keys=_keys,
    without_key=json_reply({"error": "Please use an API key."}, 401),
    zero_quote=json_reply(ZERO_QUOTE),
)


def add_routes(app: web.Application) -> None:
    """Add the Finnhub routes to `app`, those of its socket too."""
    add_socket(app)
    app.router.add_get("/finnhub/api/v1/quote", _quote)
    app.router.add_get("/finnhub/api/v1/stock/candle", _candle)
    app.router.add_get("/finnhub/api/v1/stock/symbol", _symbols)


async def _quote(request: web.Request) -> web.Response:
    symbol = request.query.get("symbol", "").upper()

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return json_reply([]) if is_spelt_otherwise(symbol, faults) else quote(view, symbol)

    return await answer(request, "finnhub", "quote", (symbol,), build)


async def _candle(request: web.Request) -> web.Response:
    symbol = request.query.get("symbol", "").upper()

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return candles(view, symbol, request.query, faults)

    return await answer(request, "finnhub", "candle", (symbol,), build, in_thread=True)


async def _symbols(request: web.Request) -> web.Response:
    return await answer(request, "finnhub", "symbol", (), lambda view, _: symbols(view, request.query))


def symbols(view: MarketView, given: Mapping[str, str]) -> SimulatedReply:
    """Return the symbols of an exchange; everything here is traded in the US."""
    if given.get("exchange") != "US":
        return json_reply([])
    rows = [
        {
            "currency": "USD",
            "description": listing.long_name.upper(),
            "displaySymbol": listing.symbol,
            "figi": "",
            "isin": None,
            "mic": MICS.get(listing.exchange_code, ""),
            "shareClassFIGI": "",
            "symbol": listing.symbol,
            "symbol2": "",
            "type": "ETP" if listing.instrument_type == "ETF" else "Common Stock",
        }
        for listing in view.market.listings()
    ]
    return json_reply(rows)


def quote(view: MarketView, symbol: str) -> SimulatedReply:
    """Return the quote of `symbol`; an unknown one, or one not traded yet, is a 200 of zeros."""
    listing = view.market.listing(symbol)
    summary = view.summary(listing, view.now(symbol)) if listing is not None else None
    if summary is None:
        return json_reply(ZERO_QUOTE)
    span, previous = summary.span, summary.previous_close
    change = None if previous is None else round(span.close - previous, PRICE_DECIMALS)
    percent = None if previous is None else round(100 * (span.close - previous) / previous, PERCENT_DECIMALS)
    return json_reply(
        {
            "c": span.close,
            "d": change,
            "dp": percent,
            "h": span.high,
            "l": span.low,
            "o": span.open,
            "pc": 0 if previous is None else previous,
            "t": span.last_time // SECOND_US,
        }
    )


def candles(
    view: MarketView, symbol: str, given: Mapping[str, str], faults: Sequence[Fault]
) -> SimulatedReply:
    """Return candles in columns; `from` and `to` are both inclusive seconds, the running candle is among them."""
    listing = view.market.listing(symbol)
    resolution = given.get("resolution", "")
    if resolution not in RESOLUTIONS:
        return json_reply({"error": f"Invalid resolution; use one of {' '.join(RESOLUTIONS)}"}, 422)
    try:
        bounds = [max(-LAST_EPOCH_S, min(int(given.get(name, "")), LAST_EPOCH_S)) for name in ("from", "to")]
    except ValueError:
        return json_reply({"error": "from and to must be unix seconds"}, 422)
    start, end = bounds[0] * SECOND_US, (bounds[1] + 1) * SECOND_US
    if listing is None or "bars" not in listing.streams:
        return json_reply(NO_DATA)
    now = view.now(symbol)
    if resolution in MINUTE_RESOLUTIONS:
        first = max(start, end - MAX_MINUTE_SPAN_US)
        rows = minute_rows(view, listing, first, min(end, now + 1), now, faults)
        rows += forming_minute(view, listing, first, min(end, now + 1), now, faults)
        step = MINUTE_RESOLUTIONS[resolution] * MINUTE_US
        bars = join_rows(rows, lambda time: time - time % step)
    else:
        zone = ZoneInfo(view.calendar(listing).timezone)
        # A period shorter than its own length is a day; its stamp is local midnight in UTC terms.
        rows = day_rows(view, listing, start, end, now, adjusted=True)
        interval = DAY_RESOLUTIONS[resolution]
        bars = join_rows(rows, lambda time: time if interval == "1d" else period_start(time, interval, zone))
    return json_reply(_columns([(time, bar) for time, bar in bars if bar is not None]))


def _columns(rows: Sequence[tuple[int, Candle]]) -> dict[str, Any]:
    if not rows:
        return NO_DATA
    return {
        "c": [bar.close for _, bar in rows],
        "h": [bar.high for _, bar in rows],
        "l": [bar.low for _, bar in rows],
        "o": [bar.open for _, bar in rows],
        "s": "ok",
        "t": [time // SECOND_US for time, _ in rows],
        "v": [bar.volume for _, bar in rows],
    }
