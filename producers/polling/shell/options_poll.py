"""One poll of an underlying's option chain: vendor → raw topic. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.runtime.clock import Market, wall_us
from producers.http.shell.waiting import timed
from producers.plan.tasks import OptionsTask
from producers.polling.chains import (
    ExpiryRange,
    ToldSlices,
    nearest_slices,
    next_chain_due,
    parts,
    ranges_asked,
)
from producers.polling.shell.polls import Polled, Rejections
from producers.polling.shell.present_poll import PresentPoll
from producers.raw.blocks import blank_block, place
from producers.raw.missed import NOT_OFFERED, cause_of
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import entries_evidence
from producers.vendors.answers import Answer, ChainRequest, RejectedValue, Response
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, MarketTime, WallTime, day_of
from schemas.errors import MarketDataError, NoData
from schemas.intervals import DAY_US
from schemas.records import Event
from schemas.streams import OPTION_STREAM

log = logging.getLogger(__name__)


class ChainSource(Protocol):
    """A vendor's option chains."""

    async def option_chain(self, asked: ChainRequest) -> Response:
        """Return the slices of some expiries."""

    async def option_expiries(self, symbol: str) -> Sequence[Day]:
        """Return the expiries that are listed."""


@dataclass(slots=True)
class _Round:
    """One poll as it is answered, expiry by expiry; one that failed goes on where it had come."""

    begun: MarketTime
    is_far: bool
    left: list[ExpiryRange]
    endpoint: str = "options"
    received_time: WallTime = field(default_factory=wall_us)
    latency_s: float = 0.0
    seen: int = 0  # slices that the vendor gave
    news: int = 0
    rejected: list[RejectedValue] = field(default_factory=list)

    @property
    def is_missing(self) -> bool:
        """Whether the underlying has no options at all, as far as the vendor says."""
        return self.is_far and not self.seen


