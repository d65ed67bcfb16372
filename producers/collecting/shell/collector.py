"""The collection of this process, exchanged while it runs: polls and sockets that stay the same go on undisturbed.

An exchange is prepared first (validated, cursors read, missed time told) and then takes place between two turns of the
event loop: nobody sees half of it, and what cannot be prepared changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from infra.runtime import metrics
from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from producers.catalogue.shell.opening import Opener, Vendors, facts_of, log_disabled
from producers.collecting.shell.readiness import Readiness
from producers.collecting.shell.starting import known_cursors, tell_missed
from producers.collecting.shell.tasks import Collectors
from producers.plan.plan import PollPlan, plan_of
from producers.plan.shell.universe import Membership
from producers.plan.tasks import PollKey
from producers.plan.trimming import LeftOut, nameable, nameless, owned_part
from producers.polling.shell.assignment import Assignment, Polls, cadences_of
from producers.polling.shell.attempts import Attempts, Poll
from producers.polling.shell.polls import Polled
from producers.polling.shell.timeliness import CadenceRecorder
from producers.polling.slots import Duty, Outcome
from producers.raw.shell.topics import RawTopics
from producers.raw.shell.watched import WatchedTopic
from producers.routing.shell.router import Router
from producers.routing.shell.status import ProviderStatus
from producers.settings import ProducersSettings
from schemas.calendar.sessions import Calendar, CalendarBook, calendar_name
from schemas.clocks import EventTime, MarketTime
from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL
from schemas.providers.facts import ProviderFacts
from schemas.streams import StreamId
from schemas.symbology.naming import Symbology, naming_day
from schemas.universe import Member

LOOK_AT_DAY_S = 5.0
HEALTH_EVERY_S = 1.0

log = logging.getLogger(__name__)

Swept = Callable[[str, Mapping[str, Outcome], MarketTime, str], None]
"""Told of a poll: capability, outcome by symbol, slot, provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Resources the process gives the collection; `start` is where a simulator's data begins."""

    health: Health
    raw: RawTopics
    settings: ProducersSettings
    dsn: str
    symbology: Symbology
    opener: Opener
    market: Market
    cadence: CadenceRecorder
    watched: WatchedTopic
    start: MarketTime | None


