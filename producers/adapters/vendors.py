"""The vendors of a configuration, ready to be asked: which are usable, and at which addresses."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr

from producers.adapters.addresses import AddressPolicy
from producers.adapters.breaker import Breaker
from producers.adapters.budgets import Budgets
from producers.adapters.http import VendorHttp
from producers.adapters.plugins import known_providers
from producers.adapters.provider import Opening, Provider, VendorApi
from producers.adapters.trade_stream import TradeSocket
from producers.domain.capabilities import Capabilities, check_providers, providers_of_streams
from producers.domain.vendor_limits import limits_of
from producers.settings import ProducersSettings
from schemas.configuration import Configuration, ProviderEntry

SIMULATOR_TOKEN = "simulator"  # noqa: S105 - the simulator takes any token; this one says who is asking

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """Those who can be asked, by provider name."""

    https: Mapping[str, VendorHttp]
    apis: Mapping[str, VendorApi]
    sockets: Mapping[str, TradeSocket]
    capabilities: Mapping[str, Capabilities]


def open_vendors(
    configuration: Configuration,
    session: aiohttp.ClientSession,
    *,
    simulator_url: str | None,
    settings: ProducersSettings,
    simulated: Collection[str],
    budgets: Budgets,
    policy: AddressPolicy,
) -> Vendors:
    """Return the usable ones of the vendors that the configuration names.

    One that is switched on but cannot be used is left out with one clear line. `simulator_url` None means the vendors
    themselves; an address in the configuration goes before both. Raises ConfigurationError for a provider nobody
    knows, a stream of one that cannot give it, or an address that `policy` forbids.
    """
    known = known_providers()
    check_providers(configuration, {name: provider.capabilities for name, provider in known.items()})
    openings: dict[str, Opening] = {}
    for name in sorted({*configuration.providers, *providers_of_streams(configuration)}):
        entry = configuration.provider(name)
        if entry.enabled:
            opening, why = _opening(
                known[name],
                entry,
                session,
                simulator_url=simulator_url,
                settings=settings,
                simulated=simulated,
                budgets=budgets,
                policy=policy,
            )
            if opening is None:
                log.warning("provider_disabled", extra={"provider": name, "reason": why})
            else:
                openings[name] = opening
    sockets = {name: known[name].open_socket for name in openings}
    return Vendors(
        https={name: opening.http for name, opening in openings.items()},
        apis={name: known[name].open(opening) for name, opening in openings.items()},
        sockets={name: connect(openings[name]) for name, connect in sockets.items() if connect is not None},
        capabilities={name: known[name].capabilities for name in openings},
    )


def _opening(
    provider: Provider,
    entry: ProviderEntry,
    session: aiohttp.ClientSession,
    *,
    simulator_url: str | None,
    settings: ProducersSettings,
    simulated: Collection[str],
    budgets: Budgets,
    policy: AddressPolicy,
) -> tuple[Opening | None, str]:
    """Return what to open a provider with, or why it cannot be."""
    base_url, socket_url = provider.base_url, provider.socket_url
    if simulator_url is not None and provider.on_simulator:
        base_url = f"{simulator_url}/{provider.name}"
        socket_url = f"{base_url.replace('http', 'ws', 1)}/ws"
    elif simulator_url is not None and entry.base_url is None:
        return None, "the simulator does not speak its format: set its base_url to collect from it"
    credentials = {variable: settings.secret(variable) for variable in provider.credentials}
    if simulator_url is not None:
        fallback = SecretStr(SIMULATOR_TOKEN)
        credentials = {name: secret or fallback for name, secret in credentials.items()}
    lacking = [name for name, secret in credentials.items() if not secret]
    if lacking:
        return None, f"no key: set {' and '.join(lacking)} to collect from it"
    base_url, socket_url = _given(entry.base_url, base_url).rstrip("/"), _given(entry.socket_url, socket_url)
    policy.checked(f"providers.{provider.name}.base_url", base_url)
    if socket_url:
        policy.checked(f"providers.{provider.name}.socket_url", socket_url)
    limits = entry.limits
    http = VendorHttp(
        provider.name,
        session,
        deadline_s=settings.request_deadline_s,
        breaker=Breaker(provider.name, failures=limits.breaker.failures, open_s=limits.breaker.open_s),
        gate=budgets.gate(
            provider.name, limits_of(provider.name, limits, simulated=policy.is_simulator(base_url))
        ),
        secrets=tuple(secret for secret in credentials.values() if secret),
    )
    opening = Opening(
        http=http,
        session=session,
        base_url=base_url,
        socket_url=socket_url,
        credentials=credentials,
        simulated=frozenset(simulated),
    )
    return opening, ""


def _given(url: object | None, otherwise: str) -> str:
    return otherwise if url is None else str(url)
