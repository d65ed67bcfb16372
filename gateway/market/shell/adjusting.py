"""Adjusted reading: the actions that count, the raw prices they are judged by, and a snapshot whose bars are adjusted as they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from analytics.action_choice import ActionChoice, ActionView, choose, counting
from analytics.action_effects import RawSessions
from analytics.adjustment import ActionSchedule, Adjustment
from gateway.database.basis_statements import EDGES_OF_DAYS, TOLD_BEFORE
from gateway.database.rows import row_reader
from gateway.database.shell.snapshot import Snapshot
from gateway.database.shell.watermarks import Watermarks
from gateway.database.versions import MINUTE, BarVersion, Span, View
from gateway.http.moments import EARLIEST_US
from gateway.http.pages import Page
from gateway.market.action_account import ActionAccount
from gateway.market.adjusting import BarAdjuster, Doubt, Place, place_of
from gateway.market.history import PagePlan
from gateway.market.instrument_names import InstrumentNames
from gateway.market.raw_prices import (
    EdgeBar,
    PricePlan,
    brought_back,
    price_plan,
    raw_edges,
    raw_sessions,
    rebased_edges,
)
from gateway.market.shell.named_snapshot import NamedSnapshot
from schemas.calendar.expected_bars import DAILY
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import Day, KnowledgeTime, day_of
from schemas.configuration.streams import Streams
from schemas.entries import CorporateAction
from schemas.streams import ACTION_STREAM, BAR_STREAM
from schemas.symbology.stated_actions import BY_HAND
from schemas.tables import INDEX_BITS

IN_PLACE = 200  # bars adjusted without a thread of their own
T = TypeVar("T")
_bar: Callable[..., BarVersion] = row_reader(BAR_STREAM, BarVersion)


class ActionReader(Protocol):
    """Reading of what was told of a symbol's actions by a moment: every version, or the newest of each."""

    async def __call__(
        self, snapshot: Snapshot, symbol: str, *, known_by: KnowledgeTime, every: bool
    ) -> Sequence[CorporateAction]:
        """Return versions of all providers, those that are taken back among them."""


class AdjustedSnapshot(NamedSnapshot):
    """A snapshot whose bars are adjusted; those in doubt are there as they are stored, and say so."""

    def __init__(self, borrowed: Snapshot, names: InstrumentNames, adjuster: BarAdjuster) -> None:
        """Read what `borrowed` reads, under `names`."""
        super().__init__(borrowed, names)
        self._adjuster = adjuster

    async def bars(
        self, symbol: str, interval: str, span: Span, view: View, *, limit: int, descending: bool = False
    ) -> list[BarVersion]:
        """Return the newest known version of each bar, as NamedSnapshot does, adjusted."""
        found = await super().bars(symbol, interval, span, view, limit=limit, descending=descending)
        return await self.adjusted(found)

    async def adjusted(self, bars: Sequence[BarVersion]) -> list[BarVersion]:
        """Return bars that were read as they are stored, adjusted, each by its own basis."""
        before = await _told_before(self, bars, self._adjuster)
        return await _in_turn(partial(self._adjuster.adjusted, bars, before), len(bars))


class Adjusting:
    """Corporate actions, which adjusted answers need beside bars, in the order their sources are preferred."""

    def __init__(
        self, read: ActionReader, watermarks: Watermarks, *, believed: Callable[[], Sequence[str]]
    ) -> None:
        """Read actions with `read`; `believed` are sources, the first most."""
        self._read, self._watermarks, self._believed = read, watermarks, believed

    async def account(
        self,
        snapshot: Snapshot,
        plan: PagePlan,
        page: Page | None,
        names: InstrumentNames,
        *,
        partitions: Sequence[int],
        wall_market: bool,
    ) -> ActionAccount:
        """Return the actions a page is adjusted for, and the day of its basis; a further page has those of the first.

        Of each of `names`, which lie in `partitions`, those of its days.
        """
        ask, calendar = plan.ask, calendar_of(plan.ask.symbol)
        adjustment: Adjustment = ask.adjustment or "raw"
        if page is not None and page.pins:
            basis, told_by = Day(page.pins[0]), KnowledgeTime(page.pins[1])
        else:
            told_by = self._told_by(plan, partitions)
            basis = (
                ask.basis if ask.basis is not None else await _basis(snapshot, plan, wall_market=wall_market)
            )
        told = await self._told(snapshot, names, told_by, every=ask.knowledge == "published")
        view = ActionView(
            as_of=plan.as_of, knowledge=ask.knowledge, providers=self._believed(), calendar=calendar
        )
        choice = await _choice(snapshot, plan, told, view, basis, names)
        return ActionAccount(
            adjustment=adjustment,
            knowledge=ask.knowledge,
            basis=basis,
            told_by=told_by,
            schedule=ActionSchedule(choice.effects),
            choice=choice,
            sources=frozenset(each.provider for each in told),
        )

    async def _told(
        self, snapshot: Snapshot, names: InstrumentNames, told_by: KnowledgeTime, *, every: bool
    ) -> list[CorporateAction]:
        """Return what was told by a moment of an instrument's actions: of each name those of its days."""
        told = list[CorporateAction]()
        for span in names.spans:
            of_name = await self._read(snapshot, span.symbol, known_by=told_by, every=every)
            told += [each for each in of_name if span.holds(each.ex_date)]
        return told

    def _told_by(self, plan: PagePlan, partitions: Sequence[int]) -> KnowledgeTime:
        if plan.ask.knowledge == "known":
            return plan.as_of
        through = self._watermarks.through((ACTION_STREAM.topic,), partitions)
        return plan.as_of if through is None else max(plan.as_of, through)


