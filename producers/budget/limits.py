"""Limits in force of a vendor: what was configured, else what its facts say.

An operator with a better plan sets `providers.<name>.limits`. On the simulator only what is configured holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.configuration.model import ProviderLimits, RequestLimits
from schemas.providers.facts import UNLIMITED, Limits, ProviderFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLimits:
    """Limits of a provider as a whole, and of single endpoints beside them; `separate` ones do not share its windows.

    `helpers` are endpoints asked for another's sake: where both refuse it is one that does.
    """

    whole: Limits = field(default_factory=Limits)
    endpoints: Mapping[str, Limits] = field(default_factory=dict)
    separate: frozenset[str] = frozenset()
    helpers: Mapping[str, str] = field(default_factory=dict)

    def asked_for(self, endpoint: str) -> str:
        """Return for whose sake an endpoint is asked: another's, or its own."""
        return self.helpers.get(endpoint, endpoint)


def limits_of(facts: ProviderFacts, given: ProviderLimits, *, simulated: bool) -> VendorLimits:
    """Return what holds for a provider: each limit as configured, else by its facts, none of these when `simulated`."""
    known = VendorLimits() if simulated else VendorLimits(whole=facts.limits, endpoints=facts.endpoint_limits)
    names = {*known.endpoints, *given.endpoints}
    return VendorLimits(
        whole=_configured(given).over(known.whole),
        endpoints={
            name: _configured(given.endpoints.get(name)).over(known.endpoints.get(name, UNLIMITED))
            for name in names
        },
        separate=known.separate | {name for name, each in given.endpoints.items() if each.separate},
        helpers=facts.helpers,
    )


def _configured(given: RequestLimits | None) -> Limits:
    if given is None:
        return UNLIMITED
    return Limits(
        per_second=given.per_second,
        per_minute=given.per_minute,
        per_day=given.per_day,
        concurrency=given.concurrency,
    )
