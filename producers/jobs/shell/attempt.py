"""One try at one job: what is left of it is asked for, and it comes to a result or to another try."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from infra.runtime.clock import wall_us
from producers.jobs.history import JobHistory
from producers.jobs.outcome import backoff_s, refusal, result_of, unfinished
from producers.jobs.queue import Queued
from producers.plan.tasks import PollKey
from producers.polling.slots import Outcome
from schemas.clocks import MarketTime, WallTime
from schemas.errors import BrokerUnavailable, MarketDataError
from schemas.intervals import SECOND_US
from schemas.records import NO_MARKET_TIME, Job, JobResult

NOT_COLLECTED = "it is not collected here; add it to the configuration"


class Collecting(Protocol):
    """The side that polls: the service's collection."""

    async def own(self, partitions: frozenset[int], slots: Mapping[PollKey, MarketTime]) -> None:
        """Poll and stream the symbols of exactly these partitions from now on; return when no other is in flight.

        `slots` holds the last slot polled, by (capability, symbol), of partitions newly gained.
        """

    def sweep(self, partitions: frozenset[int]) -> None:
        """Follow the own schedule for exactly these of the owned partitions from now on."""

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

    async def backfill(self, job: Job) -> Outcome:
        """Have the bars of a backfill fetched, and return which job of the queue does, or why none."""


class JobWork:
    """Judges and tries jobs."""

    def __init__(
        self, *, instance: str, symbols_known: Callable[[str], bool], market_now: Callable[[], MarketTime]
    ) -> None:
        """Sign results as `instance`."""
        self._instance, self._symbols_known, self._market_now = instance, symbols_known, market_now

    async def attempt(self, entry: Queued, history: JobHistory, collecting: Collecting) -> JobResult | Queued:
        """Return the job's result, or the job as it waits for its next try; raises BrokerUnavailable."""
        job, attempts = entry.job, entry.attempts
        outcomes = {**entry.outcomes, **self._refused(job), **history.repeated(job)}
        left, expired = unfinished(job, outcomes), wall_us() >= job.deadline
        if left and not expired:
            attempts += 1
            outcomes |= await _asked(collecting, job, left)
            left = unfinished(job, outcomes)
            wait_s = backoff_s(attempts, outcomes, random.random())  # noqa: S311 - jitter
            ready_us = WallTime(wall_us() + int(wait_s * SECOND_US))
            if left and ready_us < job.deadline:
                return replace(entry, ready_us=ready_us, attempts=attempts, outcomes=outcomes)
        return result_of(
            job,
            outcomes,
            instance=self._instance,
            finished_time=wall_us(),
            attempts=attempts,
            expired=expired and attempts == 0,
        )

    def _refused(self, job: Job) -> dict[str, Outcome]:
        why = refusal(job, self._market_now())
        return {
            symbol: Outcome(status="refused", reason=why or NOT_COLLECTED)
            for symbol in job.symbols
            if why or not self._symbols_known(symbol)
        }


async def _asked(collecting: Collecting, job: Job, symbols: Sequence[str]) -> Mapping[str, Outcome]:
    try:
        if job.type == "poll":
            return await collecting.poll(
                job.capability,
                symbols,
                MarketTime(job.slot),
                provider=job.provider,
                job_id=job.job_id,
                start=MarketTime(job.start),
            )
        outcome = await collecting.backfill(job)
        return dict.fromkeys(symbols, outcome)
    except BrokerUnavailable:
        raise  # nothing can be published: the process ends and starts anew
    except MarketDataError as error:
        return dict.fromkeys(symbols, Outcome(status="failed", reason=str(error)))
