"""Limits of each vendor: those it publishes, ours where it publishes none, and what was configured.

An operator with a better plan sets `providers.<name>.limits`. On the simulator only what is configured holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from producers.budget.budget import BudgetLimits
from schemas.configuration.model import ProviderLimits, RequestLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLimits:
    """Limits of a provider as a whole, and of single endpoints beside them; `separate` ones do not share its windows."""

    whole: BudgetLimits = field(default_factory=BudgetLimits)
    endpoints: Mapping[str, BudgetLimits] = field(default_factory=dict)
    separate: frozenset[str] = frozenset()


VENDOR_LIMITS: Mapping[str, VendorLimits] = {
    # Free plan 60 a minute; 30 a second whatever the plan (both from Finnhub's documentation and issue tracker).
    "finnhub": VendorLimits(whole=BudgetLimits(per_second=30, per_minute=60, concurrency=8)),
    # Nothing is published, blocks are by address and roll. 2,000 an hour is our choice, no promise of Yahoo's: raise
    # or lower it as your address fares. A crumb lives about a day; asking for many is what was seen throttled first.
    "yahoo": VendorLimits(
        whole=BudgetLimits(per_second=4, per_minute=33, concurrency=4),
        endpoints={"crumb": BudgetLimits(per_minute=4)},
    ),
    # Basic plan 200 a minute, Plus 10,000 (Alpaca's documentation).
    "alpaca": VendorLimits(whole=BudgetLimits(per_minute=200, concurrency=8)),
    # Free plan 5 a minute, paid plans unlimited (Polygon's client and documentation).
    "polygon": VendorLimits(whole=BudgetLimits(per_minute=5, concurrency=2)),
}


def limits_of(provider: str, given: ProviderLimits, *, simulated: bool) -> VendorLimits:
    """Return what holds for `provider`: each limit as configured, else the vendor's, none of these when `simulated`."""
    known = VendorLimits() if simulated else VENDOR_LIMITS.get(provider, VendorLimits())
    names = {*known.endpoints, *given.endpoints}
    return VendorLimits(
        whole=_merged(given, known.whole),
        endpoints={
            name: _merged(given.endpoints.get(name), known.endpoints.get(name, BudgetLimits()))
            for name in names
        },
        separate=known.separate | {name for name, each in given.endpoints.items() if each.separate},
    )


def _merged(given: RequestLimits | None, known: BudgetLimits) -> BudgetLimits:
    if given is None:
        return known
    return BudgetLimits(
        per_second=known.per_second if given.per_second is None else given.per_second,
        per_minute=known.per_minute if given.per_minute is None else given.per_minute,
        per_day=known.per_day if given.per_day is None else given.per_day,
        concurrency=known.concurrency if given.concurrency is None else given.concurrency,
    )
