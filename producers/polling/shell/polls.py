"""One poll of one task: vendor → raw topic. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from infra.runtime.clock import Market, monotonic_s
from producers.budget.windows import Purpose
from producers.plan.plan import BarsTask, QuotesTask
from producers.polling.position import BarsPosition, changed, delivered, is_caught_up, next_window
from producers.polling.schedule import next_due
from producers.raw.blocks import blank_block, place
from producers.raw.shell.topics import RawTopics
from producers.routing.choice import resume_position
from producers.routing.evidence import Evidence, bars_evidence, quotes_evidence
from producers.vendors.answers import PollWindow, Response
from schemas.calendar.sessions import Calendar
from schemas.intervals import slot_us
from schemas.records import Event
from schemas.topics import RAW_BARS, RAW_QUOTES, partition_count

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Result of a poll: when to poll next (market time, µs; 0 for at once), and what the answer says of its provider."""

    due_us: int
    evidence: Evidence
    events: Mapping[str, int] = field(default_factory=dict)  # published, by symbol


@dataclass(slots=True)
class Coverage:
    """Point up to which bars of one symbol were served (µs), and by whom last; shared by the polls of all its providers."""

    provider: str
    position: int


class BarsSource(Protocol):
    """A vendor's bars."""

    async def bars(
        self,
        symbol: str,
        interval: str,
        window: PollWindow,
        now: int,
        calendar: Calendar,
        *,
        purpose: Purpose = "live",
    ) -> Response:
        """Return the bars of a window."""


class QuotesSource(Protocol):
    """A vendor's quotes."""

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of some symbols."""


class BarsPoll:
    """Bars of one symbol, from its position on."""

    topic = RAW_BARS

    def __init__(
        self,
        task: BarsTask,
        source: BarsSource,
        raw: RawTopics,
        *,
        market: Market,
        calendar: Calendar,
        position: int | None,
        coverage: Coverage,
        offset: int,
    ) -> None:
        """Begin at `position` (µs; None: nothing was ever served), or where `coverage` says that another had come.

        `offset` (µs) is this task's place within the cadence.
        """
        self.provider: str = task.provider
        self.capability = task.capability
        self.symbols: Sequence[str] = (task.symbol,)
        self.is_behind = True  # for all this process knows
        self._raw = raw
        self._market = market
        self._step_us = slot_us(task.interval)
        self._coverage = coverage
        self._served = position is not None
        self._bars = BarsPosition(position=coverage.position if position is None else position)
        self._rejections = Rejections(raw, RAW_BARS, task.provider)
        self.turn = asyncio.Lock()
        self.exchange(task, source, calendar, offset)

    def exchange(self, task: BarsTask, source: BarsSource, calendar: Calendar, offset: int) -> None:
        """Go on by another cadence, overlap, source or calendar for the same bars; the position stays."""
        self._task, self._source, self._calendar, self.offset = task, source, calendar, offset

    @property
    def task(self) -> BarsTask:
        """The task that is polled."""
        return self._task

    @property
    def tier(self) -> str:
        """The tier of its symbols."""
        return self._task.tier

    @property
    def every_us(self) -> int:
        """The cadence, µs of market time."""
        return self._task.every_us

    async def poll(self, symbols: Sequence[str], *, job_id: str = "") -> Polled:  # noqa: ARG002 - there is only one
        """Fetch and publish what changed, in the name of a job where there is one; raises the vendor's errors."""
        task, step_us = self._task, self._step_us
        if self._coverage.provider != self.provider:
            self._take_over()
        now = self._market.horizon_us()  # before asking: a bar is final only if it was over by then
        window = next_window(self._bars, now, step_us=step_us, overlap_us=task.overlap_us)
        response, evidence = await self._ask(window, now)
        await self._rejections.publish(response)
        news = changed(self._bars, response.answer.events)
        blank = blank_block(task.provider, response.endpoint, response.received_time, job_id=job_id)
        await self._raw.publish(RAW_BARS, place(blank, news, partition_count()))
        self._bars = delivered(
            self._bars, window, response.answer.events, now, step_us=step_us, overlap_us=task.overlap_us
        )
        self._served = True
        self._coverage.provider, self._coverage.position = self.provider, self._bars.position
        self.is_behind = not is_caught_up(window, now)
        return Polled(
            due_us=0 if self.is_behind else self.next_due(),
            evidence=evidence,
            events={task.symbol: len(news)},
        )

    async def backfill(self, start: int, end: int, *, job_id: str) -> int:
        """Fetch the bars of [start, end) (µs), publish them as a backfill, and return how many; no position moves.

        Raises the vendor's errors; what came before one is published.
        """
        position, count = start - start % self._step_us, 0
        while position < end:
            now = self._market.horizon_us()
            window = next_window(
                BarsPosition(position=position), min(now, end - 1), step_us=self._step_us, overlap_us=0
            )
            if window.end <= position:
                break  # the rest lies ahead of the market
            response, _ = await self._ask(window, now, "backfill")
            await self._rejections.publish(response)
            events = [event for event in response.answer.events if start <= event["event_time"] < end]
            blank = blank_block(self.provider, response.endpoint, response.received_time, job_id=job_id)
            placed = place(replace(blank, route="backfill"), events, partition_count())
            await self._raw.publish(RAW_BARS, placed)
            position, count = window.end, count + len(events)
        return count

    async def probe(self) -> Polled:
        """Ask for the newest bars only to see how they are; nothing is published and no position moves."""
        now = self._market.horizon_us()
        window = next_window(
            BarsPosition(position=now), now, step_us=self._step_us, overlap_us=self._task.overlap_us
        )
        _, evidence = await self._ask(window, now)
        return Polled(due_us=self.next_due(), evidence=evidence)

    def next_due(self) -> int:
        """Return the market time (µs) of the next poll."""
        return next_due(
            self._market.now_us(), self._calendar, every_us=self._task.every_us, offset=self.offset
        )

    async def _ask(
        self, window: PollWindow, now: int, purpose: Purpose = "live"
    ) -> tuple[Response, Evidence]:
        task, begun_s = self._task, monotonic_s()
        response = await self._source.bars(
            task.symbol, task.interval, window, now, self._calendar, purpose=purpose
        )
        return response, bars_evidence(
            response.answer.events,
            now,
            latency_s=monotonic_s() - begun_s,
            every_us=task.every_us,
            step_us=self._step_us,
        )

    def _take_over(self) -> None:
        own = self._bars.position if self._served else None
        self._bars = replace(self._bars, position=resume_position(own, self._coverage.position))


