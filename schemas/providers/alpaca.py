"""Alpaca: US stocks, bars and quotes over HTTP with two keys."""

from __future__ import annotations

from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import (
    Limits,
    Notes,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
    Settling,
    VendorHabit,
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
    capabilities=Capabilities(
        intervals=tuple(TIMEFRAMES),
        bar_symbols_per_request=100,
        bars_per_page=10_000,
        quotes_per_request=100,
        action_symbols_per_request=100,
        option_chains="ranges",
        symbols=True,
    ),
    base_url="https://data.alpaca.markets",
    credentials=("PRODUCERS_ALPACA_KEY_ID", "PRODUCERS_ALPACA_SECRET_KEY"),
    endpoints=("bars", "snapshots", "corporate_actions", "options", "assets"),
    serving={
        "bars": ("bars",),
        "quotes": ("snapshots",),
        "actions": ("corporate_actions",),
        "options": ("options",),
    },
    plans=(
        PricingPlan(
            name="Basic", limits=Limits(per_minute=200), source="docs.alpaca.markets", read="2026-11-22"
        ),
        PricingPlan(
            name="Plus", limits=Limits(per_minute=10_000), source="docs.alpaca.markets", read="2026-11-22"
        ),
    ),
    ours=Limits(concurrency=8),
    feeds=(
        "sip",
        "delayed_sip",
    ),  # both the consolidated tape: IEX has some fiftieth of its volume and is no stand-in
    delay_s=900,
    settling=Settling(bars_s=30, day_has_post=True),
    # Derivatively priced, qualified contingent, cash, price variation, next day, prior reference price, seller, extended hours
    # out of sequence, contingent, average price, sold out of sequence. B is average price on one tape and bunched on the
    # other: it counts.
    unpriced=frozenset("47CHNPRUVWZ"),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(unentitled=("subscription does not permit",), unknown_symbol=("asset not found",)),
    habits=(
        VendorHabit(
            rule="iex_plan",
            says="a plan without recent SIP data has IEX: one exchange's prices and volumes",
            source="docs.alpaca.markets, Market Data FAQ",
            handled="the same tape is asked for, fifteen minutes late",
        ),
        VendorHabit(
            rule="short_pages",
            says="pages sorted by symbol before time, cut anywhere",
            source="docs.alpaca.markets, Historical bars; alpacahq/alpaca-trade-api-csharp#473",
            handled="followed to the last",
        ),
        VendorHabit(
            rule="refused_symbols",
            says="one invalid symbol fails its batch",
            source="alpacahq/alpaca-trade-api-python#423",
            handled="asked again without it",
        ),
        VendorHabit(
            rule="stale_symbols",
            says="a snapshot joins the quote of now with a trade of months ago",
            source="alpacahq/Alpaca-API#267",
            handled="a price is stamped by its trade",
        ),
        VendorHabit(
            rule="limit",
            says="200 a minute a key on Basic; X-Ratelimit headers on every answer",
            source="docs.alpaca.markets",
            handled="nothing is asked until `X-Ratelimit-Reset`",
        ),
        VendorHabit(
            rule="empty_symbols",
            says="null in a batch of snapshots",
            source="alpacahq/alpaca-trade-api-go, marketdata tests",
            handled="missing",
        ),
        VendorHabit(
            says="`payable_date` of a split lies a day before its ex-date",
            source="docs.rs/rustrade-data, exchange::alpaca::reference; alpacahq/alpaca-py, tests",
            handled="the ex-date counts; where a kind has none, `effective_date` or `process_date`",
        ),
        VendorHabit(
            says="`start` and `end` are of the day an action is processed: of a dividend the day it is paid",
            source="docs.alpaca.markets, Corporate actions, its examples; jasonwu001t/marketlens-mcp",
            handled="asked for 120 days further, and chosen by ex-date",
        ),
        VendorHabit(
            says="a forward split told as a reverse one",
            source="alpacahq/alpaca-py#604",
            handled="kept as it is told",
        ),
        VendorHabit(
            says="a plan without OPRA has option chains of the feed `indicative`",
            source="docs.alpaca.markets, Real-time Option Data",
            handled="asked for after a refusal, with a line in the log; its slices carry `delay_s` 900",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="SIP of the last 15 minutes is refused on Basic: `delayed_sip` then (docs.alpaca.markets)",
        coverage="the consolidated tape (docs.alpaca.markets, Market Data FAQ)",
        settling="a bar is sent anew half a minute later where trades came late (docs.alpaca.markets, Real-time Stock Data)",
        conditions="docs.alpaca.markets, stock meta conditions, and what the CTA and UTP plans let update the last sale",
        options="implied volatility and greeks; quotes and trades stamped; neither open interest nor the underlying's price; `opra`, or `indicative` 15 minutes late",
        symbols="US equities",
        actions="all kinds but partial calls, of the future as far as they are complete; without a day of declaration",
        vwap="yes",
        bid_and_ask="yes, of the feed",
        sizes="as the vendor counts (round lots in older data)",
        terms="alpaca.markets/disclosures and the market-data agreements of its exchanges",
        remarks=(
            "The feed is the consolidated tape (`sip`).",
            "A plan without recent data of it is asked for the same fifteen minutes late from then on, with a line in the log (`feed_changed`); its quotes carry `delay_s` 900.",
            "`iex` is not asked for: its volumes are those of one exchange.",
        ),
    ),
)
