"""From a plan to polls: what is collected of whom, and where each stream stands; polls of before go on."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from infra.runtime.clock import Market
from producers.catalogue.shell.opening import Vendors
from producers.plan.plan import BarsTask, PollPlan, QuotesTask
from producers.polling.schedule import first_position, phase_of
from producers.polling.shell.attempts import Poll
from producers.polling.shell.bars_poll import BarsPoll, Coverage
from producers.polling.shell.quotes_poll import QuotesPoll
from producers.polling.slots import Duty
from producers.polling.timeliness import CadenceGroup, PlannedCadence
from producers.raw.shell.topics import RawTopics
from producers.routing.shell.router import Router
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.records import Event
from schemas.streams import StreamId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Tasks of what is collected, from whom, and where those streams stand that are new."""

    plan: PollPlan
    vendors: Vendors
    market: Market
    calendars: Mapping[str, Calendar]
    cursors: Mapping[StreamId, EventTime]
    start: MarketTime | None  # where the simulator's data begins; None on live vendors
    simulated: frozenset[str]  # symbols no market made


def markets_of(calendars: Mapping[str, Calendar], symbols: Iterable[str]) -> list[Calendar]:
    """Return the calendars of some symbols, each once."""
    return list({id(each): each for each in map(calendars.__getitem__, symbols)}.values())


@dataclass(slots=True)
class Polls:
    """All polls of this process by provider, with what they share and what outlives an exchange of plans."""

    raw: RawTopics
    router: Router
    duty: Duty
    by_provider: dict[str, dict[Hashable, Poll]] = field(default_factory=dict)
    _coverage: dict[tuple[str, str], Coverage] = field(default_factory=dict)
    # quotes delivered, by provider and symbol
    _newest: dict[str, dict[str, Event]] = field(default_factory=dict)

    def exchange(self, assignment: Assignment) -> None:
        """Make the polls of another plan; those of the same streams go on from where they are."""
        plan, before = assignment.plan, self.by_provider
        wanted = {(task.symbol, task.interval) for task in plan.bars}
        self._coverage = {stream: kept for stream, kept in self._coverage.items() if stream in wanted}
        self._cover(assignment)
        names = {provider: set[str]() for provider in plan.providers}
        for task in plan.quotes:
            names[task.provider].update(task.symbols)
        for provider, symbols in names.items():
            newest = self._newest.setdefault(provider, {})  # shared by the polls that go on: changed in place
            for symbol in newest.keys() - symbols:
                del newest[symbol]
        self.by_provider = {provider: {} for provider in plan.providers}
        for provider in plan.providers:
            old, new = before.get(provider, {}), self.by_provider[provider]
            bars = [task for task in plan.bars if task.provider == provider]
            quotes = [task for task in plan.quotes if task.provider == provider]
            # First what is polled most often: the first round of thousands of bars takes a minute.
            # Requests of hundreds of symbols are spread as their symbols would be: a burst of them stalls any vendor.
            quoted = sum(len(task.symbols) for task in quotes)
            for quotes_task in quotes:
                name = f"{quotes_task.capability}/{quotes_task.symbols[0]}"
                phase_us = phase_of(name, quoted, quotes_task.every_us)
                key: Hashable = (quotes_task.capability, tuple(quotes_task.symbols))
                new[key] = self._quotes_poll(old.get(key), quotes_task, assignment, phase_us)
            for bars_task in bars:
                name = f"{bars_task.capability}/{bars_task.symbol}"
                phase_us = phase_of(name, len(bars), bars_task.every_us)
                key = (bars_task.capability, bars_task.symbol)
                new[key] = self._bars_poll(old.get(key), bars_task, assignment, phase_us)

    def bars(self, provider: str, capability: str, symbol: str) -> BarsPoll | None:
        """Return the poll of one stream of bars."""
        return cast(BarsPoll | None, self.by_provider.get(provider, {}).get((capability, symbol)))

    def quotes(self, provider: str, symbol: str) -> QuotesPoll | None:
        """Return the poll of quotes that a symbol is part of."""
        polls = self.by_provider.get(provider, {}).values()
        return next((poll for poll in polls if isinstance(poll, QuotesPoll) and symbol in poll.symbols), None)

    def _bars_poll(self, old: Poll | None, task: BarsTask, assignment: Assignment, phase_us: int) -> BarsPoll:
        source, calendar = assignment.vendors.apis[task.provider], assignment.calendars[task.symbol]
        if isinstance(old, BarsPoll):
            old.exchange(task, source, calendar, phase_us)
            return old
        known = task.stream in assignment.cursors
        poll = BarsPoll(
            task,
            source,
            self.raw,
            market=assignment.market,
            calendar=calendar,
            position=_position(assignment, task.stream) if known else None,
            coverage=self._coverage[task.symbol, task.interval],
            phase_us=phase_us,
        )
        poll.is_behind = not self.duty.is_known(task.capability, task.symbol)
        return poll

    def _quotes_poll(
        self, old: Poll | None, task: QuotesTask, assignment: Assignment, phase_us: int
    ) -> QuotesPoll:
        source = assignment.vendors.apis[task.provider]
        calendars = markets_of(assignment.calendars, task.symbols)
        if isinstance(old, QuotesPoll):
            old.exchange(task, source, calendars, phase_us)
            return old
        return QuotesPoll(
            task,
            source,
            self.raw,
            market=assignment.market,
            calendars=calendars,
            phase_us=phase_us,
            newest=self._newest[task.provider],
        )

    def _cover(self, assignment: Assignment) -> None:
        """Note how far the bars of each new (symbol, interval) were served: as far as any provider's are stored.

        Where none are, as far as those of its present provider; of a symbol that has no name there, of the first that has one.
        """
        ranks: dict[tuple[str, str], tuple[int, bool]] = {}
        for task in assignment.plan.bars:
            stream = task.symbol, task.interval
            if stream in self._coverage and stream not in ranks:
                continue
            position = _position(assignment, task.stream)
            is_chosen = self.router.chosen(task.capability, task.symbol) == task.provider
            rank = (position if task.stream in assignment.cursors else -1), is_chosen
            if stream not in ranks or rank > ranks[stream]:
                ranks[stream], self._coverage[stream] = rank, Coverage(task.provider, position)


def cadences_of(plan: PollPlan) -> Mapping[CadenceGroup, PlannedCadence]:
    """Return what is polled how often, as it is counted."""
    symbols: dict[CadenceGroup, list[str]] = {}
    every_us: dict[CadenceGroup, int] = {}
    for task in plan.polls():
        group = CadenceGroup(task.capability, task.provider, task.tier)
        symbols.setdefault(group, []).extend(symbol for _, symbol in task.poll_keys)
        every_us[group] = task.every_us
    return {
        group: PlannedCadence(every_us=every_us[group], symbols=names) for group, names in symbols.items()
    }


def _position(assignment: Assignment, stream: StreamId) -> EventTime:
    """Return where a stream of bars begins: its cursor, else the start of the data or of the trading day."""
    now, cursor = assignment.market.horizon_us(), assignment.cursors.get(stream)
    if cursor is not None and cursor <= now:
        return cursor
    if cursor is not None:
        log.warning(
            "cursor_ahead_of_market", extra={"symbol": stream.symbol, "cursor": cursor, "market": now}
        )
    if assignment.start is not None:
        return EventTime(assignment.start)
    return first_position(now, assignment.calendars[stream.symbol])
