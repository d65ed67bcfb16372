"""One poll of one symbol's bars: vendor → raw topic. What is remembered moves only after Kafka has confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from infra.runtime.clock import Market, wall_us
from producers.budget.windows import Purpose
from producers.http.shell.waiting import timed
from producers.plan.tasks import BarsTask
from producers.polling.position import BarsPosition, changed, delivered, is_caught_up, next_window
from producers.polling.schedule import AT_ONCE, next_due
from producers.polling.shell.polls import Polled, Rejections, TaskPoll
from producers.raw.blocks import Placed, answering, blank_block, place
from producers.raw.missed import cause_of, while_elsewhere
from producers.raw.shell.topics import RawTopics
from producers.routing.choice import resume_position
from producers.routing.evidence import AnswerEvidence, bars_evidence
from producers.vendors.answers import BarsRequest, PollWindow, Response
from schemas.answered import AnsweredStretch
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.errors import MarketDataError, ProviderDeclined
from schemas.intervals import SECOND_US, slot_us
from schemas.topics import RAW_BARS

NOWHERE = EventTime(0)
TAKE_OVER = "take-over"  # the endpoint of blocks that came from none


@dataclass(slots=True)
class Coverage:
    """Point up to which bars of one symbol were served, and by whom last; shared by the polls of all its providers."""

    provider: str
    position: EventTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """Starts of the bars a backfill published, the stretches of which they are all there is, and up to where was asked.

    `is_lacking`: some of its values could not be used.
    """

    starts: Sequence[EventTime] = ()
    answered: Sequence[AnsweredStretch] = ()
    asked_to: EventTime = NOWHERE
    is_lacking: bool = False


class BarsSource(Protocol):
    """A vendor's bars."""

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars of a window, oldest first."""

    async def bars_of(self, asked: Sequence[BarsRequest]) -> Mapping[str, Response | MarketDataError]:
        """Return the bars of several symbols, or what became of one alone."""


class BarsPoll(TaskPoll[BarsTask]):
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
        position: EventTime | None,
        coverage: Coverage,
        phase_us: int,
    ) -> None:
        """Begin at `position` (None: nothing was ever served), or where `coverage` says that another had come.

        `phase_us` (µs) is this task's place within the cadence.
        """
        super().__init__(task, (task.symbol,), raw, market)
        self.is_behind = True  # for all this process knows
        self._failing_since: MarketTime | None = None
        self._step_us = slot_us(task.interval)
        self._coverage = coverage
        self._served = position is not None
        self._bars = BarsPosition(position=coverage.position if position is None else position)
        self.exchange(task, source, calendar, phase_us)

    @property
    def source(self) -> BarsSource:
        """Whom it asks."""
        return self._source

    def exchange(self, task: BarsTask, source: BarsSource, calendar: Calendar, phase_us: int) -> None:
        """Go on by another cadence, overlap, source or calendar for the same bars; the position stays."""
        self._task, self._source, self._calendar, self.phase_us = task, source, calendar, phase_us

    async def poll(
        self,
        symbols: Sequence[str],  # noqa: ARG002 - there is only one
        *,
        probed: Sequence[str] = (),  # noqa: ARG002 - likewise
        job_id: str = "",
    ) -> Polled:
        """Fetch and publish what changed, in the name of a job where there is one; raises the vendor's errors."""
        task, step_us = self._task, self._step_us
        if self._coverage.provider != self.provider:
            await self._take_over()
        now = self._market.horizon_us()  # before asking: a bar is final only if it was over by then
        window = next_window(self._bars, now, step_us=step_us, overlap_us=task.overlap_us)
        try:
            response, evidence = await self._ask(window, now)
        except MarketDataError as error:
            # What lay behind before that was not missed: it is only fetched later.
            begun = self._failing_since = self._failing_since or now
            await self._unanswered(
                [task.stream], cause_of(error), now, self._due_after, [self._calendar], begun
            )
            raise
        self._failing_since = None
        await self._rejections.publish(response)
        news = changed(self._bars, response.answer.events)
        blank = blank_block(task.provider, response.endpoint, response.received_time, job_id=job_id)
        await self._raw.publish(RAW_BARS, place(blank, news, self._raw.partitions))
        self._bars = delivered(
            self._bars, window, response.answer.events, now, step_us=step_us, overlap_us=task.overlap_us
        )
        self._served = True
        self._raw.watched.note([task.stream], min(window.end, now))
        self._coverage.provider, self._coverage.position = self.provider, self._bars.position
        self.is_behind = not is_caught_up(window, now)
        return Polled(
            due_us=AT_ONCE if self.is_behind else self.next_due(),
            evidence=evidence,
            events={task.symbol: len(news)},
        )

    async def backfill(self, start: MarketTime, end: MarketTime, *, job_id: str) -> Backfilled:
        """Fetch the bars of [start, end), publish them as a backfill, and return what they are; no position moves.

        Raises the vendor's errors; what came before one is published.
        """
        position, came = EventTime(start - start % self._step_us), Backfilled()
        rejections = Rejections(self._raw, RAW_BARS, self.provider)  # apart from those of live polls
        while position < end and (asked := self.past(position, end)) is not None:
            response, _ = await self._ask(asked.window, asked.now, "backfill")
            await rejections.publish(response)
            placed, some = self.past_blocks(asked, response, start, end, job_id=job_id)
            await self._raw.publish(RAW_BARS, placed)
            position = asked.window.end
            came = Backfilled(
                starts=(*came.starts, *some.starts),
                answered=(*came.answered, *some.answered),
                asked_to=some.asked_to,
                is_lacking=came.is_lacking or some.is_lacking,
            )
        return came

    def past(self, start: EventTime, end: MarketTime) -> BarsRequest | None:
        """Return what to ask for of [start, end) first; None where that lies ahead of the market."""
        now = self._market.horizon_us()
        newest = MarketTime(min(now, end - 1))
        window = next_window(BarsPosition(position=start), newest, step_us=self._step_us, overlap_us=0)
        return None if window.end <= start else self._request(window, now, "backfill")

    def past_blocks(
        self, asked: BarsRequest, response: Response, start: MarketTime, end: MarketTime, *, job_id: str
    ) -> tuple[list[Placed], Backfilled]:
        """Return the part of an answer that lies in [start, end), as blocks and in short; raise ProviderDeclined."""
        if response.answer.too_old:
            said = f"{self.provider} keeps no {self.capability} of {self._task.symbol} of so long ago"
            raise ProviderDeclined(f"{said}; take another provider for them")
        window, now = asked.window, asked.now
        events = [event for event in response.answer.events if start <= event["event_time"] < end]
        blank = blank_block(self.provider, response.endpoint, response.received_time, job_id=job_id)
        blank = replace(blank, route="backfill")
        delay_us = response.answer.delay_s * SECOND_US
        # of a feed that is late the bar in progress there is not over
        shown_us = now - delay_us - self._step_us if delay_us else now
        answered = self._answered(response, max(start, window.start), min(window.end, end, shown_us))
        placed = (
            place(blank, events, self._raw.partitions)
            if answered is None
            else answering(blank, events, self._raw.partitions, answered)
        )
        return placed, Backfilled(
            starts=[event["event_time"] for event in events],
            answered=() if answered is None else (answered,),
            asked_to=EventTime(min(window.end, end, now)),
            is_lacking=bool(response.answer.rejected or response.answer.missing),
        )

    def _answered(self, response: Response, start: int, end: int) -> AnsweredStretch | None:
        """Return the stretch of which a response is all there is; None where rows of it were refused, or it is empty."""
        if response.answer.rejected or response.answer.missing or start >= end:
            return None
        stream = self._task.stream
        return AnsweredStretch(
            symbol=stream.symbol,
            interval=stream.interval,
            from_time=EventTime(start),
            to_time=EventTime(end),
        )

    async def probe(self, symbols: Sequence[str]) -> Polled:  # noqa: ARG002 - there is only one
        """Ask for the newest bars only to see how they are; nothing is published and no position moves."""
        now = self._market.horizon_us()
        window = next_window(
            BarsPosition(position=EventTime(now)),
            now,
            step_us=self._step_us,
            overlap_us=self._task.overlap_us,
        )
        _, evidence = await self._ask(window, now)
        return Polled(due_us=self.next_due(), evidence=evidence)

    def next_due(self) -> MarketTime:
        """Return the market time of the next poll."""
        return self._due_after(self._market.now_us())

    def _due_after(self, moment: MarketTime) -> MarketTime:
        return next_due(moment, self._calendar, every_us=self._task.every_us, phase_us=self.phase_us)

    def _request(self, window: PollWindow, now: MarketTime, purpose: Purpose) -> BarsRequest:
        return BarsRequest(
            symbol=self._task.symbol,
            interval=self._task.interval,
            window=window,
            now=now,
            calendar=self._calendar,
            purpose=purpose,
        )

    async def _ask(
        self, window: PollWindow, now: MarketTime, purpose: Purpose = "live"
    ) -> tuple[Response, AnswerEvidence]:
        task, asked = self._task, self._request(window, now, purpose)
        response, latency_s = await timed(self._source.bars(asked))
        return response, bars_evidence(
            task.symbol,
            response.answer.events,
            now,
            latency_s=latency_s,
            every_us=task.every_us,
            step_us=self._step_us,
            is_present=is_caught_up(window, now),
            delay_s=response.answer.delay_s,
        )

    async def _take_over(self) -> None:
        """Go on where the other provider had come, and say so before anything else where that leaves bars out."""
        own = self._bars.position if self._served else None
        resumed = resume_position(own, self._coverage.position)
        left_out = while_elsewhere(self._task.stream, own, resumed)
        blank = blank_block(self.provider, TAKE_OVER, wall_us())
        await self._raw.publish(RAW_BARS, place(blank, [], self._raw.partitions, left_out))
        self._bars = replace(self._bars, position=resumed)
