"""Polls the tasks of one provider on the market clock, with bounded concurrency; decides what follows a failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial

from infra.runtime.backoff import Backoff
from infra.runtime.clock import Market, monotonic_s
from infra.runtime.lifecycle import Health
from producers.polling.schedule import AT_ONCE, Due, Schedule
from producers.polling.shell.attempts import Attempts, Poll, log_failure
from producers.polling.shell.polls import Polled
from producers.polling.shell.timeliness import CadenceRecorder
from producers.polling.slots import slot_of
from producers.polling.timeliness import CadenceGroup
from schemas.clocks import MarketTime
from schemas.errors import (
    MalformedPayload,
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    UnknownSymbol,
)

TICK_S = 0.05
FLOOR_S = 0.2  # of wall time between two polls of one task
UNPACED_BACKLOG_S = 0.01  # without a clock a backlog is walked as fast as the vendor answers
UNPACED_EVERY_S = 1.0  # without a clock the cadence has nothing to run on
QUEUED_PER_WORKER = 4
BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
APART_S = 0.5  # by up to so much do tasks of a vendor part that told all of them the same
REFUSED_S = 60.0
UNKNOWN_SYMBOL_S = 900.0
# Answers in a row that may have been cut short, and are asked for again soon: a format that is another now stays so.
CUT_SHORT = 3
STALL_S = 30.0

Swept = Callable[[Poll, Sequence[str], MarketTime, Polled], None]
"""Told of every poll of the schedule that was answered: the poll, what was asked for, the slot, and the answer."""


class Poller:
    """Polls the tasks of one provider, each in its own time, with at most `workers` requests in flight."""

    def __init__(
        self,
        provider: str,
        *,
        market: Market,
        attempts: Attempts,
        swept: Swept,
        cadence: CadenceRecorder,
        health: Health,
        workers: int,
    ) -> None:
        """Poll what `assign` gives: every task once at once, spread by the number of workers, then by its cadence.

        Before each poll the router says whether this provider serves, is probed, or is left alone, and the duty which
        of its symbols are still to be asked for.
        """
        self._provider = provider
        self._market = market
        self._attempts = attempts
        self._duty = attempts.duty
        self._swept = swept
        self._cadence = cadence
        self._health = health
        self._workers = workers
        self._part = f"{provider}_polling"
        self._polls: dict[Hashable, Poll] = {}
        self._scheduled: dict[Hashable, Hashable] = {}  # the task a poll's place in the schedule was made for
        self._failures: dict[Hashable, int] = {}
        self._key_of: dict[tuple[str, str], Hashable] = {}  # by capability and symbol
        self._busy: dict[Hashable, Poll] = {}
        self._ended = asyncio.Event()
        self._schedule: Schedule[Hashable] = Schedule()
        self._queue: asyncio.Queue[Due[Hashable]] = asyncio.Queue(workers * QUEUED_PER_WORKER)
        self._taken: set[Hashable] = set()  # queued or under way: scheduled again when that has ended
        self._again: set[Hashable] = set()  # of those: at once

    def assign(self, polls: Mapping[Hashable, Poll]) -> None:
        """Poll these from now on; one that was polled before keeps its place unless its task is another now."""
        for key in self._polls.keys() - polls.keys():
            self._schedule.discard(key)
            self._scheduled.pop(key, None)
            self._failures.pop(key, None)
        now_s, fresh = monotonic_s(), 0
        for key, poll in polls.items():
            before = self._scheduled.get(key)
            self._scheduled[key] = poll.task
            if key in self._taken:
                continue
            if before is None:
                due_us = poll.first_due()
                self._schedule.add(key, due_us=due_us, not_before_s=now_s + fresh * TICK_S / self._workers)
                fresh += due_us == AT_ONCE
            elif before != poll.task:
                self._schedule.add(key, due_us=poll.next_due(), not_before_s=now_s)
        self._polls = dict(polls)
        self._key_of = {
            (poll.capability, symbol): key for key, poll in polls.items() for symbol in poll.symbols
        }

    def resume(self, partitions: frozenset[int]) -> None:
        """Poll at once what is open of the present slots of these partitions' symbols: jobs ask for them no more."""
        swept = ((key, self._duty.among(partitions, poll.symbols)) for key, poll in self._polls.items())
        self._poll_at_once((key, symbols) for key, symbols in swept if symbols)

    def take_over(self, capability: str, symbols: Sequence[str] = ()) -> None:
        """Poll at once what is open of the present slots of a capability, or of some symbols of it: another provider gave it."""
        keys = {self._key_of.get((capability, symbol)) for symbol in symbols} if symbols else self._polls
        polls = [(key, self._polls[key]) for key in keys if key is not None]
        self._poll_at_once((key, poll.symbols) for key, poll in polls if poll.capability == capability)

    def _poll_at_once(self, chosen: Iterable[tuple[Hashable, Sequence[str]]]) -> None:
        """Poll at once those of which some of these symbols are open."""
        now_us, now_s, open_polls = self._market.now_us(), monotonic_s(), 0
        for key, symbols in chosen:
            poll = self._polls[key]
            slot = slot_of(now_us, every_us=poll.every_us, phase_us=poll.phase_us)
            if not self._asked(poll, slot, symbols):
                continue
            if key in self._taken:
                self._again.add(key)
            else:
                self._schedule.add(
                    key, due_us=AT_ONCE, not_before_s=now_s + open_polls * TICK_S / self._workers
                )
                open_polls += 1

    async def settled(self) -> None:
        """Return when no poll is under way that is assigned no more."""
        while any(self._polls.get(key) is not poll for key, poll in self._busy.items()):
            self._ended.clear()
            await self._ended.wait()

    async def run(self) -> None:
        """Poll until cancelled; only a broken broker connection or a bug ends it otherwise."""
        self._health.expect(self._part, stall_after_s=STALL_S)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._dispatch(), name=f"{self._part}-dispatch")
                for worker in range(self._workers):
                    tasks.create_task(self._work(), name=f"{self._part}-{worker}")
        finally:
            self._health.forget(self._part)

    async def turn(self, due: Due[Hashable], poll: Poll) -> tuple[MarketTime, float]:
        """Poll once what is due; return when next: market time and seconds of wall time, both of which must have passed."""
        key, group = due.key, CadenceGroup(poll.capability, self._provider, poll.tier)
        turn = self._attempts.router.turn(poll.routed_as, self._provider, poll.symbols)
        for symbol in turn.anew:
            self._duty.reopen(poll.capability, symbol)
        slot = slot_of(self._market.now_us(), every_us=poll.every_us, phase_us=poll.phase_us)
        symbols = self._asked(poll, slot, turn.serve)
        if not symbols and not turn.probe:
            next_due_us = poll.next_due()
            self._cadence.skipped(group, poll.symbols, next_due_us=next_due_us)
            return next_due_us, FLOOR_S
        self._cadence.begun(group, due_us=due.due_us)
        result: Polled | MarketDataError | None
        if symbols:
            asked = partial(self._asked, poll, slot, turn.serve)
            symbols, result = await self._attempts.serve(poll, asked, slot, probed=turn.probe)
        else:
            result = await self._attempts.probe(poll, turn.probe)
        if result is None:  # a job was quicker
            self._cadence.ended(group, poll.symbols, next_due_us=poll.next_due(), ok=True)
            return poll.next_due(), FLOOR_S
        if isinstance(result, MarketDataError):
            self._cadence.ended(group, symbols or turn.probe, next_due_us=AT_ONCE, ok=False)
            return self._failed(key, poll, result)
        if symbols and self._market.paced:
            self._swept(poll, symbols, slot, result)
        self._cadence.ended(group, symbols or turn.probe, next_due_us=result.due_us, ok=True)
        self._failures.pop(key, None)
        return result.due_us, FLOOR_S if self._market.paced or result.due_us else UNPACED_BACKLOG_S

    async def _dispatch(self) -> None:
        while True:
            now_us, now_s = self._market.now_us(), monotonic_s()
            while not self._queue.full() and (due := self._schedule.take(now_us, now_s)) is not None:
                self._taken.add(due.key)
                self._queue.put_nowait(due)
            self._health.report(self._part, ready=True, tasks=len(self._polls), queued=self._queue.qsize())
            await asyncio.sleep(TICK_S)

    async def _work(self) -> None:
        while True:
            due = await self._queue.get()
            key = due.key
            poll = self._polls.get(key)
            if poll is not None:
                self._busy[key] = poll
                try:
                    due_us, pause_s = await self.turn(due, poll)
                finally:
                    del self._busy[key]
                    self._ended.set()
                if not self._market.paced and due_us:
                    due_us, pause_s = AT_ONCE, max(pause_s, UNPACED_EVERY_S)
            self._taken.discard(key)
            if key not in self._polls:
                self._failures.pop(key, None)
            elif poll is None or self._polls[key] is not poll:
                self._schedule.add(key, due_us=AT_ONCE, not_before_s=monotonic_s())
            else:
                if key in self._again:
                    due_us, pause_s = AT_ONCE, FLOOR_S
                self._schedule.add(key, due_us=due_us, not_before_s=monotonic_s() + pause_s)
            self._again.discard(key)

    def _asked(self, poll: Poll, slot: MarketTime, symbols: Sequence[str]) -> Sequence[str]:
        # time stands, or there is more to fetch than this slot's
        if not self._market.paced or poll.is_behind:
            return [symbol for symbol in symbols if self._duty.sweeps(symbol)]
        return self._duty.asked(poll.capability, symbols, slot)

    def _failed(self, key: Hashable, poll: Poll, error: MarketDataError) -> tuple[MarketTime, float]:
        """Note a failure; nothing moved, so the same is asked for again after the pause returned."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if failures == 1:
            log_failure(poll, error)
        if isinstance(error, UnknownSymbol):
            return AT_ONCE, UNKNOWN_SYMBOL_S
        malformed = isinstance(error, MalformedPayload) and failures > CUT_SHORT
        if isinstance(error, ProviderRefused) or malformed:
            return AT_ONCE, REFUSED_S
        if isinstance(error, ProviderThrottled):
            # At least as long as told, and not all tasks at the same moment.
            return AT_ONCE, (error.retry_after_s or 0.0) + random.uniform(0, APART_S)  # noqa: S311
        return AT_ONCE, max(FLOOR_S, BACKOFF.anywhere_s(failures))
