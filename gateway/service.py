"""The gateway at work: it follows the market clock, the watermarks and the live topics, and listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from gateway.database.shell.snapshot import Store
from gateway.database.shell.watermarks import Watermarks
from gateway.http.access import Access
from gateway.http.shell.app import application, listening
from gateway.live.shell.live import LiveStreams
from gateway.market.shell.gaps import Ledger
from gateway.market.shell.history import History
from gateway.market.shell.naming import Naming
from gateway.market.shell.prices import Prices
from gateway.operations.shell.cadence import CadenceStats
from gateway.operations.shell.configuration import ConfigurationRoutes, Configured, configured_at_start
from gateway.operations.shell.console import Console
from gateway.operations.shell.health import Status
from gateway.operations.shell.ops_ports import OpsPorts
from gateway.operations.shell.providers import ProviderStats
from gateway.operations.shell.schema_registry import SchemaRegistry, packaged_registry
from gateway.settings import GatewaySettings
from gateway.websocket.shell.routes import routes
from infra.runtime.clock import MarketClock, SimulatorMarketClock, monotonic_s
from infra.runtime.configuration.following import Follower
from infra.runtime.lifecycle import Health, Process, until_stopped
from infra.runtime.settings import MdsSettings
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.errors import ProviderUnavailable
from schemas.symbology.naming import Symbology
from schemas.topics import BARS

REPORT_EVERY_S = 1.0
CLOCK_WITHIN_S = 30.0  # the simulator may still be starting
CLOCK_RETRY_S = 0.5
HTTP_PART = "http"
EXAMPLE, SYNTHETIC_EXAMPLE = "SPY", "SIM001"  # symbols the page at / shows commands for
LIVE_PART = "live"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources that the wiring opened for the service."""

    store: Store
    live: LiveStreams
    session: aiohttp.ClientSession
    clock: MarketClock
    access: Access
    page_key: bytes
    ops_urls: Mapping[str, str]
    symbology: Symbology


async def run(process: Process, settings: GatewaySettings, shared: MdsSettings, resources: Resources) -> None:
    """Serve until the process is told to stop; then stop accepting, send the clients away, and end."""
    process.health.expect(HTTP_PART)
    process.health.expect(LIVE_PART)
    await asyncio.to_thread(
        load_calendar, US_EQUITIES
    )  # a second of work nobody's first request shall wait for
    await started(resources.clock, resources.session)
    watermarks = Watermarks(resources.store)
    follower = Follower(
        shared.bootstrap_servers, prefix=shared.topic_prefix, service=process.name, health=process.health
    )
    configured = configured_at_start(shared)
    app = assemble(process, settings, shared, resources, watermarks, follower, configured)
    works = [watermarks.follow(process.health), _report(process.health, resources.live)]
    if isinstance(resources.clock, SimulatorMarketClock):
        works.append(resources.clock.follow(resources.session))
    if configured.path is not None:
        works.append(follower.run(configured.apply))
    async with listening(app, settings.host, settings.port, resources.live.drain) as port:
        process.health.report(HTTP_PART, ready=True, port=port)
        log.info(
            "listening",
            extra={"host": settings.host, "port": port, "keys_required": resources.access.required},
        )
        await until_stopped(process, *works)


def assemble(
    process: Process,
    settings: GatewaySettings,
    shared: MdsSettings,
    resources: Resources,
    watermarks: Watermarks,
    follower: Follower,
    configured: Configured,
) -> web.Application:
    """Return the application with every route of the gateway."""
    store, live, clock = resources.store, resources.live, resources.clock

    async def known_symbol(symbol: str) -> bool:
        if symbol in configured.symbols or live.knows(symbol):
            return True
        async with store.snapshot() as snapshot:  # an outage means "cannot say now", never "unknown"
            return await snapshot.knows(symbol)

    naming = Naming(resources.symbology, clock)
    ports = OpsPorts(resources.session, resources.ops_urls)
    synthetic = shared.market_clock == "simulator" and shared.simulator_data is None
    endpoints = [
        *Console(
            kafka=shared.bootstrap_servers,
            topic=shared.topic_prefix + BARS,
            symbol=SYNTHETIC_EXAMPLE if synthetic else EXAMPLE,
        ).endpoints(),
        *Status(process, ports, watermarks, live, clock).endpoints(),
        *Prices(store, watermarks, live, clock, naming).endpoints(),
        *History(store, watermarks, clock, resources.page_key, naming=naming, seen=live.knows).endpoints(),
        *Ledger(store, resources.page_key).endpoints(),
        *CadenceStats(store).endpoints(),
        *ProviderStats(store).endpoints(),
        *ConfigurationRoutes(configured, follower, shared.bootstrap_servers, shared.topic_prefix).endpoints(),
        *SchemaRegistry(packaged_registry(shared.topic_prefix)).endpoints(),
    ]
    websockets = routes(
        live, settings, resources.access, known_symbol=known_symbol, ambiguity=naming.ambiguity
    )
    return application(endpoints, websockets, resources.access)


async def started(clock: MarketClock, session: aiohttp.ClientSession) -> None:
    """Return once a simulator's clock was read; raise ProviderUnavailable where it is not there within 30 s."""
    if not isinstance(clock, SimulatorMarketClock):
        return
    deadline_s = monotonic_s() + CLOCK_WITHIN_S
    while True:
        try:
            await clock.refresh(session)
            return
        except ProviderUnavailable:
            if monotonic_s() > deadline_s:
                raise
            await asyncio.sleep(CLOCK_RETRY_S)


async def _report(health: Health, live: LiveStreams) -> None:
    """Say for ever whether the live topics are warm and reachable."""
    while True:
        detail = {name: value for name, value in live.document().items() if name != "ready"}
        health.report(LIVE_PART, ready=live.ready and live.reachable, **detail)
        await asyncio.sleep(REPORT_EVERY_S)
