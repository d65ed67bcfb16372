"""Finnhub: quotes one a request, candles on paid plans, trades over a WebSocket."""

from __future__ import annotations

import re

from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import (
    Adjustments,
    Limits,
    Notes,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
    Settling,
    VendorHabit,
)
from schemas.providers.spelling import Spelling, of_class, unglued
from schemas.symbols.instruments import Instrument

# No quote in a set ends with another one of it: glued pairs such as BTCUSDT then split in one way only.
BINANCE_QUOTES = frozenset({"USDT", "USDC", "BTC", "ETH", "BNB"})
COINBASE_QUOTES = frozenset({"USD", "EUR", "GBP"})
# An hour of Finnhub's is the clock's; ours is the session's, so half hours are asked for and joined.
RESOLUTIONS = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "30", "1d": "D"}

_UNIT, _UNIT_NAME = re.compile(r"([A-Z0-9]{1,12})-UN\.TO"), re.compile(r"([A-Z0-9]{1,12})\.UN\.TO")
_OANDA = re.compile(r"OANDA:([A-Z]{3})_([A-Z]{3})")
_COINBASE = re.compile(r"COINBASE:([A-Z0-9]+)-([A-Z]+)")


def _name(instrument: Instrument) -> str | None:
    if instrument.asset_class == "fx":
        return f"OANDA:{instrument.base}_{instrument.currency}"
    if instrument.asset_class != "crypto":
        return _listed(instrument.symbol)
    if instrument.currency in COINBASE_QUOTES:
        return f"COINBASE:{instrument.symbol}"
    pair = f"{instrument.base}{instrument.currency}"
    return f"BINANCE:{pair}" if instrument.currency in BINANCE_QUOTES else None


def _listed(symbol: str) -> str | None:
    """Return its name of a listing; of share classes elsewhere only that of Toronto's units is known.

    Finnhub-API issue 410: ERE-UN.TO gives nothing, and the vendor writes ERE.UN.TO. Guessing VOLV.B.ST from it might name
    another share.
    """
    if (match := _UNIT.fullmatch(symbol)) is not None:
        return f"{match[1]}.UN.TO"
    return None if "-" in symbol else symbol


def _symbol(name: str) -> str | None:
    if (match := _OANDA.fullmatch(name)) is not None:
        return f"{match[1]}{match[2]}=X"
    if (match := _COINBASE.fullmatch(name)) is not None:
        return f"{match[1]}-{match[2]}" if match[2] in COINBASE_QUOTES else None
    if name.startswith("BINANCE:"):
        return unglued(name.removeprefix("BINANCE:"), BINANCE_QUOTES)
    if (match := _UNIT_NAME.fullmatch(name)) is not None:
        return f"{match[1]}-UN.TO"
    if "-" in name:
        return None
    return of_class(name, "equity", "etf", "index", "simulated")


FACTS = ProviderFacts(
    name="finnhub",
    title="Finnhub",
    capabilities=Capabilities(intervals=tuple(RESOLUTIONS), quotes_per_request=1, trades=True, symbols=True),
    base_url="https://finnhub.io",
    socket_url="wss://ws.finnhub.io",
    credentials=("PRODUCERS_FINNHUB_TOKEN",),
    endpoints=("candle", "quote", "symbol", "socket", "websocket"),
    serving={"bars": ("candle",), "quotes": ("quote",)},
    plans=(
        PricingPlan(
            name="free",
            limits=Limits(per_minute=60),
            source="finnhub.io/docs/api/rate-limit",
            read="2026-11-22",
            says="one socket a key",
        ),
    ),
    every_plan=Limits(per_second=30),
    ours=Limits(concurrency=8),
    settling=Settling(bars_s=10),
    adjustments=Adjustments(intraday="raw", daily="split"),
    # The vendor's own table of codes could not be read, and its low ones are not those of the tapes: no more is taken for proven.
    unpriced=frozenset({"52", "53"}),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(
        throttled=("api limit reached",),
        unentitled=("don't have access to this resource",),
        no_key=("please sign up for a free account",),
    ),
    habits=(
        VendorHabit(
            rule="cut_frames",
            says="one trade a frame",
            source="finnhubio/Finnhub-API#143",
            handled="taken as they are",
        ),
        VendorHabit(
            rule="duplicate_frames",
            says="each frame two or three times",
            source="finnhubio/Finnhub-API#143, #158",
            handled="dropped where they have several trades",
        ),
        VendorHabit(
            rule="gather_frames",
            says="many symbols in a frame",
            source="finnhub.io/docs/api/websocket-trades",
            handled="taken as they are",
        ),
        VendorHabit(
            says="a trade of size 0 is an update of the price",
            source="finnhub.io/docs/api/websocket-trades",
            handled="left out, but of currencies, of which nobody counts sizes",
        ),
        VendorHabit(
            rule="one_socket",
            says="a second socket of a key is ended within a second",
            source="finnhubio/Finnhub-API#158",
        ),
        VendorHabit(
            rule="too_many_symbols",
            says="the first 50 symbols of a free key; the same words for each one beyond, without its name",
            source="as users of it log it",
            handled="what sends nothing is told as refused",
        ),
        VendorHabit(
            rule="limit",
            says="60 a minute and 30 a second a key, without a word of when",
            source="finnhub.io/docs/api/rate-limit; finnhubio/Finnhub-API#122, #466",
            handled="a pause that doubles",
        ),
        VendorHabit(
            rule="empty_symbols",
            says="200 with zeros, or with an empty list, for a symbol it has nothing of",
            source="finnhubio/Finnhub-API#54, #332, #179",
            handled="no data",
        ),
        VendorHabit(
            rule="frozen_symbols",
            says="one price through a day of trades",
            source="finnhubio/Finnhub-API#262",
            handled="counted against its validity where others move",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="none is said; the socket was late by up to 40 minutes (finnhubio/Finnhub-API#42, #84)",
        coverage="over the socket IEX alone of US shares, some 2.5 % of all trades (finnhubio/Finnhub-API#293)",
        settling="trades off the exchanges, reported up to 10 s late (FINRA Rule 6380A)",
        conditions="contingent trades, 8 dollars off the price of SPY (polygon-io/issues#13, finnhubio/Finnhub-API#262)",
        bars="paid plans",
        symbols="US exchanges",
        terms="finnhub.io/terms-of-service",
        remarks=(
            "Its socket takes the token in the query only; everything else takes it in a header.",
            "Of share classes elsewhere only Toronto's units have a proven name (Finnhub-API issue 410).",
        ),
    ),
)
