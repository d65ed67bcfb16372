"""Everything the gateway serves, and how each feature is made of what the service opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from gateway.archive.shell.archive import Archive
from gateway.archive.shell.reading import ArchiveFolder
from gateway.backfill.shell.ended import EndedBackfills
from gateway.backfill.shell.orders import Backfills, QueueAccess
from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.dead_events.shell.events import DeadEvents, DeadLetterAccess
from gateway.dead_events.shell.letters import Letters
from gateway.entries.shell.actions import Actions, action_versions
from gateway.entries.shell.macro import Macro
from gateway.http.access import Access
from gateway.http.endpoints import Endpoint
from gateway.http.openapi import openapi
from gateway.http.shell.answers import Feature
from gateway.http.shell.app import application
from gateway.http.shell.certificates import Certificate
from gateway.http.shell.documents import Documents
from gateway.http.shell.guard import border_of
from gateway.live.shell.live import LiveStreams
from gateway.market.shell.adjusting import believed_sources
from gateway.market.shell.calendars import MarketCalendar
from gateway.market.shell.gaps import Ledger
from gateway.market.shell.history import BesideBars, History
from gateway.market.shell.naming import Naming
from gateway.market.shell.prices import Prices
from gateway.objectives.shell.slo import ObjectiveStatistics
from gateway.objectives.shell.slo_monitor import Monitor
from gateway.operations.shell.configuration import ConfigurationRoutes, Configured
from gateway.operations.shell.console import Console
from gateway.operations.shell.health import ServiceStatus
from gateway.operations.shell.ops_ports import OpsPorts
from gateway.operations.shell.schema_registry import SchemaRegistry, packaged_registry
from gateway.operations.shell.statistics import JournalStatistics
from gateway.operations.shell.traces import CallTraces
from gateway.options.shell.chains import OptionChains
from gateway.options.shell.model_queue import ModelQueue
from gateway.refreshes.shell.job_log import JobLog
from gateway.refreshes.shell.refreshes import Refreshes
from gateway.settings import GatewaySettings
from gateway.websocket.asyncapi import asyncapi
from gateway.websocket.offers import Offers
from gateway.websocket.shell.routes import WebSockets
from gateway.websocket.shell.subscriber import StreamCatalogue
from gateway.websocket.shell.worth import Worth
from infra.runtime.clock import MarketClock
from infra.runtime.configuration.following import Follower
from infra.runtime.lifecycle import VERSION, Process
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from schemas.calendar.history import CalendarHistory
from schemas.configuration.streams import Streams
from schemas.symbology.naming import Symbology
from schemas.topics import BARS

EXAMPLE, SYNTHETIC_EXAMPLE = "SPY", "SIM001"  # symbols the page at / shows commands for
ACTS_AT_ONCE = 2  # they wait for each other, and hold a connection meanwhile that readers want
SYMBOLS_AT_ONCE = 2  # looked up for WebSocket clients, who do not wait behind REST's readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources that the wiring opened for the service."""

    partitions: int  # of every topic that is partitioned by symbol
    store: Snapshots
    live: LiveStreams
    session: aiohttp.ClientSession
    clock: MarketClock
    access: Access
    page_key: bytes
    ops_urls: Mapping[str, str]
    symbology: Symbology
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that features are made of."""

    process: Process
    settings: GatewaySettings
    shared: MdsSettings
    resources: Resources
    watermarks: Watermarks
    follower: Follower
    configured: Configured
    naming: Naming
    calendars: CalendarHistory
    monitor: Monitor
    models: ModelQueue
    acts: Snapshots  # the database for acts on the backfill queue, `ACTS_AT_ONCE` whoever of them asks

    def names(self, symbol: str) -> bool:
        """Whether a symbol is configured or was seen, which needs no look at the database."""
        return symbol in self.configured.symbols or self.resources.live.knows(symbol)

    def known_by(self, store: Snapshots) -> Callable[[str], Awaitable[bool]]:
        """Return who says whether a symbol is configured, was seen or is in `store`; that raises StoreUnavailable."""

        async def known_symbol(symbol: str) -> bool:
            if self.names(symbol):
                return True
            # an outage: "cannot say now", never "unknown"
            async with store.snapshot() as snapshot:
                return await snapshot.knows(symbol)

        return known_symbol

    def known_among(self, store: Snapshots) -> Callable[[Collection[str]], Awaitable[Collection[str]]]:
        """Return who says which symbols are configured, were seen or are in `store`, by one question; see `known_by`."""

        async def known_among(symbols: Collection[str]) -> Collection[str]:
            unseen = [symbol for symbol in symbols if not self.names(symbol)]
            if not unseen:
                return symbols
            async with store.snapshot() as snapshot:
                stored = await snapshot.known_among(unseen)
            return [symbol for symbol in symbols if symbol in stored or symbol not in unseen]

        return known_among

    def streams(self) -> Streams | None:
        """Return what is collected, None where no configuration says so."""
        configuration = self.configured.configuration
        return None if configuration is None else configuration.streams

    def believed(self) -> tuple[str, ...]:
        """Return whose word on corporate actions counts, the first most."""
        return believed_sources(self.streams())

    def macro_keys(self) -> Collection[str]:
        """Return the macro series that are collected, as the configuration calls them."""
        streams = self.streams()
        return () if streams is None or streams.macro is None else streams.macro.keys

    def collects(self, symbol: str) -> bool | None:
        """Whether a symbol is configured, None where nobody knows that."""
        return symbol in self.configured.symbols if self.configured.symbols else None


def _console(parts: Parts) -> Console:
    synthetic = parts.shared.market_clock == "simulator" and parts.shared.simulator_data is None
    return Console(
        # Whoever needs a key to ask is no neighbour: the page at / is for strangers too.
        kafka=None if parts.resources.access.required else parts.shared.bootstrap_servers,
        topic=parts.shared.topic_prefix + BARS,
        symbol=SYNTHETIC_EXAMPLE if synthetic else EXAMPLE,
    )


def _status(parts: Parts) -> ServiceStatus:
    resources = parts.resources
    ports = OpsPorts(resources.session, resources.ops_urls)
    return ServiceStatus(parts.process, ports, parts.watermarks, resources.live, resources.clock)


def _stored(parts: Parts) -> tuple[Snapshots, Watermarks, int, bytes]:
    """Return what answers out of the tables of one symbol are made of."""
    resources = parts.resources
    return resources.store, parts.watermarks, resources.partitions, resources.page_key


def _ledger(parts: Parts) -> Ledger:
    store, watermarks, partitions, page_key = _stored(parts)
    return Ledger(store, watermarks, parts.calendars, partitions, page_key, names=parts.names)


def _options(parts: Parts) -> OptionChains:
    clock, names, believed = parts.resources.clock, parts.names, parts.believed
    return OptionChains(*_stored(parts), parts.models, clock=clock, names=names, believed=believed)


def _prices(parts: Parts) -> Prices:
    resources = parts.resources
    return Prices(
        resources.store,
        parts.watermarks,
        resources.live,
        resources.clock,
        naming=parts.naming,
        names=parts.names,
        calendars=parts.calendars,
        partitions=resources.partitions,
    )


def _history(parts: Parts) -> History:
    resources = parts.resources
    return History(
        resources.store,
        parts.watermarks,
        resources.clock,
        resources.page_key,
        naming=parts.naming,
        names=parts.names,
        partitions=resources.partitions,
        beside=BesideBars(calendars=parts.calendars, actions=action_versions, believed=parts.believed),
    )


def _configuration(parts: Parts) -> ConfigurationRoutes:
    shared = parts.shared
    return ConfigurationRoutes(
        parts.configured, parts.follower, shared.bootstrap_servers, shared.topic_prefix
    )


def _websockets(parts: Parts) -> WebSockets:
    resources = parts.resources
    catalogue = StreamCatalogue(
        known_among=parts.known_among(resources.store.apart(concurrent=SYMBOLS_AT_ONCE)),
        ambiguity=parts.naming.ambiguity,
        offers=Offers(known_facts(), parts.streams),
        worth=Worth(resources.live, resources.clock, parts.collects),
    )
    return WebSockets(
        resources.live, resources.access, catalogue, max_connections=parts.settings.max_connections
    )


def _backfill(parts: Parts) -> QueueAccess:
    resources = parts.resources
    return QueueAccess(
        store=parts.acts,
        clock=resources.clock,
        configured=parts.configured,
        facts=known_facts(),
        knows=parts.known_by(parts.acts),
        partitions=resources.partitions,
        simulated=parts.shared.market_clock == "simulator",
    )


def _dead_events(parts: Parts) -> DeadEvents:
    resources, shared = parts.resources, parts.shared
    letters = Letters(shared.bootstrap_servers, prefix=shared.topic_prefix)
    store = resources.store.apart(concurrent=ACTS_AT_ONCE)
    around = DeadLetterAccess(store=store, letters=letters, partitions=resources.partitions)
    return DeadEvents(around, resources.page_key)


def _archive(parts: Parts) -> Archive:
    root = parts.settings.archive or parts.shared.home / "archive"
    folder = ArchiveFolder(root, setting="GATEWAY_ARCHIVE")
    return Archive(folder, parts.resources.store, parts.configured, parts.resources.partitions)


FEATURES: Mapping[type[Feature], Callable[[Parts], Feature]] = {
    Console: _console,
    ServiceStatus: _status,
    Prices: _prices,
    History: _history,
    Ledger: _ledger,
    Actions: lambda parts: Actions(*_stored(parts), names=parts.names),
    Macro: lambda parts: Macro(*_stored(parts), collected=parts.macro_keys),
    OptionChains: _options,
    Refreshes: lambda parts: Refreshes(
        _backfill(parts),
        parts.watermarks,
        JobLog(parts.shared.bootstrap_servers, prefix=parts.shared.topic_prefix),
    ),
    MarketCalendar: lambda parts: MarketCalendar(parts.resources.clock, parts.calendars),
    JournalStatistics: lambda parts: JournalStatistics(parts.resources.store),
    ObjectiveStatistics: lambda parts: ObjectiveStatistics(
        parts.monitor, parts.resources.store, parts.resources.clock, parts.resources.page_key
    ),
    ConfigurationRoutes: _configuration,
    CallTraces: lambda parts: CallTraces(
        parts.shared, OpsPorts(parts.resources.session, parts.resources.ops_urls)
    ),
    Backfills: lambda parts: Backfills(_backfill(parts)),
    EndedBackfills: lambda parts: EndedBackfills(_backfill(parts), parts.resources.page_key),
    DeadEvents: _dead_events,
    Archive: _archive,
    SchemaRegistry: lambda parts: SchemaRegistry(packaged_registry(parts.shared.topic_prefix)),
    WebSockets: _websockets,
    Documents: lambda _: Documents(openapi=openapi(ENDPOINTS, VERSION), asyncapi=asyncapi(VERSION)),
}
"""Everything that is served, and how it is made; a new feature is one line here."""

ENDPOINTS: tuple[Endpoint[Any], ...] = tuple(
    endpoint for feature in FEATURES for endpoint, _ in feature.serves
)


def assemble(parts: Parts) -> web.Application:
    """Return the application with every endpoint of the gateway."""
    access = parts.resources.access
    return application([make(parts) for make in FEATURES.values()], access, border_of(parts.settings, access))
