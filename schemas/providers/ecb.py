"""The European Central Bank's data portal: euro reference rates, key rates and other series, as SDMX CSV without a key."""

from __future__ import annotations

from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import Limits, Notes, PricingPlan, ProviderFacts, VendorHabit
from schemas.providers.spelling import NO_SECURITIES

FACTS = ProviderFacts(
    name="ecb",
    title="ECB",
    capabilities=Capabilities(macro=True),
    base_url="https://data-api.ecb.europa.eu",
    endpoints=("data",),
    serving={"macro": ("data",)},
    plans=(
        PricingPlan(
            name="open",
            limits=Limits(),
            source="data.ecb.europa.eu/help/api/overview",
            read="2026-11-29",
            says="no number is published",
        ),
    ),
    ours=Limits(per_second=1, concurrency=1),
    spelling=NO_SECURITIES,
    samples=(),
    series_samples=("ECB:EXR.D.USD.EUR.SP00.A",),
    habits=(
        VendorHabit(
            says="304, or 404 with words, where nothing was updated",
            source="data.ecb.europa.eu/help/api/data",
            handled="nothing is published",
        ),
        VendorHabit(
            says="`includeHistory` adds when each value began to stand",
            source="data.ecb.europa.eu/help/api/data",
            handled="vintages, published at that moment",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="none: each value says since when it stands",
        coverage="statistics of the ECB and the Eurosystem (data.ecb.europa.eu)",
        settling="corrected in place; the history keeps what stood before",
        symbols="none",
        terms="ecb.europa.eu/services/disclaimer: free with the source named",
        remarks=("Dimensions of a key are all given: a key is one series.",),
    ),
)
