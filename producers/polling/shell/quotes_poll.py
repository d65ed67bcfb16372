"""One poll of some symbols' quotes: vendor → raw topic. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from infra.runtime.clock import Market
from producers.http.shell.waiting import timed
from producers.plan.tasks import QuotesTask
from producers.polling.schedule import next_due
from producers.polling.shell.polls import Polled
from producers.polling.shell.present_poll import PresentPoll
from producers.raw.blocks import blank_block, place
from producers.raw.missed import NOT_OFFERED, cause_of
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import AnswerEvidence, quotes_evidence
from producers.vendors.answers import Response
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.errors import MarketDataError
from schemas.records import Event
from schemas.streams import QUOTE_STREAM
from schemas.topics import RAW_QUOTES

log = logging.getLogger(__name__)


class QuotesSource(Protocol):
    """A vendor's quotes."""

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of some symbols."""


class QuotesPoll(PresentPoll[QuotesTask]):
    """Quotes of some symbols, asked for in one request."""

    stream = QUOTE_STREAM
    topic = RAW_QUOTES

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
        self._task, self._source, self.calendars, self.phase_us = task, source, calendars, phase_us

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

    def _due_after(self, moment: MarketTime) -> MarketTime:
        every_us, phase_us = self._task.every_us, self.phase_us
        return min(next_due(moment, each, every_us=every_us, phase_us=phase_us) for each in self.calendars)

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