def believed_sources(streams: Streams | None) -> tuple[str, ...]:
    """Return who is believed of actions, the first most: what was stated by hand, then as configured."""
    return (BY_HAND, *(() if streams is None or streams.actions is None else streams.actions.providers))


def adjusted_snapshot(snapshot: Snapshot, names: InstrumentNames, account: ActionAccount) -> AdjustedSnapshot:
    """Return a snapshot whose bars are adjusted by what an account holds."""
    adjuster = BarAdjuster(
        account.schedule, calendar_of(names.symbol), target=account.basis, adjustment=account.adjustment
    )
    return AdjustedSnapshot(snapshot, names, adjuster)


async def _in_turn(work: Callable[[], T], bars: int) -> T:
    """Return what work on so many bars gives, of many from a thread: WebSocket clients share the loop."""
    return work() if bars <= IN_PLACE else await asyncio.to_thread(work)


async def _basis(snapshot: Snapshot, plan: PagePlan, *, wall_market: bool) -> Day:
    """Return the venue's day of the moment asked about; a simulated market is at that of its newest bar known then."""
    calendar, newest = calendar_of(plan.ask.symbol), int(plan.as_of)
    if not wall_market:
        everybody = View(as_of=plan.as_of, provider=None, latest_event=plan.view.latest_event)
        edges = [
            await snapshot.edges(plan.ask.symbol, interval, everybody, since=EARLIEST_US)
            for interval in dict.fromkeys((MINUTE, DAILY, plan.ask.interval))
        ]
        newest = max((edge[1] for edge in edges if edge is not None), default=newest)
    return day_of(calendar.date_of(newest))


async def _choice(
    snapshot: Snapshot,
    plan: PagePlan,
    told: Sequence[CorporateAction],
    view: ActionView,
    basis: Day,
    names: InstrumentNames,
) -> ActionChoice:
    """Return the actions that count, by prices as they were paid, or brought back to that by the splits among them."""
    symbol, calendar = plan.ask.symbol, view.calendar
    within = _within(plan, calendar, basis) if plan.ask.adjustment == "all" else None
    prices = await asyncio.to_thread(
        lambda: price_plan(symbol, counting(told, view), calendar, within=within)
    )
    found = await _edges(snapshot, prices, plan.as_of, names) if prices.asked else []
    paid = raw_edges(found)

    def chosen(edges: Sequence[EdgeBar]) -> ActionChoice:
        sessions: RawSessions = raw_sessions(symbol, prices, edges)
        return choose(told, view, sessions)

    choice = await asyncio.to_thread(chosen, paid)
    if rebased := rebased_edges(prices, symbol, found):
        adjuster = BarAdjuster(ActionSchedule(choice.effects), calendar, target=basis, adjustment="raw")
        bars: list[BarVersion] = []
        for interval in (DAILY, MINUTE):
            some = list(
                {id(each.bar): each.bar for each in rebased if each.bar.interval == interval}.values()
            )
            before = await _told_before(snapshot, some, adjuster)
            bars += await _in_turn(partial(adjuster.adjusted, some, before, whole=True), len(some))
        choice = await asyncio.to_thread(chosen, [*paid, *brought_back(rebased, bars)])
    return choice


def _within(plan: PagePlan, calendar: Calendar, basis: Day) -> tuple[Day, Day]:
    """Return the days between which an action matters: from the first bar to the last, and to the basis."""
    first, last = (day_of(calendar.date_of(moment)) for moment in plan.span)
    return Day(min(first, basis)), Day(max(last, basis))


async def _edges(
    snapshot: Snapshot, prices: PricePlan, as_of: KnowledgeTime, names: InstrumentNames
) -> list[EdgeBar]:
    columns = [list(column) for column in zip(*prices.asked, strict=True)]
    _, _, begins, ends, opens, closes = columns
    symbols = [
        names.name_on(each.day) if each.symbol == names.symbol else each.symbol for each in prices.asked
    ]
    rows = await snapshot.fetch(EDGES_OF_DAYS, symbols, begins, ends, opens, closes, *prices.bounds, as_of)
    found = []
    for row in rows:
        asked = row["place"] - 1
        bar = _bar(row, symbols[asked], row[0], row["interval"])
        found.append(EdgeBar(asked=asked, is_first=row["is_first"], bar=bar))
    return found


async def _told_before(
    snapshot: Snapshot, bars: Sequence[BarVersion], adjuster: BarAdjuster
) -> Mapping[Place, BarVersion]:
    """Return what proves bars in doubt, by them: the version their provider gave before the split.

    One statement for each name that they are stored under, none without doubt.
    """
    doubts = await _in_turn(partial(adjuster.doubts, bars), len(bars))
    found: dict[Place, BarVersion] = {}
    for symbol in dict.fromkeys(each.bar.symbol for each in doubts):
        found |= await _versions_before(snapshot, [each for each in doubts if each.bar.symbol == symbol])
    return found


async def _versions_before(snapshot: Snapshot, doubts: Sequence[Doubt]) -> Mapping[Place, BarVersion]:
    """Return the same of doubts of one symbol; there are some."""
    moments = [each.bar.event_time for each in doubts]
    symbol, interval = doubts[0].bar.symbol, doubts[0].bar.interval
    rows = await snapshot.fetch(
        TOLD_BEFORE,
        symbol,
        interval,
        min(moments),
        max(moments) + 1,
        [each.bar.provider for each in doubts],
        moments,
        [(each.bar.raw_offset << INDEX_BITS) + each.bar.index for each in doubts],
        [each.told_before for each in doubts],
    )
    return {place_of(doubts[row["place"] - 1].bar): _bar(row, symbol, row[0], interval) for row in rows}
