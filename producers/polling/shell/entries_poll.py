"""Polls of entries: corporate actions and macro series → raw topics. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from infra.runtime.clock import Market
from producers.http.shell.waiting import timed
from producers.plan.tasks import ActionsTask, MacroTask
from producers.polling.entries import (
    ActionDays,
    ToldEntries,
    days_of_actions,
    next_slot,
    vintages_again,
    vintages_since,
)
from producers.polling.schedule import AT_ONCE
from producers.polling.shell.polls import Polled, Rejections, Task, TaskPoll
from producers.raw.blocks import blank_block, place
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import entries_evidence
from producers.vendors.answers import ActionsRequest, MacroRequest, Response
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, MarketTime, day_of
from schemas.intervals import DAY_US
from schemas.records import Event
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream, StreamId

PUBLISHED_AT_ONCE = 2_000  # entries of an answer; beyond it encoding would hold up the loop
# Symbols that are asked for from the beginning: decades of them are pages enough for one answer.
ALL_OF_AT_ONCE = 50

log = logging.getLogger(__name__)


class ActionsSource(Protocol):
    """A vendor's corporate actions."""

    async def actions(self, asked: ActionsRequest) -> Response:
        """Return the actions of some symbols whose ex-date is one of some days."""


class SeriesSource(Protocol):
    """A source's macro series."""

    async def macro(self, asked: MacroRequest) -> Response:
        """Return the observations of a series."""


class EntriesPoll(TaskPoll[Task]):
    """A task of one provider that gives entries; its place in the cadence is kept in closed markets too."""

    is_behind = False  # whatever is asked for comes in one answer
    stream: Stream

    def __init__(
        self, task: Task, symbols: Sequence[str], raw: RawTopics, market: Market, phase_us: int
    ) -> None:
        """Poll at `phase_us` (µs) within the cadence."""
        super().__init__(task, symbols, raw, market)
        self.phase_us = phase_us
        self._all_rejections = Rejections(raw, self.topic, task.provider)  # apart from those of later answers
        self._told: dict[str, ToldEntries] = {}

    def first_due(self) -> MarketTime:
        """Return when it is polled first: in its place, so that thousands of them are no burst before quotes and bars."""
        return MarketTime(self._market.now_us() + self.phase_us) if self._market.paced else AT_ONCE

    def next_due(self) -> MarketTime:
        """Return the market time of the next poll."""
        return self._due_after(self._market.now_us())

    def series(self, symbol: str) -> StreamId:
        """Return the series of one of its symbols."""
        return StreamId(self.stream.name, "", self.provider, symbol)

    def asked_until(self, symbol: str) -> MarketTime | None:
        """Return until when a symbol was asked for; None where it never was, or ahead of a market that began anew."""
        until = self._raw.watched.own(self.series(symbol))
        return None if until is None or until > self._market.now_us() else until

    def _due_after(self, asked: MarketTime) -> MarketTime:
        """Return when the next poll is due after one that asked then: a slot that begins while it is answered is not left out."""
        return next_slot(asked, every_us=self._task.every_us, phase_us=self.phase_us)

    async def _publish(self, response: Response, asked: Collection[str], job_id: str) -> Counter[str]:
        """Publish what is news of an answer, part by part; return how many entries it was, by symbol."""
        blank = blank_block(self.provider, response.endpoint, response.received_time, job_id=job_id)
        events, published = response.answer.events, Counter[str]()
        told = {symbol: self._told.setdefault(symbol, ToldEntries(self.stream)) for symbol in asked}
        for each in told.values():
            each.begin()
        for start in range(0, len(events), PUBLISHED_AT_ONCE):
            news = _news(events[start : start + PUBLISHED_AT_ONCE], told)
            await self._raw.publish(self.topic, place(blank, news, self._raw.partitions))
            published.update(event["symbol"] for event in news)
        for each in told.values():
            each.confirmed()
        return published


