"""The US Treasury's daily par yield curve: one CSV table a year, without a key."""

from __future__ import annotations

from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import UNLIMITED, Limits, Notes, PricingPlan, ProviderFacts, VendorHabit
from schemas.providers.spelling import NO_SECURITIES

FIRST_YEAR = 1990

FACTS = ProviderFacts(
    name="treasury",
    title="US Treasury",
    capabilities=Capabilities(macro=True),
    base_url="https://home.treasury.gov",
    endpoints=("yields",),
    serving={"macro": ("yields",)},
    plans=(
        PricingPlan(
            name="open",
            limits=UNLIMITED,
            source="home.treasury.gov/resource-center/data-chart-center/interest-rates",
            read="2026-11-29",
            says="no number is published",
        ),
    ),
    ours=Limits(per_second=1, concurrency=1),
    spelling=NO_SECURITIES,
    samples=(),
    series_samples=("UST:10Y", "UST:1M"),
    habits=(
        VendorHabit(
            says="columns come with the maturities there are: a year's table has those of that year",
            source="deerfieldgreen/us-department-treasury",
            handled="taken by name",
        ),
        VendorHabit(
            says="a maturity that was not yet is blank, or N/A",
            source="home.treasury.gov/resource-center/data-chart-center/interest-rates",
            handled="published as missing",
        ),
    ),
    on_simulator=True,
    notes=Notes(
        delay="a day's curve is out by 18:00 in New York; the table does not say when",
        coverage="par yields from bid prices of about 15:30, none of them traded (home.treasury.gov)",
        settling="nothing is, as a rule",
        symbols="none",
        terms="a work of the US government, public domain",
        remarks=(
            "Past days count as published at 00:00 in New York of the day after; what a poll finds, when it was seen.",
            "Par yields are no zero rates.",
        ),
    ),
)
