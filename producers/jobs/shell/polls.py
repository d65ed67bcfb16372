"""Jobs done with the polls of this process: the positions, memory and health of the local schedule; backfills are queued."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from producers.plan.tasks import PollKey
from producers.polling.shell.assignment import Polls
from producers.polling.shell.attempts import Attempts, Poll
from producers.polling.shell.polls import Polled
from producers.polling.slots import Outcome
from schemas.clocks import MarketTime
from schemas.configuration.backfill import Backfill
from schemas.configuration.model import Configuration
from schemas.errors import MarketDataError, ProviderThrottled, UnknownSymbol
from schemas.records import NO_MARKET_TIME, Job
from schemas.streams import ACTION_STREAM, MACRO_STREAM, QUOTE_STREAM

DUPLICATE = Outcome(status="duplicate", reason="its slot was polled already")


Asking = Callable[[Job, str, Backfill], Awaitable[Outcome]]
"""Has a job fetched from a provider, within these bounds."""


class Collector(Protocol):
    """The collection of this process, and for whom; `own` and `sweep` are Collecting's."""

    polls: Polls
    attempts: Attempts
    configuration: Configuration | None

    async def own(self, partitions: frozenset[int], slots: Mapping[PollKey, MarketTime]) -> None:
        """Poll and stream the symbols of exactly these partitions from now on."""

    def sweep(self, partitions: frozenset[int]) -> None:
        """Follow the own schedule for exactly these of the owned partitions from now on."""


@runtime_checkable
class AskedAnew(Protocol):
    """A poll of what a source can be asked for again."""

    def ask_from(self, start: MarketTime) -> None:
        """Ask with the next poll for all that was said since `start`, however much of it was answered before."""


class JobPolls:
    """Polls for jobs, and says who is asked for their backfills; used from one event loop."""

    def __init__(self, collector: Collector, ask: Asking, *, workers: int) -> None:
        """Ask for at most `workers` things at once for one poll; have backfills queued by `ask`."""
        self._ask = ask
        self._polls, self._attempts, self._workers = collector.polls, collector.attempts, workers
        self._collector = collector
        self.sweep = collector.sweep
        self.owned = frozenset[int]()  # partitions whose symbols are collected now

    async def own(self, partitions: frozenset[int], slots: Mapping[PollKey, MarketTime]) -> None:
        """Poll and stream the symbols of exactly these partitions from now on."""
        self.owned &= partitions
        await self._collector.own(partitions, slots)
        self.owned = partitions

    async def poll(
        self,
        capability: str,
        symbols: Sequence[str],
        slot: MarketTime,
        *,
        provider: str,
        job_id: str,
        start: MarketTime = NO_MARKET_TIME,
    ) -> Mapping[str, Outcome]:
        """Poll now and return what became of each symbol; a slot not after a stream's last is a duplicate.

        With a `start` macro series are asked for again from there on.
        """
        outcomes, groups = dict[str, Outcome](), dict[Poll, list[str]]()
        for symbol in symbols:
            poll = self._poll_of(capability, symbol, provider)
            if isinstance(poll, Outcome):
                outcomes[symbol] = poll
            else:
                groups.setdefault(poll, []).append(symbol)
        room = asyncio.Semaphore(self._workers)

        async def work(poll: Poll, names: Sequence[str]) -> None:
            async with room:
                outcomes.update(await self._serve(poll, names, slot, job_id, start))

        async with asyncio.TaskGroup() as tasks:
            for poll, names in groups.items():
                tasks.create_task(work(poll, names))
        return outcomes

    async def backfill(self, job: Job) -> Outcome:
        """Have the bars of a backfill fetched, and return which job of the queue does, or why none."""
        symbol, configuration = job.symbols[0], self._collector.configuration
        chosen = job.provider or self._chosen(job.capability, symbol)
        if configuration is None or self._polls.bars(chosen, job.capability, symbol) is None:
            return _not_collected(job.capability, symbol, chosen)
        return await self._ask(job, chosen, configuration.backfill)

    async def _serve(
        self, poll: Poll, symbols: Sequence[str], slot: MarketTime, job_id: str, start: MarketTime
    ) -> Mapping[str, Outcome]:
        """Poll, and go on until nothing lies behind; what another has polled before its turn came is a duplicate."""
        asked = partial(self._open, poll, symbols, slot, start)
        names, result = await self._attempts.serve(poll, asked, slot, job_id=job_id)
        events = dict.fromkeys(names, 0)
        while isinstance(result, Polled):
            for symbol, count in result.events.items():
                events[symbol] += count
            if not poll.is_behind:
                break
            _, result = await self._attempts.serve(poll, lambda: names, slot, job_id=job_id)
        if isinstance(result, MarketDataError):
            done = dict.fromkeys(names, _failed(result))
        else:
            done = {symbol: Outcome(status="done", events=events[symbol]) for symbol in names}
        return dict.fromkeys(symbols, DUPLICATE) | done

    def _open(self, poll: Poll, symbols: Sequence[str], slot: MarketTime, start: MarketTime) -> Sequence[str]:
        duty = self._attempts.duty
        opened = [symbol for symbol in symbols if duty.is_open(poll.capability, symbol, slot)]
        # Its turn has come: nobody else's poll takes the wish for its own.
        if opened and start != NO_MARKET_TIME and isinstance(poll, AskedAnew):
            poll.ask_from(start)
        return opened

    def _poll_of(self, capability: str, symbol: str, provider: str) -> Poll | Outcome:
        chosen = provider or self._chosen(capability, symbol)
        together = capability in (QUOTE_STREAM.name, ACTION_STREAM.name)
        poll = (self._polls.covering if together else self._polls.alone)(chosen, capability, symbol)
        return _not_collected(capability, symbol, chosen) if poll is None else poll

    def _chosen(self, capability: str, symbol: str) -> str:
        if capability == MACRO_STREAM.name:
            return self._polls.source_of(symbol)
        router = self._attempts.router
        return router.chosen(capability, symbol) if router.routes(capability) else ""


def _not_collected(capability: str, symbol: str, provider: str) -> Outcome:
    whose = f" from {provider}" if provider else ""
    return Outcome(
        status="refused",
        reason=f"no {capability} of {symbol} are collected{whose}; add them to the configuration or the universe",
    )


def _failed(error: MarketDataError) -> Outcome:
    if isinstance(error, UnknownSymbol):
        return Outcome(status="refused", reason=str(error))
    wait_s = error.retry_after_s if isinstance(error, ProviderThrottled) else None
    return Outcome(status="failed", reason=str(error), retry_after_s=wait_s)