class OptionsPoll(PresentPoll[OptionsTask]):
    """The option chain of one underlying."""

    stream = OPTION_STREAM
    topic = OPTION_STREAM.raw_topic

    def __init__(
        self,
        task: OptionsTask,
        source: ChainSource,
        raw: RawTopics,
        *,
        market: Market,
        calendar: Calendar,
        phase_us: int,
    ) -> None:
        """Poll while options are traded by `calendar`; `phase_us` (µs) is this task's place within the cadence."""
        super().__init__(task, (task.symbol,), raw, market)
        self._told = ToldSlices()
        # apart from those of nearer answers
        self._far_rejections = Rejections(raw, self.topic, task.provider)
        self._round: _Round | None = None
        self._far_asked: MarketTime | None = None
        self._listed: Sequence[Day] | None = None
        self._spot: float | None = None
        self.exchange(task, source, calendar, phase_us)

    def exchange(self, task: OptionsTask, source: ChainSource, calendar: Calendar, phase_us: int) -> None:
        """Go on by another cadence, source or calendar for the same underlying."""
        self._task, self._source, self.calendars, self.phase_us = task, source, (calendar,), phase_us

    async def poll(
        self,
        symbols: Sequence[str],
        *,
        probed: Sequence[str] = (),  # noqa: ARG002 - there is only one
        job_id: str = "",
    ) -> Polled:
        """Fetch and publish what changed; raises the vendor's errors, after which the next goes on with what is left."""
        now = self._market.now_us()  # before asking: until then at least its answer is the state of things
        try:
            turn = await self._begun(now)
            while turn.left:
                await self._ask(turn, turn.left[0], job_id)
                turn.left.pop(0)
        except MarketDataError as error:
            await self._not_watched(symbols, cause_of(error), now)
            raise
        await self._ended(turn, now, job_id)
        return Polled(
            due_us=MarketTime(now + DAY_US) if turn.is_missing else self.next_due(),
            evidence=entries_evidence(
                symbols, symbols if turn.is_missing else (), latency_s=turn.latency_s, every_us=self.every_us
            ),
            events={self._task.symbol: turn.news},
        )

    async def probe(self, symbols: Sequence[str]) -> Polled:
        """Ask for the nearest expiries only to see how the answer is; nothing is published."""
        today = self._today(self._market.now_us())
        near = ExpiryRange(today, Day(today + self._task.near_days))
        _, latency_s = await timed(self._source.option_chain(self._request(near)))
        evidence = entries_evidence(symbols, (), latency_s=latency_s, every_us=self.every_us)
        return Polled(due_us=self.next_due(), evidence=evidence)

    def _due_after(self, moment: MarketTime) -> MarketTime:
        (calendar,) = self.calendars
        return next_chain_due(moment, calendar, every_us=self.every_us, phase_us=self.phase_us)

    async def _begun(self, now: MarketTime) -> _Round:
        """Return the poll that was begun and failed within this cadence, else a new one."""
        task, before = self._task, self._round
        if before is not None and 0 <= now - before.begun < self.every_us:
            return before
        asked = self._far_asked
        is_far = asked is None or not 0 <= now - asked < task.far_every_us
        if task.is_by_expiry and (is_far or self._listed is None):
            try:
                self._listed = await self._source.option_expiries(task.symbol)
            except NoData:
                self._listed = ()
        left = ranges_asked(
            self._today(now),
            self._listed if task.is_by_expiry else None,
            near_days=None if is_far else task.near_days,
            most=task.max_expiries,
        )
        self._round = _Round(now, is_far, left)
        return self._round

    async def _ask(self, turn: _Round, asked: ExpiryRange, job_id: str) -> None:
        try:
            response, latency_s = await timed(self._source.option_chain(self._request(asked)))
        except NoData:
            return
        turn.latency_s, turn.endpoint = max(turn.latency_s, latency_s), response.endpoint
        turn.received_time, turn.rejected = (
            response.received_time,
            [*turn.rejected, *response.answer.rejected],
        )
        own = [event for event in response.answer.events if event["symbol"] == self._task.symbol]
        slices = nearest_slices(own, self._task.max_expiries)
        turn.seen += len(slices)
        blank = blank_block(self.provider, response.endpoint, response.received_time, job_id=job_id)
        for part in parts(self._told.news(slices)):
            await self._raw.publish(self.topic, place(blank, part, self._raw.partitions))
            self._told.confirmed(part, asked.first)
            turn.news += len(part)
        self._spot = next(filter(None, map(_spot_of, slices)), self._spot)

    async def _ended(self, turn: _Round, now: MarketTime, job_id: str) -> None:
        """Tell what was rejected and what polls before missed; the whole chain is known as of now."""
        self._round = None
        if turn.is_far:
            self._far_asked = now
        said = Response(
            endpoint=turn.endpoint, received_time=turn.received_time, answer=Answer(rejected=turn.rejected)
        )
        await (self._far_rejections if turn.is_far else self._rejections).publish(said)
        served = self._streams(self.symbols)
        if turn.is_missing:
            log.warning(
                "symbol_without_options", extra={"provider": self.provider, "symbol": self._task.symbol}
            )
            await self._not_watched(self.symbols, NOT_OFFERED, now)
            return
        if holes := self._missed(served, now):
            blank = blank_block(self.provider, turn.endpoint, turn.received_time, job_id=job_id)
            await self._raw.publish(self.topic, place(blank, [], self._raw.partitions, holes))
        self._raw.watched.note(served, now)

    def _request(self, asked: ExpiryRange) -> ChainRequest:
        task, strikes = self._task, None
        if task.moneyness is not None and self._spot is not None:
            strikes = (task.moneyness[0] * self._spot, task.moneyness[1] * self._spot)
        return ChainRequest(symbol=task.symbol, first=asked.first, last=asked.last, strikes=strikes)

    def _today(self, now: MarketTime) -> Day:
        (calendar,) = self.calendars
        return day_of(calendar.date_of(now))


def _spot_of(event: Event) -> float | None:
    bid, ask = event["underlying_bid"], event["underlying_ask"]
    return event["underlying_price"] or ((bid + ask) / 2 if bid and ask else None)
