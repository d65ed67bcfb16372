"""The part that polls of all streams share: a task, one request at a time, and single values rejected once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from infra.runtime.clock import Market
from producers.plan.plan import BarsTask, QuotesTask
from producers.raw.shell.topics import RawTopics
from producers.routing.evidence import AnswerEvidence
from producers.vendors.answers import Response
from schemas.clocks import MarketTime

Task = TypeVar("Task", BarsTask, QuotesTask)


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
        self.symbols = symbols
        self.turn = asyncio.Lock()
        self._task: Task = task
        self._raw = raw
        self._market = market
        self._rejections = Rejections(raw, self.topic, task.provider)

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
