"""From a plan to polls: what is collected of whom, and where each stream stands; polls of before go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from infra.runtime.clock import Market
from producers.catalogue.shell.opening import Vendors
from producers.plan.plan import PollPlan
from producers.plan.tasks import ActionsTask, BarsTask, MacroTask, OptionsTask, PolledTask, QuotesTask
from producers.polling.schedule import first_position, phase_of
from producers.polling.shell.attempts import Poll
from producers.polling.shell.bars_poll import BarsPoll, Coverage
from producers.polling.shell.entries_poll import ActionsPoll, MacroPoll
from producers.polling.shell.options_poll import OptionsPoll
from producers.polling.shell.quotes_poll import QuotesPoll
from producers.polling.slots import Duty, slot_of
from producers.polling.timeliness import CadenceGroup, PlannedCadence
from producers.raw.shell.topics import RawTopics
from producers.routing.shell.router import Router
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.records import Event
from schemas.streams import MACRO_STREAM, StreamId

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
        self.by_provider = {
            provider: self._polls_of(provider, assignment, before.get(provider, {}))
            for provider in plan.providers
        }

    def bars(self, provider: str, capability: str, symbol: str) -> BarsPoll | None:
        """Return the poll of one stream of bars."""
        return cast(BarsPoll | None, self.alone(provider, capability, symbol))

    def alone(self, provider: str, capability: str, symbol: str) -> Poll | None:
        """Return the poll of one symbol, or series, that is asked for alone."""
        return self.by_provider.get(provider, {}).get((capability, symbol))

    def covering(self, provider: str, capability: str, symbol: str) -> Poll | None:
        """Return the poll of a capability that a symbol is part of."""
        polls = self.by_provider.get(provider, {}).values()
        return next(
            (poll for poll in polls if poll.capability == capability and symbol in poll.symbols), None
        )

    def source_of(self, series: str) -> str:
        """Return the provider that a macro series is polled from; empty where it is not polled."""
        key = MACRO_STREAM.name, series
        return next((provider for provider, polls in self.by_provider.items() if key in polls), "")

    def _polls_of(
        self, provider: str, assignment: Assignment, old: Mapping[Hashable, Poll]
    ) -> dict[Hashable, Poll]:
        """Return the polls of one provider, first what is polled most often: the first round of thousands of bars takes a minute."""
        plan, polls = assignment.plan, dict[Hashable, Poll]()
        makers: Sequence[tuple[Sequence[PolledTask], Callable[..., Poll]]] = (
            (plan.quotes, self._quotes_poll),
            (plan.bars, self._bars_poll),
            (plan.actions, self._actions_poll),
            (plan.macro, self._macro_poll),
            (plan.options, self._options_poll),
        )
        for tasks, make in makers:
            own = [task for task in tasks if task.provider == provider]
            # Requests of hundreds of symbols are spread as their symbols would be: a burst of them stalls any vendor.
            count = sum(len(task.poll_keys) for task in own)
            for task in own:
                key = _key_of(task)
                phase_us = phase_of(f"{task.capability}/{task.poll_keys[0][1]}", count, task.every_us)
                polls[key] = make(old.get(key), task, assignment, phase_us)
        return polls

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

    def _actions_poll(
        self, old: Poll | None, task: ActionsTask, assignment: Assignment, phase_us: int
    ) -> ActionsPoll:
        source = assignment.vendors.apis[task.provider]
        calendars = markets_of(assignment.calendars, task.symbols)
        if isinstance(old, ActionsPoll):
            old.exchange(task, source, calendars, phase_us)
            return old
        market = assignment.market
        poll = ActionsPoll(task, source, self.raw, market=market, calendars=calendars, phase_us=phase_us)
        self._recall(poll)
        return poll

    def _macro_poll(
        self, old: Poll | None, task: MacroTask, assignment: Assignment, phase_us: int
    ) -> MacroPoll:
        source = assignment.vendors.apis[task.provider]
        if isinstance(old, MacroPoll):
            old.exchange(task, source, phase_us)
            return old
        poll = MacroPoll(task, source, self.raw, market=assignment.market, phase_us=phase_us)
        self._recall(poll)
        return poll

    def _options_poll(
        self, old: Poll | None, task: OptionsTask, assignment: Assignment, phase_us: int
    ) -> OptionsPoll:
        source, calendar = assignment.vendors.apis[task.provider], assignment.calendars[task.symbol]
        if isinstance(old, OptionsPoll):
            old.exchange(task, source, calendar, phase_us)
            return old
        return OptionsPoll(
            task, source, self.raw, market=assignment.market, calendar=calendar, phase_us=phase_us
        )

    def _recall(self, poll: ActionsPoll | MacroPoll) -> None:
        """Mark the slots in which entries were asked for last: results of jobs go back an hour, their cadence is longer."""
        for symbol in poll.symbols:
            if (until := poll.asked_until(symbol)) is not None:
                slot = slot_of(until, every_us=poll.every_us, phase_us=poll.phase_us)
                self.duty.done(poll.capability, (symbol,), slot)

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


def _key_of(task: PolledTask) -> Hashable:
    symbols = tuple(symbol for _, symbol in task.poll_keys)
    is_of_one = isinstance(task, BarsTask | MacroTask | OptionsTask)
    return task.capability, symbols[0] if is_of_one else symbols


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
