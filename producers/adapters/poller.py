"""Polls the tasks of one provider on the market clock, with bounded concurrency; decides what follows a failure."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

from infra.runtime.clock import monotonic_s
from infra.runtime.lifecycle import Health
from producers.adapters.market import Market
from producers.adapters.polls import Polled
from producers.adapters.raw_topics import RawTopics
from producers.adapters.registry import Registry, Turn
from producers.adapters.status import Status
from producers.domain.answers import MalformedResponse
from producers.domain.cadence import Schedule
from schemas.errors import (
    BrokerUnavailable,
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    TransientError,
    UnknownSymbol,
)

TICK_S = 0.05
FLOOR_S = 0.2  # of wall time between two polls of one task
UNPACED_BACKLOG_S = 0.01  # without a clock a backlog is walked as fast as the vendor answers
UNPACED_EVERY_S = 1.0  # without a clock the cadence has nothing to run on
QUEUED_PER_WORKER = 4
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REFUSED_S = 60.0
UNKNOWN_SYMBOL_S = 900.0
STALL_S = 30.0
PROBED_TASKS = 3  # of a capability: the same few, so that what providers say of them can be compared

log = logging.getLogger(__name__)


class Poll(Protocol):
    """One task that is polled again and again."""

    provider: str
    capability: str
    topic: str
    symbols: Sequence[str]

    async def poll(self) -> Polled:
        """Poll once and publish."""

    async def probe(self) -> Polled:
        """Ask once, only to see how the provider answers."""

    def next_due(self) -> int:
        """Return the market time (µs) of the next poll where this one is left out."""


class Poller:
    """Polls the tasks of one provider, each in its own time, with at most `workers` requests in flight."""

    def __init__(
        self,
        provider: str,
        polls: Sequence[Poll],
        *,
        market: Market,
        raw: RawTopics,
        status: Status,
        registry: Registry,
        health: Health,
        workers: int,
    ) -> None:
        """Poll every task once at once, spread by the number of workers, then by its cadence.

        Before each poll `registry` says whether this provider serves, is probed, or is left alone.
        """
        self._provider = provider
        self._polls = polls
        self._market = market
        self._raw = raw
        self._status = status
        self._registry = registry
        self._health = health
        self._workers = workers
        self._part = f"{provider}_polling"
        self._failures = [0] * len(polls)
        self._probing = frozenset(_first_of_each(polls))
        self._schedule = Schedule()
        self._queue: asyncio.Queue[int] = asyncio.Queue(workers * QUEUED_PER_WORKER)

    async def run(self) -> None:
        """Poll until cancelled; only a broken broker connection or a bug ends it otherwise."""
        self._health.expect(self._part, stall_after_s=STALL_S)
        now_s = monotonic_s()
        for number in range(len(self._polls)):
            self._schedule.add(number, due_us=0, not_before_s=now_s + number * TICK_S / self._workers)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatch(), name=f"{self._part}-dispatch")
            for worker in range(self._workers):
                tasks.create_task(self._work(), name=f"{self._part}-{worker}")

    async def _dispatch(self) -> None:
        while True:
            now_us, now_s = self._market.now_us(), monotonic_s()
            while not self._queue.full() and (number := self._schedule.take(now_us, now_s)) is not None:
                self._queue.put_nowait(number)
            self._health.report(self._part, ready=True, tasks=len(self._polls), queued=self._queue.qsize())
            await asyncio.sleep(TICK_S)

    async def _work(self) -> None:
        while True:
            number = await self._queue.get()
            due_us, pause_s = await self._turn(number)
            if not self._market.paced and due_us:
                due_us, pause_s = 0, max(pause_s, UNPACED_EVERY_S)
            self._schedule.add(number, due_us=due_us, not_before_s=monotonic_s() + pause_s)

    async def _turn(self, number: int) -> tuple[int, float]:
        """Poll once; return when next: market time (µs) and seconds of wall time, both of which must have passed."""
        poll = self._polls[number]
        turn = self._registry.turn(poll.capability, self._provider, may_probe=number in self._probing)
        if turn is Turn.SKIP:
            return poll.next_due(), FLOOR_S
        try:
            polled = await (poll.poll() if turn is Turn.SERVE else poll.probe())
        except BrokerUnavailable:
            raise  # the publisher is dead: a fresh process continues from the cursors
        except MalformedResponse as error:
            await self._dead_letter(poll, error)
            return self._failed(number, error)
        except (TransientError, ProviderRefused, UnknownSymbol) as error:
            return self._failed(number, error)
        self._failures[number] = 0
        self._status.succeeded(self._provider)
        self._registry.answered(poll.capability, self._provider, polled.evidence)
        return polled.due_us, FLOOR_S if self._market.paced or polled.due_us else UNPACED_BACKLOG_S

    def _failed(self, number: int, error: MarketDataError) -> tuple[int, float]:
        """Note a failure; nothing moved, so the same is asked for again after the pause returned."""
        poll = self._polls[number]
        self._status.failed(self._provider, error)
        self._registry.failed(poll.capability, self._provider, error)
        self._failures[number] += 1
        if self._failures[number] == 1:
            log.warning(
                "poll_failed",
                extra={
                    "provider": self._provider,
                    "symbols": ",".join(poll.symbols[:5]),
                    "error": str(error),
                },
            )
        if isinstance(error, UnknownSymbol):
            return 0, UNKNOWN_SYMBOL_S
        if isinstance(error, ProviderRefused):
            return 0, REFUSED_S
        backoff_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._failures[number], 10))
        if isinstance(error, ProviderThrottled):
            # At least as long as told, and not all tasks at the same moment.
            return 0, (error.retry_after_s or 0.0) + random.uniform(0, FIRST_BACKOFF_S)  # noqa: S311
        return 0, max(FLOOR_S, random.uniform(0, backoff_s))  # noqa: S311

    async def _dead_letter(self, poll: Poll, error: MalformedResponse) -> None:
        await self._raw.dead_letter(
            poll.topic,
            reason=error.reason,
            message=str(error),
            provider=poll.provider,
            symbol=poll.symbols[0] if len(poll.symbols) == 1 else "",
            received_time=error.received_time,
            payload=error.payload,
        )


def _first_of_each(polls: Sequence[Poll]) -> Iterator[int]:
    """Yield the numbers of the first few polls of each capability."""
    seen: dict[str, int] = {}
    for number, poll in enumerate(polls):
        seen[poll.capability] = seen.get(poll.capability, 0) + 1
        if seen[poll.capability] <= PROBED_TASKS:
            yield number
