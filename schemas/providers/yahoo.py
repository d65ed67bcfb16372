"""Yahoo: charts without a key, quotes with the cookie and crumb a browser would have; nothing of it is documented."""

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
    VendorHabit,
)
from schemas.providers.spelling import Spelling
from schemas.symbols.instruments import Instrument, classify
from schemas.symbols.venues import US_CURRENCY

_DASHED_CLASS = re.compile(r"([A-Z][A-Z0-9]*)-([A-Z])")
_DOLLAR_PAIR = re.compile(r"([A-Z]{3})=X")


def _name(instrument: Instrument) -> str:
    return instrument.symbol.replace(".", "-") if instrument.is_us_listed else instrument.symbol


def _symbol(name: str) -> str | None:
    if (match := _DASHED_CLASS.fullmatch(name)) is not None:
        return f"{match[1]}.{match[2]}"
    if (match := _DOLLAR_PAIR.fullmatch(name)) is not None:
        return f"{US_CURRENCY}{name}"  # it answers JPY=X to USDJPY=X
    instrument = classify(name)
    is_dotted_class = instrument is not None and instrument.is_us_listed and "." in name
    return None if is_dotted_class else name


FACTS = ProviderFacts(
    name="yahoo",
    title="Yahoo",
    # 30m may come as 60m: left out.
    capabilities=Capabilities(
        intervals=("1m", "5m", "15m", "1h", "1d"),
        quotes_per_request=200,
        action_symbols_per_request=1,
        option_chains="expiries",
    ),
    base_url="https://query2.finance.yahoo.com",
    endpoints=("chart", "quote", "options", "crumb", "cookie"),
    plans=(
        PricingPlan(
            name="keyless",
            limits=Limits(),
            source="observed",
            read="2026-11-22",
            says="none; blocks an address for minutes to a quarter of an hour",
        ),
    ),
    # 2,000 an hour is our choice, no promise of Yahoo's: raise or lower it as your address fares.
    ours=Limits(per_second=4, per_minute=33, concurrency=4),
    # A crumb lives about a day; asking for many is what was seen throttled first.
    endpoint_limits={"crumb": Limits(per_minute=4)},
    delay_s=1_800,  # its quotes name 10 to 20 minutes for other exchanges than those of the US; half an hour is our bound
    # A crumb is asked for quotes' and options' sake; its refusals count as those of quotes, which stand last.
    serving={
        "bars": ("chart",),
        "actions": ("chart",),
        "options": ("options", "crumb", "cookie"),
        "quotes": ("quote", "crumb", "cookie"),
    },
    adjustments=Adjustments(intraday="split", daily="split"),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(banned_statuses=(999,)),  # what its edge answers to a blocked address
    habits=(
        VendorHabit(
            rule="live_row",
            says="a row stamped now beside the interval's own, flat at the last price; it stays after the close",
            source="ranaroussi/yfinance#2206, #2389; dpguthrie/yahooquery#18, #127",
            handled="merged into its interval",
        ),
        VendorHabit(
            rule="float32",
            says="prices of charts are float32 values widened",
            source="recorded charts of gadicc/node-yahoo-finance2",
            handled="taken back to the decimal that `priceHint` names",
        ),
        VendorHabit(
            rule="close_stamps",
            says="outside New York the newest day is stamped after its close, beside its own row or instead of it",
            source="dpguthrie/yahooquery#127, #176; maread99/market_prices#562",
            handled="one bar of its venue's date, final after the close",
        ),
        VendorHabit(
            rule="delayed",
            says="quotes and charts of many exchanges are late",
            source="recorded quotes of OCDO.L; ranaroussi/yfinance#789",
            handled="quotes carry `delay_s`; bars are final by the feed's own time",
        ),
        VendorHabit(
            says="before the open the regular keys of a quote are those of the session before",
            source="recorded quotes of gadicc/node-yahoo-finance2 (AAPL on 2021-02-16)",
            handled="the previous close is the last regular one, and there is no volume",
        ),
        VendorHabit(
            says="0 where a price is missing, in one column of a row or in all",
            source="ranaroussi/yfinance#315, #2361",
            handled="never a price: the row is a dead letter, or nothing where all of it is 0",
        ),
        VendorHabit(
            says="days of currencies begin at midnight in London, the evening before in UTC from March to October",
            source="atreadw1492/yahoo_fin#65",
            handled="five days a week, each under its own trade date",
        ),
        VendorHabit(
            says="a series goes over from GBp to GBP",
            source="ghostfolio/ghostfolio#2973; ranaroussi/yfinance#280",
            handled="each bar has its currency; one that is made of both says `mixed`",
        ),
        VendorHabit(
            rule="limit",
            says="counts by address, blocks for minutes and longer, in plain text and without a word of when",
            source="ranaroussi/yfinance#2411, #2422, #2518",
            handled="a pause that doubles",
        ),
        VendorHabit(
            rule="empty_symbols",
            says="a symbol without data is a stub with `quoteType` NONE, or a share without a price; an empty window has no `timestamp`",
            source="gadicc/node-yahoo-finance2#465, #636, and its recorded quotes",
            handled="missing",
        ),
        VendorHabit(
            rule="unknown_symbols",
            says="left out of a batch of quotes; 404 for a chart",
            source="recorded quotes of gadicc/node-yahoo-finance2",
            handled="missing",
        ),
        VendorHabit(
            says="dividends are at times those of their day, at times those of today's shares",
            source="ranaroussi/yfinance#307; joshuaulrich/quantmod#253; pydata/pandas-datareader#651",
            handled="their `amount_basis` is `unknown`",
        ),
        VendorHabit(
            says="splits and dividends are told from their ex-date on; splits get lost for days",
            source="recorded charts of gadicc/node-yahoo-finance2; ranaroussi/yfinance#906",
            handled="an action that is not told any more is not taken back",
        ),
        VendorHabit(
            says="out of hours bid, ask and open interest of options are 0, and their implied volatility is 0.00001",
            source="recorded options of gadicc/node-yahoo-finance2; ranaroussi/yfinance#97, #846, #2408, #2937",
            handled="a 0 bid or ask is none; `vendor_iv` is kept as given and never used",
        ),
        VendorHabit(
            says="an expiry that is not listed is answered with an empty chain and 200, a symbol without options with no expiries",
            source="recorded options of gadicc/node-yahoo-finance2",
            handled="there is no slice: NoData",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="by exchange, 0 to 20 minutes: `exchangeDataDelayedBy` of a quote, `regularMarketTime` of a chart",
        coverage="each exchange's own, named in `quoteSourceName` of its recorded quotes (gadicc/node-yahoo-finance2)",
        actions="dividends and splits, from their ex-date on, without a day of declaration",
        options="no greeks, an implied volatility; stamps of last trades and of the underlying, none of quotes; open interest without its day; delay as of the underlying's quote",
        settling="the closing auction is the day's (recorded `regularMarketTime` of OCDO.L and UNIR.MI, gadicc/node-yahoo-finance2)",
        bid_and_ask="yes",
        sizes="as the vendor counts",
        quiet_minute="null row, no bar",
        remarks=(
            "Its extra row of now is merged into the interval it lies in (yfinance issue 2206).",
            "A day stamped after its close is the venue's date (yahooquery issue 127).",
            "Widened float32 prices are the decimals they stood for.",
        ),
        terms="legal.yahoo.com (an undocumented interface, for personal use)",
    ),
)
