"""FRED and ALFRED of the Federal Reserve Bank of St. Louis: macro series with all their vintages, by a free key."""

from __future__ import annotations

from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import Limits, Notes, PricingPlan, ProviderFacts, RefusalWords, VendorHabit
from schemas.providers.spelling import NO_SECURITIES

# Works of the federal government, of which nobody holds a copyright: BLS, BEA, Census, Labor, Energy, the Treasury, the Board.
PUBLIC_SERIES = frozenset(
    {
        *("DFF", "T10Y2Y", "T10YIE", "DTWEXBGS", "INDPRO", "TCU", "ICSA", "ULCNFB"),
        *("CPIAUCSL", "CPILFESL", "PPIFIS", "IQ", "UNRATE", "PAYEMS", "JTSJOL", "DCOILWTICO"),
        *("GDPC1", "A261RX1Q020SBEA", "PCEPI", "PCEPILFE", "PCEC96", "BOPTIMP"),
        *("RSAFS", "HOUST", "HSN1F", "DGORDER", "WHLSLRIMSA"),
        *("DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7", "DGS10", "DGS20", "DGS30"),
    }
)
RESTRICTED_SERIES = frozenset({"VIXCLS"})  # Cboe's
RESTRICTED_PREFIXES = ("BAML",)  # ICE's

FACTS = ProviderFacts(
    name="fred",
    title="FRED",
    capabilities=Capabilities(macro=True),
    base_url="https://api.stlouisfed.org",
    credentials=("PRODUCERS_FRED_API_KEY",),
    key_parameter="api_key",
    without_key="newest values of `fredgraph.csv`, without vintages",
    endpoints=("observations", "vintagedates", "series", "fredgraph"),
    serving={"macro": ("observations", "vintagedates", "series", "fredgraph")},
    plans=(
        PricingPlan(
            name="free",
            limits=Limits(per_minute=120),
            source="fred.stlouisfed.org/docs/api/fred/errors.html; cran/fredr NEWS 2.0.0",
            read="2026-11-29",
            says="2,000 vintages and 100,000 observations a request",
        ),
    ),
    ours=Limits(per_second=2, concurrency=2),
    spelling=NO_SECURITIES,
    refusals=RefusalWords(throttled=("exceeded rate",), unknown_symbol=("does not exist",)),
    samples=(),
    series_samples=("FRED:GDPC1", "FRED:UNRATE"),
    habits=(
        VendorHabit(
            says="`realtime_start` and `realtime_end` are cut to the window asked for",
            source="mortada/fredapi#52",
            handled="windows put together; a poll asks from the day before",
        ),
        VendorHabit(
            says="400 for more than 2,000 vintages in a request",
            source="mortada/fredapi#48",
            handled="asked for in windows",
        ),
        VendorHabit(
            says="400 that refuses the key, also under load",
            source="mortada/fredapi#45",
            handled="asked once more",
        ),
        VendorHabit(
            says="`last_updated` has the offset of Central time without minutes",
            source="fred.stlouisfed.org/docs/api/fred/series.html",
            handled="read so",
        ),
        VendorHabit(
            rule="limit",
            says="120 requests a minute a key",
            source="cran/fredr NEWS 2.0.0",
            handled="2 a second",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="vintages name a day: known at its end in New York, unless the moment of the last update was seen",
        coverage="series of some hundred publishers (fred.stlouisfed.org)",
        settling="revised for years: each revision is a vintage",
        symbols="none",
        terms="fred.stlouisfed.org/docs/api/terms_of_use.html; series of third parties are theirs",
        remarks=(
            "The key travels in the query, where alone FRED takes it; it is in no log and no error.",
            "Quarters are dated by their first month or their last: both are the quarter.",
            "Without a key `fredgraph.csv` gives newest values, known since they were seen.",
        ),
    ),
)
