"""The part that polls of all streams share: a task, one request at a time, and single values rejected once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from infra.runtime.clock import Market, wall_us
from producers.plan.tasks import PolledTask
from producers.polling.schedule import AT_ONCE, is_polling_time
from producers.raw.blocks import blank_block, place
from producers.raw.missed import since_failure
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import AnswerEvidence
from producers.vendors.answers import Response
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.intervals import HOUR_US
from schemas.streams import StreamId

LASTING_US = HOUR_US  # so long must nothing have been answered before it is told while it lasts
UNANSWERED = "unanswered"  # the endpoint of blocks that came from none

Task = TypeVar("Task", bound=PolledTask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Result of a poll: when to poll next (or AT_ONCE), and what the answer says of its provider."""

    due_us: MarketTime
    evidence: AnswerEvidence
    events: Mapping[str, int] = field(default_factory=dict)  # published, by symbol


class TaskPoll(Generic[Task]):
    """A task of one provider, and what its polls need; what is polled and how is its heirs' to say."""

    topic: str

    def __init__(self, task: Task, symbols: Sequence[str], raw: RawTopics, market: Market) -> None:
        """Publish to `topic`; `turn` is held by the one request under way."""
        self.provider: str = task.provider
        self.capability = task.capability
        self.routed_as = task.routed_as
        self.symbols = symbols
        self.turn = asyncio.Lock()
        self._task: Task = task
        self._raw = raw
        self._market = market
        self._rejections = Rejections(raw, self.topic, task.provider)

    async def _unanswered(
        self,
        streams: Sequence[StreamId],
        cause: str,
        now: MarketTime,
        late_us: Callable[[MarketTime], int],
        calendars: Sequence[Calendar],
        begun: int = 0,
    ) -> None:
        """Note that these could not be watched; tell what has gone on for an hour, for it may never be answered again.

        It began at `begun` (µs) at the earliest. `late_us` says from when on a poll after one at a moment was late. A series of which another provider was
        watched last and not this one is that one's to tell.
        """
        watched = self._raw.watched
        watched.failed(streams, cause)
        if not self._market.paced or not any(is_polling_time(now, calendar) for calendar in calendars):
            return
        lasting = [
            each
            for each in watched.interrupted(streams)
            if watched.knows(each[0]) and now - max(each[1], begun) >= LASTING_US and now > late_us(each[1])
        ]
        if lasting:
            blank = blank_block(self.provider, UNANSWERED, wall_us())
            holes = since_failure(lasting, now, late_us)
            await self._raw.publish(self.topic, place(blank, [], self._raw.partitions, holes))
            watched.note([stream for stream, _, _ in lasting], now)  # what is told is not missed twice

    def first_due(self) -> MarketTime:
        """Return when it is polled first."""
        return AT_ONCE

    @property
    def task(self) -> Task:
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