class QuotesPoll:
    """Quotes of some symbols, asked for in one request."""

    topic = RAW_QUOTES
    is_behind = False  # the present is all there is

    def __init__(
        self,
        task: QuotesTask,
        source: QuotesSource,
        raw: RawTopics,
        *,
        market: Market,
        calendars: Sequence[Calendar],
        offset: int,
        newest: dict[str, Event] | None = None,
    ) -> None:
        """Poll while one of `calendars` is open; `offset` (µs) is this task's place within the cadence.

        `newest` holds what was last delivered of each symbol of this provider; its polls share it.
        """
        self.provider: str = task.provider
        self.capability = task.capability
        self.symbols = task.symbols
        self._raw = raw
        self._market = market
        self._delivered = {} if newest is None else newest
        self._missing: frozenset[str] = frozenset()
        self.turn = asyncio.Lock()
        self._rejections = Rejections(raw, RAW_QUOTES, task.provider)
        self.exchange(task, source, calendars, offset)

    def exchange(
        self, task: QuotesTask, source: QuotesSource, calendars: Sequence[Calendar], offset: int
    ) -> None:
        """Go on by another cadence, source or calendars for the same symbols."""
        self._task, self._source, self._calendars, self.offset = task, source, calendars, offset

    @property
    def task(self) -> QuotesTask:
        """The task that is polled."""
        return self._task

    @property
    def tier(self) -> str:
        """The tier of its symbols."""
        return self._task.tier

    @property
    def every_us(self) -> int:
        """The cadence, µs of market time."""
        return self._task.every_us

    async def poll(self, symbols: Sequence[str], *, job_id: str = "") -> Polled:
        """Fetch `symbols`, some of this task's, and publish what changed; raises the vendor's errors."""
        response, evidence = await self._ask(symbols)
        await self._rejections.publish(response)
        news = [event for event in response.answer.events if self._delivered.get(event["symbol"]) != event]
        blank = blank_block(self._task.provider, response.endpoint, response.received_time, job_id=job_id)
        await self._raw.publish(RAW_QUOTES, place(blank, news, partition_count()))
        self._delivered.update((event["symbol"], event) for event in news)
        self._tell_missing(frozenset(response.answer.missing))
        events = dict.fromkeys((event["symbol"] for event in news), 1)
        return Polled(due_us=self.next_due(), evidence=evidence, events=events)

    async def probe(self) -> Polled:
        """Ask only to see how the answer is; nothing is published."""
        _, evidence = await self._ask(self.symbols)
        return Polled(due_us=self.next_due(), evidence=evidence)

    def next_due(self) -> int:
        """Return the market time (µs) of the next poll."""
        now, every_us = self._market.now_us(), self._task.every_us
        return min(next_due(now, each, every_us=every_us, offset=self.offset) for each in self._calendars)

    async def _ask(self, symbols: Sequence[str]) -> tuple[Response, Evidence]:
        begun_s = monotonic_s()
        response = await self._source.quotes(symbols)
        return response, quotes_evidence(
            symbols,
            response.answer.events,
            self._market.horizon_us(),
            latency_s=monotonic_s() - begun_s,
            every_us=self._task.every_us,
        )

    def _tell_missing(self, missing: frozenset[str]) -> None:
        for symbol in sorted(missing - self._missing):
            log.warning("symbol_without_quote", extra={"provider": self.provider, "symbol": symbol})
        self._missing = missing


class Rejections:
    """Dead-letters what single values were rejected; the same value asked for again is not dead-lettered again."""

    def __init__(self, raw: RawTopics, topic: str, provider: str) -> None:
        """Write to the dead-letter twin of `topic`."""
        self._raw = raw
        self._topic = topic
        self._provider = provider
        self._previous: frozenset[bytes] = frozenset()

    async def publish(self, response: Response) -> None:
        """Publish what the previous response had not already."""
        for rejected in response.answer.rejected:
            if rejected.payload not in self._previous:
                await self._raw.dead_letter(
                    self._topic,
                    reason=rejected.reason,
                    message=rejected.message,
                    provider=self._provider,
                    symbol=rejected.symbol,
                    received_time=response.received_time,
                    payload=rejected.payload,
                )
        self._previous = frozenset(rejected.payload for rejected in response.answer.rejected)
