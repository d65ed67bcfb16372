"""What the backfill's workers work with in tests: jobs, a collection that answers as told, leases that are only noted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from producers.backfill.endings import Ending, Outages
from producers.backfill.planning import Capacity, Window
from producers.polling.shell.bars_poll import Backfilled
from schemas.answered import AnsweredStretch
from schemas.backfill import BackfillJob, BackfillOrder, BackfillState, asked_id
from schemas.clocks import EventTime, WallTime
from schemas.configuration.backfill import Backfill
from schemas.errors import MarketDataError
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY

PARTITIONS = 4
PAST = NINE_THIRTY
YAHOO_SPY = StreamId("bars", "1m", "yahoo", "SPY")

Answer = Backfilled | MarketDataError
Answering = Callable[[StreamId, Window], Awaitable[Answer]]


def minute(number: int) -> EventTime:
    """Return a minute of a session, µs."""
    return EventTime(PAST + number * MINUTE_US)


def an_order(low: int = 0, high: int = 5, series: StreamId = YAHOO_SPY, **changes: Any) -> BackfillOrder:
    """Return an order for the minutes [low, high)."""
    fields = {
        "tier": "T1",
        "origin": "gap",
        "source": "sink",
        "from_time": minute(low),
        "to_time": minute(high),
    }
    fields |= changes
    key = str(sorted(fields.items(), key=str))
    fields.setdefault("job_id", asked_id(series, fields["from_time"], fields["to_time"], key))
    return BackfillOrder(series=series, **fields)


def a_job(
    low: int = 0, high: int = 5, *, attempts: int = 1, state: BackfillState = "running", **changes: Any
) -> BackfillJob:
    """Return a job that runs."""
    order = an_order(low, high, **changes)
    return BackfillJob(order=order, state=state, attempts=attempts, enqueued_time=WallTime(1))


def all_minutes(series: StreamId, window: Window, *, without: Collection[int] = ()) -> Backfilled:
    """Return an answer that holds every minute of a window but some, and is all there is."""
    missing = {minute(number) for number in without}
    stretch = AnsweredStretch(
        symbol=series.symbol, interval=series.interval, from_time=window[0], to_time=window[1]
    )
    return Backfilled(
        starts=[EventTime(each) for each in range(*window, MINUTE_US) if each not in missing],
        answered=[stretch],
        asked_to=window[1],
    )


async def at_once(series: StreamId, window: Window) -> Answer:
    """Answer with every minute."""
    return all_minutes(series, window)


@dataclass
class PlayedCollection:
    """A `Collected` of some providers, each of which gives every symbol; what is asked for and told is kept."""

    answering: Answering = at_once
    preferred: Sequence[str] = ("yahoo",)
    closed: set[str] = field(default_factory=set)
    silence_s: float = 0.0  # since anybody gave a usable answer
    outages: Outages = field(default_factory=Outages)
    partitions: frozenset[int] = frozenset(range(PARTITIONS))
    settings: Backfill = field(default_factory=Backfill)
    waiting: frozenset[str] = frozenset()
    all_partitions: int = PARTITIONS
    capacities: Capacity = field(default_factory=Capacity)
    asked: list[tuple[StreamId, Window, str]] = field(default_factory=list)
    together: list[list[tuple[StreamId, Window, str]]] = field(default_factory=list)
    told: list[tuple[str, Ending]] = field(default_factory=list)

    @property
    def providers(self) -> frozenset[str]:
        """Return all providers."""
        return frozenset(self.preferred)

    def open_to_us(self) -> frozenset[str]:
        """Return those that are not closed."""
        return self.providers - self.closed

    def silent_s(self, provider: str) -> float:  # noqa: ARG002 - all of them alike
        """Return it."""
        return self.silence_s

    def owns(self, symbol: str) -> bool:
        """Whether a symbol is collected here."""
        return partition_of(symbol, PARTITIONS) in self.partitions

    def poll_of(self, series: StreamId) -> Any:
        """Return what stands for a poll: the series."""
        return series if series.provider in self.preferred else None

    def others(self, series: StreamId) -> Sequence[str]:
        """Return all of them."""
        return self.preferred if series.symbol else ()

    async def fetch(self, poll: Any, window: Window, job_id: str) -> Answer:
        """Answer as told."""
        self.asked.append((poll, window, job_id))
        return await self.answering(poll, window)

    def capacity(self, series: StreamId) -> Capacity:  # noqa: ARG002 - all of them alike
        """Return what one request may hold."""
        return self.capacities

    async def fetch_together(
        self, parts: Sequence[tuple[Any, Window, str]]
    ) -> Sequence[Answer] | MarketDataError:
        """Answer each as told; what is told of the first to be of all is."""
        self.together.append(list(parts))
        answers = [await self.answering(series, window) for series, window, _ in parts]
        first = answers[0]
        if isinstance(first, MarketDataError) and all(each is first for each in answers):
            return first
        return answers

    async def tell_given_up(self, job: BackfillJob, ending: Ending) -> None:
        """Keep what is said."""
        self.told.append((job.order.job_id, ending))


@dataclass
class NotedLeases:
    """Leases of jobs that are held until they are ended, put back or taken away by the test."""

    held: dict[str, BackfillJob] = field(default_factory=dict)
    ended: dict[str, Ending] = field(default_factory=dict)
    ordered: list[BackfillOrder] = field(default_factory=list)
    put: dict[str, tuple[float, str, bool]] = field(default_factory=dict)
    gaps: frozenset[str] | None = None  # ids of jobs whose gap is open; None: all

    def hold(self, *jobs: BackfillJob) -> list[BackfillJob]:
        """Hold jobs."""
        self.held |= {job.order.job_id: job for job in jobs}
        return list(jobs)

    def holds(self, job: BackfillJob) -> bool:
        """Whether a job is ours."""
        return job.order.job_id in self.held

    async def in_a_gap(self, jobs: Collection[BackfillJob]) -> frozenset[str]:
        """Return those whose gap is open."""
        ids = frozenset(job.order.job_id for job in jobs)
        return ids if self.gaps is None else ids & self.gaps

    async def end(self, job: BackfillJob, ending: Ending, elsewhere: BackfillOrder | None = None) -> None:
        """End one."""
        await asyncio.sleep(0)
        if self.held.pop(job.order.job_id, None) is not None:
            self.ended[job.order.job_id] = ending
            self.ordered += [elsewhere] if elsewhere is not None else []

    async def put_back(self, job: BackfillJob, *, wait_s: float, reason: str, counted: bool) -> None:
        """Let one wait."""
        if self.held.pop(job.order.job_id, None) is not None:
            self.put[job.order.job_id] = wait_s, reason, counted
