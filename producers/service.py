"""Runs what the configuration asks for: makes the plan, says what was missed while down, polls, streams, reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from infra.runtime.clock import SimulatorMarketClock, WallMarketClock, wall_us
from infra.runtime.lifecycle import Health
from producers.adapters.addresses import AddressPolicy
from producers.adapters.assignment import Assignment, coverage_of, markets_of, polls_of
from producers.adapters.budgets import Budgets
from producers.adapters.market import Market
from producers.adapters.poller import Poller
from producers.adapters.polls import blank_block
from producers.adapters.raw_topics import RawTopics
from producers.adapters.registry import Registry
from producers.adapters.reloading import Reloading
from producers.adapters.simulator import SimulatedVendors
from producers.adapters.starting import known_cursors, simulator_ready, topics_ready
from producers.adapters.status import Status
from producers.adapters.trade_stream import TradeStream
from producers.adapters.vendors import Vendors, open_vendors
from producers.domain.blocks import place
from producers.domain.cadence import is_polling_time
from producers.domain.discontinuity import since_stop
from producers.domain.nameable import nameable
from producers.domain.plan import PollPlan, plan_of
from producers.settings import ProducersSettings
from schemas.calendar import Calendar, calendar_name, load_calendar
from schemas.configuration import Configuration
from schemas.errors import ConfigurationError
from schemas.symbology import Symbology, naming_day
from schemas.topics import RAW_BARS, RAW_QUOTES, partition_count

BROKER_PATIENCE_S = 15.0
REPORT_EVERY_S = 1.0
START = "start"  # endpoint of the blocks that only say what was missed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the process gives the service; `simulator_url` None means live vendors."""

    health: Health
    session: aiohttp.ClientSession
    raw: RawTopics
    settings: ProducersSettings
    bootstrap_servers: str
    topic_prefix: str
    dsn: str
    simulator_url: str | None
    symbology: Symbology
    budgets: Budgets
    policy: AddressPolicy


async def produce(resources: Resources, reloading: Reloading | None) -> None:
    """Collect what the configuration asks for, or (None) all that the simulator offers, until cancelled.

    Raises ConfigurationError where nothing is left to collect.
    """
    given = None if reloading is None else await reloading.begin(partial(_topics_ready, resources))
    clock = (
        WallMarketClock()
        if resources.simulator_url is None
        else SimulatorMarketClock(resources.simulator_url)
    )
    offer = None
    if isinstance(clock, SimulatorMarketClock):
        offer = await simulator_ready(
            resources.session, resources.simulator_url or "", clock, resources.health
        )
    market = Market(clock=clock, end=offer.end if offer is not None else None)
    async with asyncio.TaskGroup() as tasks:
        if isinstance(clock, SimulatorMarketClock):
            tasks.create_task(clock.follow(resources.session), name="market-clock")
        assignment = await _prepare(resources, market, given, offer)
        registry = _registry(resources, assignment)
        await _tell_missed(resources.raw, assignment, registry)
        for work in _works(resources, assignment, registry):
            tasks.create_task(work)
        if reloading is not None:
            tasks.create_task(
                reloading.run(partial(_accept, assignment, resources.symbology)), name="configuration"
            )


async def _topics_ready(resources: Resources) -> None:
    await topics_ready(resources.bootstrap_servers, resources.topic_prefix, resources.health)


def _accept(assignment: Assignment, symbology: Symbology, configuration: Configuration) -> None:
    """Take a configuration that leaves something to collect; raise ConfigurationError for one that does not."""
    plan = _plan(configuration, assignment.vendors, symbology, assignment.market)
    log.info(
        "configuration_accepted", extra={"providers": plan.providers, "collected": "from the next start"}
    )


def _plan(configuration: Configuration, vendors: Vendors, symbology: Symbology, market: Market) -> PollPlan:
    plan = _nameable(plan_of(configuration, usable=vendors.capabilities), symbology, market)
    if not plan.providers:
        raise ConfigurationError(
            "no enabled provider has a stream to collect", remedy="enable one under `providers` and `streams`"
        )
    return plan


async def _prepare(
    resources: Resources, market: Market, given: Configuration | None, offer: SimulatedVendors | None
) -> Assignment:
    configuration = given if given is not None or offer is None else offer.configuration
    if configuration is None:
        raise ConfigurationError(
            "nothing says what to collect", remedy="set MDS_CONFIG to a configuration file"
        )
    simulated = offer.synthetic_symbols if offer is not None else frozenset[str]()
    await resources.budgets.recall(within_s=resources.settings.cursor_wait_s)
    vendors = open_vendors(
        configuration,
        resources.session,
        simulator_url=resources.simulator_url,
        settings=resources.settings,
        simulated=simulated,
        budgets=resources.budgets,
        policy=resources.policy,
    )
    plan = _plan(configuration, vendors, resources.symbology, market)
    await _topics_ready(resources)
    streams = [*plan.polled_streams(), *plan.trade_streams()]
    cursors = await known_cursors(
        resources.dsn, streams, within_s=resources.settings.cursor_wait_s, health=resources.health
    )
    log.info(
        "collecting", extra={"streams": len(streams), "known": len(cursors), "providers": plan.providers}
    )
    return Assignment(
        plan=plan,
        routing=configuration.streams.routing,
        vendors=vendors,
        market=market,
        calendars=_calendars(configuration, {stream.symbol for stream in streams}),
        cursors=cursors,
        simulated=simulated,
        start=offer.start if offer is not None else None,
    )


