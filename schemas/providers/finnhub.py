"""Finnhub: quotes one a request, candles on paid plans, trades over a WebSocket."""

from __future__ import annotations

import re

from schemas.providers.facts import (
    Adjustments,
    Capabilities,
    Limits,
    Notes,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
)
from schemas.providers.spelling import Spelling, of_class, unglued
from schemas.symbols.instruments import Instrument

# No quote in a set ends with another one of it: glued pairs such as BTCUSDT then split in one way only.
BINANCE_QUOTES = frozenset({"USDT", "USDC", "BTC", "ETH", "BNB"})
COINBASE_QUOTES = frozenset({"USD", "EUR", "GBP"})
# An hour of Finnhub's is the clock's; ours is the session's, so half hours are asked for and joined.
RESOLUTIONS = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "30", "1d": "D"}

_OANDA = re.compile(r"OANDA:([A-Z]{3})_([A-Z]{3})")
_COINBASE = re.compile(r"COINBASE:([A-Z0-9]+)-([A-Z]+)")


def _name(instrument: Instrument) -> str | None:
    if instrument.asset_class == "fx":
        return f"OANDA:{instrument.base}_{instrument.currency}"
    if instrument.asset_class != "crypto":
        return instrument.symbol
    if instrument.currency in COINBASE_QUOTES:
        return f"COINBASE:{instrument.symbol}"
    pair = f"{instrument.base}{instrument.currency}"
    return f"BINANCE:{pair}" if instrument.currency in BINANCE_QUOTES else None


def _symbol(name: str) -> str | None:
    if (match := _OANDA.fullmatch(name)) is not None:
        return f"{match[1]}{match[2]}=X"
    if (match := _COINBASE.fullmatch(name)) is not None:
        return f"{match[1]}-{match[2]}" if match[2] in COINBASE_QUOTES else None
    if name.startswith("BINANCE:"):
        return unglued(name.removeprefix("BINANCE:"), BINANCE_QUOTES)
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
    adjustments=Adjustments(intraday="raw", daily="split"),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(
        throttled=("api limit reached",),
        unentitled=("don't have access to this resource",),
        no_key=("please sign up for a free account",),
    ),
    on_simulator=True,
    notes=Notes(
        bars="paid plans",
        symbols="US exchanges",
        terms="finnhub.io/terms-of-service",
        remarks=("Its socket takes the token in the query only; everything else takes it in a header.",),
    ),
)
