"""One poll of some symbols' quotes: vendor → raw topic. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from infra.runtime.clock import Market
from producers.http.shell.waiting import timed
from producers.plan.tasks import QuotesTask
from producers.polling.schedule import next_due
from producers.polling.shell.polls import Polled, TaskPoll
from producers.raw.blocks import blank_block, place
from producers.raw.missed import NOT_OFFERED, cause_of, since_failure
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import AnswerEvidence, quotes_evidence
from producers.vendors.answers import Response
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.errors import MarketDataError
from schemas.records import Discontinuity, Event
from schemas.streams import QUOTE_STREAM, StreamId
from schemas.topics import RAW_QUOTES

# So many more may pass after the one due, before polls that failed are told: three between two answers.
LATE_CADENCES = 2

log = logging.getLogger(__name__)


class QuotesSource(Protocol):
    """A vendor's quotes."""

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of some symbols."""


class QuotesPoll(TaskPoll[QuotesTask]):
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
        phase_us: int,
        newest: dict[str, Event] | None = None,
    ) -> None:
        """Poll while one of `calendars` is open; `phase_us` (µs) is this task's place within the cadence.

        `newest` holds what was last delivered of each symbol of this provider; its polls share it.
        """
        super().__init__(task, task.symbols, raw, market)
        self._delivered = {} if newest is None else newest
        self._missing: frozenset[str] = frozenset()
        self.exchange(task, source, calendars, phase_us)

    def exchange(
        self, task: QuotesTask, source: QuotesSource, calendars: Sequence[Calendar], phase_us: int
    ) -> None:
        """Go on by another cadence, source or calendars for the same symbols."""
        self._task, self._source, self._calendars, self.phase_us = task, source, calendars, phase_us

    async def poll(self, symbols: Sequence[str], *, probed: Sequence[str] = (), job_id: str = "") -> Polled:
        """Fetch `symbols`, some of this task's, and publish what changed; raises the vendor's errors.

        What is `probed` is asked for in the same request, and only judged.
        """
        now = self._market.now_us()  # before asking: until then at least its answer is the state of things
        try:
            response, evidence = await self._ask([*symbols, *probed])
        except MarketDataError as error:
            await self._not_watched(symbols, cause_of(error), now)
            raise
        await self._rejections.publish(response)
        asked = frozenset(symbols)
        missing = asked.intersection(response.answer.missing)
        served = self._streams(symbol for symbol in symbols if symbol not in missing)
        news = [
            event
            for event in response.answer.events
            if event["symbol"] in asked and self._delivered.get(event["symbol"]) != event
        ]
        blank = blank_block(self._task.provider, response.endpoint, response.received_time, job_id=job_id)
        holes = self._missed(served, now)
        await self._raw.publish(RAW_QUOTES, place(blank, news, self._raw.partitions, holes))
        self._delivered.update((event["symbol"], event) for event in news)
        self._raw.watched.note(served, now)
        if missing:
            await self._not_watched(sorted(missing), NOT_OFFERED, now)
        self._tell_missing(missing)
        events = dict.fromkeys((event["symbol"] for event in news), 1)
        return Polled(due_us=self.next_due(), evidence=evidence, events=events)

    async def probe(self, symbols: Sequence[str]) -> Polled:
        """Ask only to see how the answer is; nothing is published."""
        _, evidence = await self._ask(symbols)
        return Polled(due_us=self.next_due(), evidence=evidence)

    def next_due(self) -> MarketTime:
        """Return the market time of the next poll."""
        return self._due_after(self._market.now_us())

    def _due_after(self, moment: MarketTime) -> MarketTime:
        every_us, phase_us = self._task.every_us, self.phase_us
        return min(next_due(moment, each, every_us=every_us, phase_us=phase_us) for each in self._calendars)

    def _missed(self, served: Sequence[StreamId], now: MarketTime) -> list[Discontinuity]:
        """Return what polls that failed before have cost of streams that are served again."""
        if not self._market.paced:
            return []  # time stands: nothing is late
        return since_failure(self._raw.watched.interrupted(served), now, self._late_after)

    async def _not_watched(self, symbols: Iterable[str], cause: str, now: MarketTime) -> None:
        await self._unanswered(self._streams(symbols), cause, now, self._late_after, self._calendars)

    def _late_after(self, watched: MarketTime) -> int:
        """Return from when on (µs) a poll after one at a moment was late."""
        return self._due_after(watched) + LATE_CADENCES * self._task.every_us

    def _streams(self, symbols: Iterable[str]) -> list[StreamId]:
        return [StreamId(QUOTE_STREAM.name, "", self.provider, symbol) for symbol in symbols]

    async def _ask(self, symbols: Sequence[str]) -> tuple[Response, AnswerEvidence]:
        response, latency_s = await timed(self._source.quotes(symbols))
        return response, quotes_evidence(
            symbols,
            response.answer.events,
            self._market.horizon_us(),
            latency_s=latency_s,
            every_us=self._task.every_us,
        )

    def _tell_missing(self, missing: frozenset[str]) -> None:
        for symbol in sorted(missing - self._missing):
            log.warning("symbol_without_quote", extra={"provider": self.provider, "symbol": symbol})
        self._missing = missing