class Collection:
    """Polls and streams what it was last told to; used from one event loop."""

    def __init__(self, around: Surroundings, swept: Swept) -> None:
        """Collect nothing until `run` and `own`; tell `swept` of every poll of our own schedule."""
        budgets = around.opener.budgets
        self._around = around
        self._swept = swept
        self._market = around.market
        self._duty = Duty(around.raw.partitions)
        self._owned = frozenset[int]()  # until the group says which
        self._status = ProviderStatus({})
        self.router = Router(
            budgets=lambda provider: budgets.document().get(provider, {}),
            market=around.market,
            deadline_s=around.settings.request_deadline_s,
        )
        self.attempts = Attempts(raw=around.raw, status=self._status, router=self.router, duty=self._duty)
        self.polls = Polls(raw=around.raw, router=self.router, duty=self._duty)
        self._readiness = Readiness(
            around.health, raw=around.raw, status=self._status, router=self.router, market=around.market
        )
        self._membership = Membership(around.dsn, health=around.health, changed=self._take_members)
        self.configuration: Configuration | None = None
        self.vendors: Vendors | None = None
        self._plan = PollPlan()
        self.lacking: Mapping[str, str] = {}
        self._known = frozenset[str]()
        self._calendars: Mapping[str, Calendar] = {}
        self._left_out: frozenset[LeftOut] = frozenset()
        self._nameless: Mapping[str, Sequence[str]] = {}
        self._named = naming_day(0)
        self._collectors: Collectors | None = None
        self._exchanging = asyncio.Lock()
        self.begun = asyncio.Event()  # from then on `apply` and `own` may be called

    async def run(self, configuration: Configuration) -> None:
        """Collect what the configuration asks for, and what is applied later, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            around, raw = self._around, self._around.raw
            self._membership.begin(tasks)
            self._collectors = Collectors(
                tasks,
                self.attempts,
                market=self._market,
                cadence=around.cadence,
                health=around.health,
                workers=around.settings.concurrency,
                swept=self._tell_swept,
            )
            await self.apply(configuration)
            self.begun.set()
            tasks.create_task(self.router.run(partial(raw.note, HEALTH_JOURNAL)), name="provider-health")
            tasks.create_task(self._report_health(), name="health")
            tasks.create_task(around.watched.run(), name="watched")
            tasks.create_task(around.cadence.run(partial(raw.note, CADENCE_JOURNAL)), name="cadence")
            await self._follow_names()

    async def apply(self, configuration: Configuration) -> None:
        """Collect what this configuration asks for from now on; raise ConfigurationError where that is nothing."""
        async with self._exchanging:
            await self._exchange(configuration)

    async def _take_members(self) -> None:
        """Collect what the configuration in force asks for of another universe."""
        async with self._exchanging:
            if self.configuration is not None:
                await self._exchange(self.configuration)

    async def own(self, partitions: frozenset[int], slots: Mapping[PollKey, MarketTime]) -> None:
        """Collect the symbols of these partitions alone from now on; `slots` says what others have polled of them.

        Returns when no poll of any other symbol is under way.
        """
        # at once: an exchange under way sees it, also when nobody waits for this one
        self._owned = partitions
        async with self._exchanging:
            self._duty.restore(slots)
            if partitions:  # while nothing is owned nothing is asked: what was ours of the limits stays ours
                self._around.opener.budgets.share(len(partitions), self._around.raw.partitions)
            if self.configuration is not None:
                await self._exchange(self.configuration)
        await self._running().settled()
        await self._around.watched.hand_over()

    def sweep(self, partitions: frozenset[int]) -> None:
        """Poll by our own schedule the symbols of these partitions alone; of the others jobs say when."""
        if fresh := self._duty.sweep(partitions):
            self._running().resume(fresh)

    def knows(self, symbol: str) -> bool:
        """Whether a symbol, or a macro series, is collected by anybody: in the configuration or the universe."""
        return symbol in self._known

    async def _report_health(self) -> None:
        """Tell health every second what is being published and how the providers answer; for ever."""
        while True:
            self._report()
            await asyncio.sleep(HEALTH_EVERY_S)

    def _report(self) -> None:
        self._readiness.report(self._plan, self._calendars, self._running().streams, self._nameless)

    async def _exchange(self, configuration: Configuration) -> None:
        owned = self._owned
        places, lacking = self._around.opener.places(configuration)
        waits = None if self.configuration is None else self._around.settings.cursor_wait_s
        members = await self._membership.members(configuration, within_s=waits)
        plan = self._nameable(configuration, members, facts_of(places))
        if members and not plan.providers:
            remedy = "enable one under `providers` and `streams`"
            raise ConfigurationError("no enabled provider has a stream to collect", remedy=remedy)
        plan = owned_part(plan, owned, self._around.raw.partitions)
        streams = plan.streams
        new = streams - self._plan.streams
        calendars = await _calendars(configuration, plan.instruments)
        await self._around.watched.take_over(owned)
        cursors = await self._cursors(new)
        vendors = self._around.opener.open(places, self.vendors)
        log_disabled({name: why for name, why in lacking.items() if self.lacking.get(name) != why})
        self.lacking = lacking
        # From here on nothing can be refused, and nothing waits but for the broker.
        self._around.raw.watched.keep(streams)
        self._route(plan, configuration, calendars, vendors)
        raw, now = self._around.raw, self._market.now_us()
        await tell_missed(plan, new, cursors, raw=raw, router=self.router, calendars=calendars, now=now)
        self.configuration, self.vendors = configuration, vendors
        self._plan, self._calendars = plan, calendars
        self._known = frozenset(
            {*(member.symbol for member in members), *map(str, configuration.streams.series)}
        )
        sizes = {"streams": len(streams), "new": len(new), "known": len(cursors)}
        log.info("collecting", extra={**sizes, "providers": plan.providers})
        await self._collect(self._assignment(vendors, cursors))
        await self._membership.follow(configuration)
        self._report()
        if self._owned != owned:
            await self._exchange(configuration)

    def _assignment(self, vendors: Vendors, cursors: Mapping[StreamId, EventTime]) -> Assignment:
        around = self._around
        return Assignment(
            plan=self._plan,
            vendors=vendors,
            market=self._market,
            calendars=self._calendars,
            cursors=cursors,
            start=around.start,
            simulated=around.opener.simulated,
        )

    async def _collect(self, assignment: Assignment) -> None:
        """Exchange polls and sockets; returns when those that are no more are closed."""
        plan = assignment.plan
        self.polls.exchange(assignment)
        self._around.cadence.plan(cadences_of(plan))
        self._duty.keep({stream for task in plan.polls() for stream in task.poll_keys})
        self._running().poll(self.polls.by_provider)
        await self._running().stream(assignment)
        if gone := assignment.vendors.gone:
            await self._running().settled()  # what is under way would be counted again
            for provider in gone:
                metrics.forget_provider(provider)

    async def _cursors(self, streams: frozenset[StreamId]) -> Mapping[StreamId, EventTime]:
        if not streams:
            return {}
        around, within_s = self._around, self._around.settings.cursor_wait_s
        return await known_cursors(around.dsn, streams, within_s=within_s, health=around.health)

    def _nameable(
        self, configuration: Configuration, members: Sequence[Member], facts: Mapping[str, ProviderFacts]
    ) -> PollPlan:
        """Return the plan without the symbols that cannot be asked for today; each is said once, with the reason."""
        usable = {name: each.capabilities for name, each in facts.items()}
        plan = plan_of(configuration, usable=usable, members=members)
        self._named = naming_day(self._market.horizon_us())
        smaller, left_out = nameable(plan, self._around.symbology, self._named, facts)
        for entry in sorted(set(left_out) - self._left_out):
            log.warning(
                "symbol_not_collected",
                extra={
                    "symbol": entry.symbol,
                    "provider": entry.provider,
                    "code": entry.code,
                    "reason": entry.why,
                },
            )
        self._left_out, self._nameless = frozenset(left_out), nameless(plan, smaller)
        return smaller

    def _route(
        self,
        plan: PollPlan,
        configuration: Configuration,
        calendars: Mapping[str, Calendar],
        vendors: Vendors,
    ) -> None:
        """Let the router say who is asked for what: every polled capability with all of its providers."""
        breakers = {name: vendors.breaker(name) for name in plan.providers}
        self._status.know(breakers)
        by_capability = {name: vendors.capability_breaker(name) for name in plan.providers}
        self.router.route(plan.named, calendars, configuration.streams.routing, by_capability)

    def _tell_swept(self, poll: Poll, symbols: Sequence[str], slot: MarketTime, polled: Polled) -> None:
        outcomes = {symbol: Outcome(status="done", events=polled.events.get(symbol, 0)) for symbol in symbols}
        self._swept(poll.capability, outcomes, slot, poll.provider)

    def _running(self) -> Collectors:
        assert self._collectors is not None  # noqa: S101 - `run` makes them, and nothing is collected before
        return self._collectors

    async def _follow_names(self) -> None:
        """Collect under other names from the day on which symbols change theirs; for ever."""
        while True:
            await asyncio.sleep(LOOK_AT_DAY_S)
            async with self._exchanging:
                if self.configuration is not None and self._named != naming_day(self._market.horizon_us()):
                    await self._exchange(self.configuration)


async def _calendars(configuration: Configuration, symbols: set[str]) -> Mapping[str, Calendar]:
    """Return the calendar of each symbol, with what the configuration adds to it."""
    book = CalendarBook(configuration.calendar_overlay())
    await asyncio.to_thread(book.load, {calendar_name(symbol) for symbol in symbols})
    return {symbol: book.calendar_of(symbol) for symbol in symbols}
