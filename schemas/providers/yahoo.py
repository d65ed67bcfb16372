"""Yahoo: charts without a key, quotes with the cookie and crumb a browser would have; nothing of it is documented."""

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
    capabilities=Capabilities(intervals=("1m", "5m", "15m", "1h", "1d"), quotes_per_request=200),
    base_url="https://query2.finance.yahoo.com",
    endpoints=("chart", "quote", "crumb", "cookie"),
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
    serving={"bars": ("chart",), "quotes": ("quote", "crumb", "cookie")},
    adjustments=Adjustments(intraday="split", daily="split"),
    spelling=Spelling(_name, _symbol),
    refusals=RefusalWords(banned_statuses=(999,)),  # what its edge answers to a blocked address
    on_simulator=True,
    notes=Notes(
        bid_and_ask="yes",
        sizes="as the vendor counts",
        quiet_minute="null row, no bar",
        terms="legal.yahoo.com (an undocumented interface, for personal use)",
    ),
)
