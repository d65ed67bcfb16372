"""Alpaca: US stocks, bars and quotes over HTTP with two keys."""

from __future__ import annotations

from schemas.providers.facts import (
    Capabilities,
    Limits,
    Notes,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
)
from schemas.providers.spelling import Spelling, is_stock, stock
from schemas.symbols.instruments import Instrument

PAIR_CURRENCIES = frozenset({"USD", "USDT", "USDC", "BTC"})  # of its crypto pairs
# An hour of Alpaca's is the clock's; ours is the session's, so half hours are asked for and joined.
TIMEFRAMES = {"1m": "1Min", "5m": "5Min", "15m": "15Min", "30m": "30Min", "1h": "30Min", "1d": "1Day"}


def _name(instrument: Instrument) -> str | None:
    if instrument.asset_class == "crypto" and instrument.currency in PAIR_CURRENCIES:
        return f"{instrument.base}/{instrument.currency}"
    return instrument.symbol if is_stock(instrument) else None


def _symbol(name: str) -> str | None:
    base, slash, quote = name.partition("/")
    if slash:
        return f"{base}-{quote}" if quote in PAIR_CURRENCIES else None
    return stock(name)


FACTS = ProviderFacts(
    name="alpaca",
    title="Alpaca",
    capabilities=Capabilities(intervals=tuple(TIMEFRAMES), quotes_per_request=100, symbols=True),
    base_url="https://data.alpaca.markets",
    credentials=("PRODUCERS_ALPACA_KEY_ID", "PRODUCERS_ALPACA_SECRET_KEY"),
    endpoints=("bars", "snapshots", "assets"),
    serving={"bars": ("bars",), "quotes": ("snapshots",)},
    plans=(
        PricingPlan(
            name="Basic", limits=Limits(per_minute=200), source="docs.alpaca.markets", read="2026-11-22"
        ),
        PricingPlan(
            name="Plus", limits=Limits(per_minute=10_000), source="docs.alpaca.markets", read="2026-11-22"
        ),
    ),
    ours=Limits(concurrency=8),
    feeds=("sip", "iex"),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(unentitled=("subscription does not permit",), unknown_symbol=("asset not found",)),
    on_simulator=True,
    notes=Notes(
        symbols="US equities",
        vwap="yes",
        bid_and_ask="yes, of the feed",
        sizes="as the vendor counts (round lots in older data)",
        terms="alpaca.markets/disclosures and the market-data agreements of its exchanges",
        remarks=(
            "The feed is the consolidated tape (`sip`).",
            "A plan without recent data of it is asked for `iex` from then on, with a line in the log (`feed_changed`).",
            "Volumes of `iex` are those of one exchange.",
        ),
    ),
)
