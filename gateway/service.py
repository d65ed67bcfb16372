"""The gateway at work: it follows the market clock, the watermarks and the live topics, and listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from socket import gethostname
from typing import Any

import aiohttp

from gateway.database.shell.watermarks import Watermarks
from gateway.features import ACTS_AT_ONCE, Parts, Resources, assemble
from gateway.http.shell.connections import Caps, caps_of, listening
from gateway.http.shell.guard import border_of
from gateway.http.shell.keys import follow_keys
from gateway.live.shell.live import LiveStreams
from gateway.market.shell.naming import Naming
from gateway.objectives.shell.slo_monitor import Monitor
from gateway.operations.shell.configuration import configured_at_start
from gateway.options.shell.model_queue import ModelQueue
from gateway.settings import GatewaySettings
from gateway.websocket.shell.greeks import LiveGreeks
from infra.runtime.backoff import STARTING_RETRY_S
from infra.runtime.calendar_horizon import HorizonWatch
from infra.runtime.clock import MarketClock, SimulatorMarketClock, monotonic_s
from infra.runtime.configuration.following import Follower, begin_history
from infra.runtime.kafka.login import watch_login
from infra.runtime.lifecycle import Health, Process, until_stopped
from infra.runtime.settings import MdsSettings
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import US_EQUITIES, calendars_in_force
from schemas.errors import ProviderUnavailable

REPORT_EVERY_S = 1.0
CLOCK_WITHIN_S = 30.0  # the simulator may still be starting
HTTP_PART = "http"
LIVE_PART = "live"

log = logging.getLogger(__name__)


async def run(process: Process, settings: GatewaySettings, shared: MdsSettings, resources: Resources) -> None:
    """Serve until the process is told to stop; then stop accepting, send the clients away, and end."""
    process.health.expect(HTTP_PART)
    process.health.expect(LIVE_PART)
    # A second of work nobody's first request shall wait for.
    await asyncio.to_thread(calendars_in_force().load, [US_EQUITIES])
    await started(resources.clock, resources.session)
    parts = await _parts(process, settings, shared, resources)
    async with listening(
        assemble(parts),
        settings.host,
        settings.port,
        resources.live.drain,
        caps=_caps(settings, resources),
        shared=settings.replica is not None,
        tls=None if resources.certificate is None else resources.certificate.context,
    ) as port:
        process.health.report(HTTP_PART, ready=True, port=port)
        log.info(
            "listening",
            extra={
                "host": settings.host,
                "port": port,
                "keys_required": resources.access.required,
                "tls": resources.certificate is not None,
            },
        )
        await until_stopped(process, *_works(process, settings, parts))


def _works(process: Process, settings: GatewaySettings, parts: Parts) -> list[Coroutine[Any, Any, None]]:
    """Return what runs beside the listening, for ever."""
    resources = parts.resources
    works = [
        parts.watermarks.follow(process.health),
        parts.monitor.run(),
        _report(process.health, resources.live),
        watch_login(parts.shared.bootstrap_servers, process.health),
        HorizonWatch(process.health).run(),
        live_greeks(parts).run(),
    ]
    if isinstance(resources.clock, SimulatorMarketClock):
        works.append(resources.clock.follow(resources.session))
    if settings.keys_file is not None:
        works.append(follow_keys(settings.keys_file, resources.access))
    if resources.certificate is not None:
        works.append(resources.certificate.follow())
    if parts.configured.path is not None:
        works.append(parts.follower.run(parts.configured.apply))
    return works


def live_greeks(parts: Parts) -> LiveGreeks:
    """Return what computes the greeks of option chains that WebSocket clients watch; it is to be run."""
    resources = parts.resources
    return LiveGreeks(
        resources.live,
        resources.store.apart(concurrent=1),
        parts.watermarks,
        resources.partitions,
        parts.models,
        clock=resources.clock,
        believed=parts.believed,
    )


def _caps(settings: GatewaySettings, resources: Resources) -> Caps:
    """Return how many connections there may be; on one's own machine all are of one address."""
    return caps_of(
        websockets=settings.max_connections,
        plain=settings.max_http_connections,
        capped_by_address=resources.access.required,
        proxies=border_of(settings, resources.access).proxies,
    )


async def _parts(
    process: Process, settings: GatewaySettings, shared: MdsSettings, resources: Resources
) -> Parts:
    """Return the parts, which know by then what file and broker say of the configuration."""
    calendars = CalendarHistory()
    configured = await asyncio.to_thread(configured_at_start, shared)
    await asyncio.to_thread(begin_history, shared, calendars)
    return Parts(
        process=process,
        settings=settings,
        shared=shared,
        resources=resources,
        watermarks=Watermarks(resources.store),
        follower=Follower(
            shared.bootstrap_servers,
            prefix=shared.topic_prefix,
            service=process.name,
            health=process.health,
            history=calendars,
        ),
        configured=configured,
        naming=Naming(resources.symbology, resources.clock),
        calendars=calendars,
        monitor=Monitor(
            resources.store.apart(concurrent=1),
            resources.clock,
            configured,
            target_symbols=settings.slo_symbols,
            source=f"{gethostname()}-{settings.own_ops_port}",
        ),
        models=ModelQueue(),
        acts=resources.store.apart(concurrent=ACTS_AT_ONCE),
    )


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
            await asyncio.sleep(STARTING_RETRY_S)


async def _report(health: Health, live: LiveStreams) -> None:
    """Say for ever whether the live topics are warm and reachable."""
    while True:
        detail = {name: value for name, value in live.document().items() if name != "ready"}
        health.report(LIVE_PART, ready=live.ready and live.reachable, **detail)
        await asyncio.sleep(REPORT_EVERY_S)
