"""The vendors of a configuration, ready to be asked: which are usable, and at which addresses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import aiohttp
from pydantic import SecretStr

from producers.budget.allowance import WHOLE
from producers.budget.limits import limits_of
from producers.budget.shell.gate import Gate
from producers.budget.shell.memory import Budgets
from producers.budget.windows import Purpose
from producers.catalogue.shell.installed import known_providers
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.breaker import Breakers, CircuitOpen
from producers.http.shell.client import VendorHttp
from producers.http.shell.failures import show_bans
from producers.settings import ProducersSettings
from producers.vendors.shell.provider import Opening, Provider, TradeSocket, VendorApi
from producers.vendors.shell.socket import ENDPOINT
from schemas.configuration.model import Configuration, ProviderEntry
from schemas.providers.facts import ProviderFacts

SIMULATOR_TOKEN = "simulator"  # noqa: S105 - the simulator takes any token; this one says who is asking

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAddress:
    """Address and terms of one provider; of the same are two with one vendor, addresses and credentials, whatever the terms."""

    provider: Provider
    entry: ProviderEntry = field(compare=False)
    base_url: str
    socket_url: str
    credentials: Mapping[str, SecretStr]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """Those who can be asked, by provider name."""

    https: Mapping[str, VendorHttp]
    apis: Mapping[str, VendorApi]
    sockets: Mapping[str, TradeSocket]
    facts: Mapping[str, ProviderFacts]
    places: Mapping[str, ProviderAddress]
    gone: frozenset[str] = frozenset()  # open before, and no more

    def breaker(self, provider: str) -> Callable[[], str]:
        """Return what tells the state of a provider as a whole."""
        breakers = self.https[provider].breakers
        return lambda: breakers.state

    def may_ask(self, provider: str, stream: str, purpose: Purpose) -> bool:
        """Whether a request for a stream would be sent within a second: no breaker is open, no pause in force, room in the budget."""
        http, endpoint = self.https[provider], self._endpoint(provider, stream)
        try:
            http.breakers.check(endpoint)
        except CircuitOpen:
            return False
        return http.gate.has_room(endpoint, purpose)

    def silent_s(self, provider: str, stream: str) -> float:
        """Return how long ago (s) the endpoint that serves a stream gave a usable answer, to whatever question."""
        return self.https[provider].breakers.silent_s(self._endpoint(provider, stream))

    def _endpoint(self, provider: str, stream: str) -> str:
        facts = self.facts[provider]
        return next(iter(facts.serving.get(stream, facts.endpoints)), WHOLE)

    def secrets(self, provider: str) -> tuple[bytes, ...]:
        """Return the credentials of a provider, to be struck out of what it says."""
        place = self.places.get(provider)
        given = () if place is None else place.credentials.values()
        return tuple(secret.get_secret_value().encode() for secret in given)

    def capability_breaker(self, provider: str) -> Callable[[str], str]:
        """Return what tells the state of the endpoint that serves a capability; of the provider where that is not known."""
        breakers, serving = self.https[provider].breakers, self.facts[provider].serving

        def state(capability: str) -> str:
            endpoints = serving.get(capability.partition(":")[0])
            return breakers.state_of(endpoints[0]) if endpoints else breakers.worst

        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens vendors with what the process has; `simulator_url` None means the vendors themselves."""

    session: aiohttp.ClientSession
    simulator_url: str | None
    settings: ProducersSettings
    simulated: frozenset[str]
    budgets: Budgets
    policy: AddressPolicy

    def places(self, configuration: Configuration) -> tuple[Mapping[str, ProviderAddress], Mapping[str, str]]:
        """Return the usable ones of the vendors that the configuration names, and why others that are on are not.

        Nothing is changed by it. An address in the configuration goes before the simulator's and the vendor's own.
        Raises ConfigurationError for an address that the policy forbids: the rest was judged when the file was read.
        """
        known = known_providers()
        places, lacking = dict[str, ProviderAddress](), dict[str, str]()
        for name in sorted(configuration.named_providers()):
            entry = configuration.provider(name)
            if entry.enabled and name not in known:
                lacking[name] = "no provider of that name is installed here"
            elif entry.enabled:
                place = self._place(known[name], entry)
                if isinstance(place, ProviderAddress):
                    places[name] = place
                else:
                    lacking[name] = place
        return places, lacking

    def _place(self, provider: Provider, entry: ProviderEntry) -> ProviderAddress | str:
        """Return where a provider is asked, or why it cannot be."""
        facts = provider.facts
        base_url, socket_url = facts.base_url, facts.socket_url
        if self.simulator_url is not None and facts.on_simulator:
            base_url = f"{self.simulator_url}/{provider.name}"
            socket_url = f"{base_url.replace('http', 'ws', 1)}/ws"
        elif self.simulator_url is not None and entry.base_url is None:
            return "the simulator does not speak its format: set its base_url to collect from it"
        credentials = {variable: self.settings.secret(variable) for variable in facts.credentials}
        if self.simulator_url is not None:
            fallback = SecretStr(SIMULATOR_TOKEN)
            credentials = {name: secret or fallback for name, secret in credentials.items()}
        lacking = [name for name, secret in credentials.items() if not secret]
        if lacking and not facts.without_key:
            return f"no key: set {' and '.join(lacking)} to collect from it"
        base_url = _given(entry.base_url, base_url).rstrip("/")
        socket_url = _given(entry.socket_url, socket_url)
        self.policy.checked(f"providers.{provider.name}.base_url", base_url)
        if socket_url:
            self.policy.checked(f"providers.{provider.name}.socket_url", socket_url)
        return ProviderAddress(
            provider=provider,
            entry=entry,
            base_url=base_url,
            socket_url=socket_url,
            credentials=credentials,
        )

    def open(self, places: Mapping[str, ProviderAddress], before: Vendors | None = None) -> Vendors:
        """Return the vendors at `places`; one of `before` that is still at its place stays as it is.

        It keeps its connections, its breakers and what its adapter has learned; other limits and settings of breakers
        come into force under it. The budgets of any stay.
        """
        kept = {} if before is None else {n: p for n, p in places.items() if before.places.get(n) == p}
        for name, place in kept.items():
            self._gate(place)
            if before is not None:
                limits = place.entry.limits.breaker
                before.https[name].breakers.configure(failures=limits.failures, open_s=limits.open_s)
        openings = {name: self._opening(place) for name, place in places.items() if name not in kept}
        connects = {name: places[name].provider.open_socket for name in openings}
        sockets = {name: connect(openings[name]) for name, connect in connects.items() if connect is not None}
        apis = {name: places[name].provider.open(opening) for name, opening in openings.items()}
        https = {name: opening.http for name, opening in openings.items()}
        if before is not None:
            https |= {name: before.https[name] for name in kept}
            apis |= {name: before.apis[name] for name in kept}
            sockets |= {name: before.sockets[name] for name in kept if name in before.sockets}
        return Vendors(
            https=https,
            apis=apis,
            sockets=sockets,
            facts=facts_of(places),
            places=places,
            gone=frozenset() if before is None else frozenset(before.places.keys() - places.keys()),
        )

    def _opening(self, place: ProviderAddress) -> Opening:
        facts, limits, secrets = place.provider.facts, place.entry.limits, place.credentials.values()
        name = facts.name
        show_bans(name, (*facts.endpoints, *([ENDPOINT] if facts.capabilities.trades else [])))
        http = VendorHttp(
            name,
            self.session,
            deadline_s=self.settings.request_deadline_s,
            breakers=Breakers(name, failures=limits.breaker.failures, open_s=limits.breaker.open_s),
            gate=self._gate(place),
            secrets=tuple(secret for secret in secrets if secret),
            words=facts.words,
        )
        return Opening(
            http=http,
            session=self.session,
            base_url=place.base_url,
            socket_url=place.socket_url,
            credentials=place.credentials,
            simulated=self.simulated,
        )

    def _gate(self, place: ProviderAddress) -> Gate:
        """Return the gate of a provider, its limits in force."""
        facts, simulated = place.provider.facts, self.policy.is_simulator(place.base_url)
        return self.budgets.gate(facts.name, limits_of(facts, place.entry.limits, simulated=simulated))


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
    """Return the usable ones of the vendors that the configuration names; raises like `Opener.places`."""
    opener = Opener(
        session=session,
        simulator_url=simulator_url,
        settings=settings,
        simulated=frozenset(simulated),
        budgets=budgets,
        policy=policy,
    )
    places, lacking = opener.places(configuration)
    log_disabled(lacking)
    return opener.open(places)


def log_disabled(lacking: Mapping[str, str]) -> None:
    """Say in one line each which providers are on and cannot be used."""
    for name, why in lacking.items():
        log.warning("provider_disabled", extra={"provider": name, "reason": why})


def facts_of(places: Mapping[str, ProviderAddress]) -> Mapping[str, ProviderFacts]:
    """Return the facts of each of the providers."""
    return {name: place.provider.facts for name, place in places.items()}


def _given(url: object | None, otherwise: str) -> str:
    return otherwise if url is None else str(url)
