"""The tasks that collect: a poller for every provider, a stream for every socket; exchanged one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence

from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from producers.collecting.shell.frames import FrameReader
from producers.collecting.shell.trades import TradeStream
from producers.polling.shell.assignment import Assignment
from producers.polling.shell.attempts import Attempts, Poll
from producers.polling.shell.poller import Poller, Swept
from producers.polling.shell.timeliness import CadenceRecorder


class Collectors:
    """Pollers and trade streams by provider, in a task group of the caller's."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        attempts: Attempts,
        *,
        market: Market,
        cadence: CadenceRecorder,
        health: Health,
        workers: int,
        swept: Swept,
    ) -> None:
        """Run nothing until told; each poller has at most `workers` requests in flight."""
        self._tasks, self._attempts, self._market = tasks, attempts, market
        self._cadence, self._health, self._workers, self._swept = cadence, health, workers, swept
        self._pollers: dict[str, tuple[Poller, asyncio.Task[None]]] = {}
        self._retiring: set[Poller] = set()
        self._streams: dict[str, tuple[TradeStream, object, asyncio.Task[None]]] = {}
        self._closing: list[asyncio.Task[None]] = []  # sockets
        attempts.router.moved = self._take_over

    def streams(self, provider: str) -> bool:
        """Whether a provider has a socket open, or about to be."""
        return provider in self._streams

    def resume(self, partitions: frozenset[int]) -> None:
        """Poll at once what is open of the present slots of these partitions' symbols."""
        for poller, _ in self._pollers.values():
            poller.resume(partitions)

    def _take_over(self, capability: str, symbols: Sequence[str]) -> None:
        """Poll at once what another provider serves from now on; of what was routed alone the last answer was no use."""
        for symbol in symbols:
            self._attempts.duty.reopen(capability, symbol)
        for poller, _ in self._pollers.values():
            poller.take_over(capability, symbols)

    async def settled(self) -> None:
        """Return when no poll is under way that is assigned no more."""
        for poller in [*self._retiring, *(poller for poller, _ in self._pollers.values())]:
            await poller.settled()

    def poll(self, by_provider: Mapping[str, Mapping[Hashable, Poll]]) -> None:
        """Give every provider's poller its polls; one without any ends when it has nothing under way."""
        wanted = {name: polls for name, polls in by_provider.items() if polls}
        for provider in self._pollers.keys() - wanted.keys():
            poller, task = self._pollers.pop(provider)
            poller.assign({})
            self._retiring.add(poller)
            self._tasks.create_task(self._retire(poller, task), name=f"{provider}-end")
        for provider, polls in wanted.items():
            if provider not in self._pollers:
                poller = Poller(
                    provider,
                    market=self._market,
                    attempts=self._attempts,
                    swept=self._swept,
                    cadence=self._cadence,
                    health=self._health,
                    workers=self._workers,
                )
                self._pollers[provider] = poller, self._tasks.create_task(poller.run(), name=provider)
            self._pollers[provider][0].assign(polls)

    async def _retire(self, poller: Poller, task: asyncio.Task[None]) -> None:
        await poller.settled()
        await _ended(task)
        self._retiring.discard(poller)

    async def stream(self, assignment: Assignment) -> None:
        """Give every socket its symbols; one that is no more, or leads elsewhere, is closed before another is opened."""
        wanted = {task.provider: task for task in assignment.plan.trades}
        sockets = assignment.vendors.sockets
        for provider, (stream, socket, task) in list(self._streams.items()):
            if provider in wanted and sockets[provider] is socket:
                stream.exchange(wanted[provider], assignment.cursors)
            else:
                del self._streams[provider]
                self._closing.append(task)
                task.cancel()
        if self._closing:
            await asyncio.wait(self._closing)
            self._closing.clear()
        for provider in wanted.keys() - self._streams.keys():
            frames = FrameReader(
                provider,
                sockets[provider],
                self._attempts.raw,
                simulated=assignment.simulated,
                secrets=assignment.vendors.secrets(provider),
            )
            stream = TradeStream(
                wanted[provider],
                sockets[provider],
                frames,
                self._attempts.raw,
                facts=assignment.vendors.facts[provider],
                market=self._market,
                status=self._attempts.status,
                cursors=assignment.cursors,
            )
            task = self._tasks.create_task(stream.run(), name=f"{provider}-trades")
            self._streams[provider] = stream, sockets[provider], task


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; what it raises is its group's to tell."""
    task.cancel()
    await asyncio.wait([task])