class ActionsPoll(EntriesPoll[ActionsTask]):
    """Corporate actions of some symbols: of the days around today, and of a symbol never asked for all there are."""

    stream = ACTION_STREAM
    topic = ACTION_STREAM.raw_topic

    def __init__(
        self,
        task: ActionsTask,
        source: ActionsSource,
        raw: RawTopics,
        *,
        market: Market,
        calendars: Sequence[Calendar],
        phase_us: int,
    ) -> None:
        """Count days by `calendars`, those of the symbols."""
        super().__init__(task, task.symbols, raw, market, phase_us)
        self._missing: frozenset[str] = frozenset()
        self.exchange(task, source, calendars, phase_us)

    def exchange(
        self, task: ActionsTask, source: ActionsSource, calendars: Sequence[Calendar], phase_us: int
    ) -> None:
        """Go on by another cadence, other days, source or calendars for the same symbols."""
        self._task, self._source, self._calendars, self.phase_us = task, source, calendars, phase_us

    async def poll(self, symbols: Sequence[str], *, probed: Sequence[str] = (), job_id: str = "") -> Polled:
        """Fetch `symbols`, some of this task's, and publish what is news; raises the vendor's errors.

        What is `probed` is asked for in the same request, and only judged.
        """
        now = self._market.now_us()  # before asking: what is said later is not answered yet
        until = {symbol: self.asked_until(symbol) for symbol in symbols}
        moments = [moment for moment in until.values() if moment is not None]
        known = [symbol for symbol, moment in until.items() if moment is not None]
        fresh = [symbol for symbol, moment in until.items() if moment is None]
        events, missing, latencies = Counter[str](), set[str](), list[float]()

        async def ask(
            names: Sequence[str], days: ActionDays, served: Sequence[str], told: Rejections
        ) -> None:
            response, latency_s = await self._ask(names, days)
            latencies.append(latency_s)
            missing.update(response.answer.missing)
            if not served:
                return
            await told.publish(response)
            events.update(await self._publish(response, served, job_id))
            answered = [symbol for symbol in served if symbol not in missing]
            self._raw.watched.note(map(self.series, answered), now)

        if known or probed:
            days = self._days(now, min(moments, default=now))
            await ask([*known, *probed], days, known, self._rejections)
        for start in range(0, len(fresh), ALL_OF_AT_ONCE):
            some = fresh[start : start + ALL_OF_AT_ONCE]
            await ask(some, self._days(now, None), some, self._all_rejections)
        self._tell_missing(missing.intersection(symbols))
        return self._polled(now, [*symbols, *probed], missing, max(latencies, default=0.0), events)

    async def probe(self, symbols: Sequence[str]) -> Polled:
        """Ask for the days around today only to see how the answer is; nothing is published."""
        now = self._market.now_us()
        response, latency_s = await self._ask(symbols, self._days(now, now))
        return self._polled(now, symbols, response.answer.missing, latency_s, {})

    def _polled(
        self,
        now: MarketTime,
        asked: Sequence[str],
        missing: Collection[str],
        latency_s: float,
        events: Mapping[str, int],
    ) -> Polled:
        evidence = entries_evidence(asked, missing, latency_s=latency_s, every_us=self.every_us)
        return Polled(due_us=self._due_after(now), evidence=evidence, events=events)

    async def _ask(self, symbols: Sequence[str], days: ActionDays) -> tuple[Response, float]:
        request = ActionsRequest(symbols=tuple(symbols), first=days.first, last=days.last)
        return await timed(self._source.actions(request))

    def _days(self, now: MarketTime, until: MarketTime | None) -> ActionDays:
        """Return the days to ask for of what was asked for `until` then; where venues are at different days, all of them."""
        task, found = self._task, list[ActionDays]()
        for calendar in self._calendars:
            today = day_of(calendar.date_of(now))
            asked = None if until is None else day_of(calendar.date_of(until))
            found.append(days_of_actions(today, asked, back_days=task.back_days, ahead_days=task.ahead_days))
        return ActionDays(min(days.first for days in found), max(days.last for days in found))

    def _tell_missing(self, missing: Collection[str]) -> None:
        for symbol in sorted(set(missing) - self._missing):
            log.warning("symbol_without_actions", extra={"provider": self.provider, "symbol": symbol})
        self._missing = frozenset(missing)


class MacroPoll(EntriesPoll[MacroTask]):
    """One macro series: at first all its source ever said, then what it said since."""

    stream = MACRO_STREAM
    topic = MACRO_STREAM.raw_topic

    def __init__(
        self, task: MacroTask, source: SeriesSource, raw: RawTopics, *, market: Market, phase_us: int
    ) -> None:
        """Ask `source` for the series of the task."""
        super().__init__(task, (task.series,), raw, market, phase_us)
        self._from: MarketTime | None = None
        self.exchange(task, source, phase_us)

    def exchange(self, task: MacroTask, source: SeriesSource, phase_us: int) -> None:
        """Go on by another cadence or source for the same series."""
        self._task, self._source, self.phase_us = task, source, phase_us

    async def poll(
        self,
        symbols: Sequence[str],
        *,
        probed: Sequence[str] = (),  # noqa: ARG002 - there is only one
        job_id: str = "",
    ) -> Polled:
        """Fetch and publish what is news, in the name of a job where there is one; raises the source's errors."""
        now = self._market.now_us()
        until, again, self._from = self.asked_until(self._task.series), self._from, None
        since = vintages_since(None if until is None else _utc_day(until))
        if again is not None and since is not None:
            since = vintages_again(since, _utc_day(again))
        response, latency_s = await self._ask(since)
        await (self._all_rejections if since is None else self._rejections).publish(response)
        events = await self._publish(response, symbols, job_id)
        if not response.answer.missing:
            self._raw.watched.note(self._task.streams, now)
        return self._polled(now, response, latency_s, events)

    def ask_from(self, start: MarketTime) -> None:
        """Ask with the next poll for all that was said since the day of `start`, on the first of 1970 for all there is."""
        self._from = start

    async def probe(self, symbols: Sequence[str]) -> Polled:  # noqa: ARG002 - there is only one
        """Ask for what was said lately only to see how the answer is; nothing is published."""
        now = self._market.now_us()
        response, latency_s = await self._ask(vintages_since(_utc_day(now)))
        return self._polled(now, response, latency_s, {})

    async def _ask(self, since: Day | None) -> tuple[Response, float]:
        task = self._task
        asked = MacroRequest(series=task.series, since=since, scheduled=task.scheduled)
        return await timed(self._source.macro(asked))

    def _polled(
        self, now: MarketTime, response: Response, latency_s: float, events: Mapping[str, int]
    ) -> Polled:
        missing = response.answer.missing
        evidence = entries_evidence(self.symbols, missing, latency_s=latency_s, every_us=self.every_us)
        return Polled(due_us=self._due_after(now), evidence=evidence, events=events)


def _news(events: Iterable[Event], told: Mapping[str, ToldEntries]) -> list[Event]:
    """Return those of some events that are news of a symbol asked for, in their order."""
    return [event for event in events if event["symbol"] in told and told[event["symbol"]].news((event,))]


def _utc_day(moment: MarketTime) -> Day:
    return Day(moment // DAY_US)
