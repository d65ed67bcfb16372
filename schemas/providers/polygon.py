"""Polygon (Massive since the end of 2025): aggregates, snapshots and tickers over HTTP with one key."""

from __future__ import annotations

import re

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
from schemas.providers.spelling import Spelling, is_stock, stock, unglued
from schemas.symbols.instruments import Instrument
from schemas.symbols.venues import FIAT

# An hour of Polygon's is the clock's; ours is the session's, so half hours are asked for and joined.
SPANS = {
    "1m": "1/minute",
    "5m": "5/minute",
    "15m": "15/minute",
    "30m": "30/minute",
    "1h": "30/minute",
    "1d": "1/day",
}
# Its names follow the index publisher's, so they come from a table alone: a rule would make ^SPX and ^GSPC one.
INDEX_NAMES = {
    "^GSPC": "I:SPX",
    "^DJI": "I:DJI",
    "^IXIC": "I:COMP",
    "^NDX": "I:NDX",
    "^RUT": "I:RUT",
    "^VIX": "I:VIX",
    "^SIMX": "I:SIMX",
}
INDEX_SYMBOLS = {name: symbol for symbol, name in INDEX_NAMES.items()}

_FX = re.compile(r"C:([A-Z]{6})")


def _name(instrument: Instrument) -> str | None:
    pair = f"{instrument.base}{instrument.currency}"
    if instrument.asset_class == "index":
        return INDEX_NAMES.get(instrument.symbol)
    if instrument.asset_class == "fx":
        return f"C:{pair}"
    if instrument.asset_class == "crypto":
        return f"X:{pair}" if instrument.currency in FIAT else None
    return instrument.symbol if is_stock(instrument) else None


def _symbol(name: str) -> str | None:
    if name.startswith("I:"):
        return INDEX_SYMBOLS.get(name)
    if (match := _FX.fullmatch(name)) is not None:
        return f"{match[1]}=X"
    if name.startswith("X:"):
        return unglued(name.removeprefix("X:"), FIAT)
    return stock(name)


FACTS = ProviderFacts(
    name="polygon",
    title="Polygon",
    capabilities=Capabilities(
        intervals=tuple(SPANS),
        quotes_per_request=100,
        action_symbols_per_request=100,
        option_chains="ranges",
        symbols=True,
    ),
    base_url="https://api.massive.com",  # api.polygon.io until the end of 2025, and still served
    credentials=("PRODUCERS_POLYGON_KEY",),
    endpoints=("aggs", "snapshot", "options", "splits", "dividends", "tickers"),
    # Two questions make one answer: where one is refused there is none.
    serving={
        "bars": ("aggs",),
        "quotes": ("snapshot",),
        "actions": ("splits", "dividends"),
        "options": ("options",),
    },
    plans=(
        PricingPlan(
            name="free",
            limits=Limits(per_minute=5),
            source="polygon.io/pricing",
            read="2026-11-22",
            says="end-of-day data",
        ),
        PricingPlan(name="paid", limits=Limits(), source="polygon.io/pricing", read="2026-11-22"),
    ),
    ours=Limits(concurrency=2),
    delay_s=900,
    settling=Settling(bars_s=10, day_has_post=True),
    # Average price, cash, derivatively priced, next day, price variation, prior reference price, seller, sold last, sold out of
    # sequence, contingent, qualified contingent. Trades before and after hours, and odd lots, count here.
    unpriced=frozenset({"2", "7", "10", "20", "21", "22", "29", "30", "32", "33", "52", "53"}),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(
        throttled=("exceeded the maximum requests",),
        unentitled=("not_authorized", "plan doesn't include"),
    ),
    habits=(
        VendorHabit(
            rule="delayed",
            says="all answers of a delayed plan say DELAYED",
            source="polygon.io/docs/stocks",
            handled="quotes carry `delay_s` 900; bars are final as much later",
        ),
        VendorHabit(
            rule="short_pages",
            says="`limit` counts the base bars, not those returned",
            source="polygon.io/docs/stocks, aggregates",
            handled="followed to the last",
        ),
        VendorHabit(
            says="whole numbers may come as 1.2e+5 or 1748755.0",
            source="polygon-io/issues#194, #280",
            handled="taken where they are whole; else the row is a dead letter",
        ),
        VendorHabit(
            rule="limit",
            says="5 a minute a key on the free plan, no word of when",
            source="massive-com/client-python#870, #871; polygon-io/issues#112",
            handled="a pause that doubles",
        ),
        VendorHabit(
            rule="empty_symbols",
            says="no `results` key, a ticker left out of a batch",
            source="massive-com/client-python, aggregates model",
            handled="missing",
        ),
        VendorHabit(
            says="splits and dividends moved to /stocks/v1 in 2026, with ids; the older /v3/reference has none",
            source="massive.com/blog, New splits and dividends endpoints (2026-02-18)",
            handled="both forms are read, the newer one is asked",
        ),
        VendorHabit(
            says="the same dividend twice on one ex-date, without an id of its own",
            source="polygon-io/issues#162",
            handled="one where they are equal, two where their amounts differ",
        ),
        VendorHabit(
            says="a day of declaration in the future, after the ex-date",
            source="polygon-io/issues#254",
            handled="the action is kept without it, and a dead letter tells",
        ),
        VendorHabit(
            says="`historical_adjustment_factor` is of all actions since, and changes with the next one",
            source="massive.com/docs, Splits and Dividends",
            handled="not kept: an action would be told anew with every later one",
        ),
        VendorHabit(
            says="contracts without `greeks`, `implied_volatility`, `last_quote` or a trade, and a `day` of weeks ago",
            source="massive.com/docs, Option Chain Snapshot; recorded snapshot of massive-com/client-python",
            handled="null; the volume of an older day is none of this session",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="15 minutes on the plans below real time: `status` DELAYED (polygon.io/pricing)",
        coverage="the consolidated tapes and the trading facilities of FINRA (polygon.io/docs/stocks, Getting started)",
        settling="trades off the exchanges, reported up to 10 s late (FINRA Rule 6380A)",
        conditions="massive.com/docs, Condition Codes, and what the CTA and UTP plans let update the last sale",
        quotes="paid plans",
        actions="splits, stock and cash dividends, of the future too; dividends with their day of declaration",
        options="implied volatility and greeks but rho; quotes, trades and the underlying stamped; open interest without its day; `timeframe` DELAYED is 15 minutes",
        symbols="US stocks",
        vwap="where the vendor has them",
        bid_and_ask="yes",
        sizes="as the vendor counts",
        terms="polygon.io/legal (massive.com/legal)",
        remarks=(
            "Quotes of a delayed plan carry `delay_s` 900; its bars are final fifteen minutes later.",
            "Next pages are followed at the same origin only.",
        ),
    ),
)