def _nameable(plan: PollPlan, symbology: Symbology, market: Market) -> PollPlan:
    """Return the plan without the symbols that cannot be asked for today; each is said once, with the reason."""
    smaller, left_out = nameable(plan, symbology, naming_day(market.horizon_us()))
    for entry in left_out:
        log.warning(
            "symbol_not_collected",
            extra={
                "symbol": entry.symbol,
                "provider": entry.provider,
                "code": entry.code,
                "reason": entry.why,
            },
        )
    return smaller


def _calendars(configuration: Configuration, symbols: set[str]) -> Mapping[str, Calendar]:
    """Return the calendar of each symbol, without the days the configuration says were closed."""
    closures: dict[str, Sequence[str]] = dict(configuration.calendar_closures.items())
    names = {symbol: calendar_name(symbol) for symbol in symbols}
    return {symbol: load_calendar(name, frozenset(closures.get(name, ()))) for symbol, name in names.items()}


def _registry(resources: Resources, assignment: Assignment) -> Registry:
    """Return who is asked for what: every polled capability with all of its providers."""
    plan, vendors = assignment.plan, assignment.vendors
    symbols: dict[str, set[str]] = {}
    for bars in plan.bars:
        symbols.setdefault(bars.capability, set()).add(bars.symbol)
    for quotes in plan.quotes:
        symbols.setdefault(quotes.capability, set()).update(quotes.symbols)
    return Registry(
        plan.routes,
        {capability: markets_of(assignment.calendars, names) for capability, names in symbols.items()},
        assignment.routing,
        breakers={name: _breaker_state(vendors, name) for name in plan.providers},
        budgets=lambda provider: resources.budgets.document().get(provider, {}),
        market=assignment.market,
        deadline_s=resources.settings.request_deadline_s,
    )


async def _tell_missed(raw: RawTopics, assignment: Assignment, registry: Registry) -> None:
    """Publish, before anything else, what polled streams missed until now; a socket tells when it is open.

    Only of the providers that serve: what another one did not collect while it did not serve is not missing.
    """
    now, plan = assignment.market.now_us(), assignment.plan
    for topic, tasks in ((RAW_BARS, plan.bars), (RAW_QUOTES, plan.quotes)):
        serving = {registry.chosen(task.capability) for task in tasks}
        for provider in sorted(serving):
            streams = [
                stream
                for stream in plan.polled_streams()
                if stream.provider == provider and bool(stream.interval) == (topic == RAW_BARS)
            ]
            holes = since_stop(streams, assignment.cursors, now)
            blank = blank_block(provider, START, wall_us())
            await raw.publish(topic, place(blank, [], partition_count(), holes))


def _works(
    resources: Resources, assignment: Assignment, registry: Registry
) -> list[Coroutine[Any, Any, None]]:
    """Return one poller per provider, one stream per socket, the registry's record of itself, and the report."""
    plan, vendors, market = assignment.plan, assignment.vendors, assignment.market
    coverage = coverage_of(assignment, registry)
    status = Status({name: _breaker_state(vendors, name) for name in plan.providers})
    works = [
        Poller(
            provider,
            polls,
            market=market,
            raw=resources.raw,
            status=status,
            registry=registry,
            health=resources.health,
            workers=resources.settings.concurrency,
        ).run()
        for provider in plan.providers
        if (polls := polls_of(resources.raw, assignment, provider, coverage))
    ]
    works += [
        TradeStream(
            task,
            vendors.sockets[task.provider],
            resources.raw,
            market=market,
            status=status,
            cursors=assignment.cursors,
            simulated=assignment.simulated,
        ).run()
        for task in plan.trades
    ]
    return [
        *works,
        registry.run(resources.raw.health),
        report_health(resources.health, status, resources.raw, assignment, registry),
    ]


def _breaker_state(vendors: Vendors, provider: str) -> Callable[[], str]:
    return lambda: vendors.https[provider].breaker.state


async def report_health(
    health: Health, status: Status, raw: RawTopics, assignment: Assignment, registry: Registry
) -> None:
    """Tell health every second what is being published and how the providers answer; for ever."""
    calendars = {id(each): each for each in assignment.calendars.values()}.values()
    while True:
        waiting_s, now = raw.waiting_s, assignment.market.horizon_us()
        is_open = any(is_polling_time(now, calendar) for calendar in calendars)
        health.report(
            "publishing",
            ready=(raw.delivered_blocks > 0 or not is_open) and waiting_s < BROKER_PATIENCE_S,
            delivered_blocks=raw.delivered_blocks,
            waiting_for_broker_s=round(waiting_s, 1),
            market_open=is_open,
        )
        streaming = {task.provider for task in assignment.plan.trades}
        for provider in assignment.plan.providers:
            serving = registry.serves(provider)
            # One that is only held ready may be down: that is what it is held ready for.
            needed = serving or provider in streaming
            health.report(
                provider,
                ready=status.ready(provider) or not needed,
                serving=serving,
                **status.document(provider),
            )
        await asyncio.sleep(REPORT_EVERY_S)
