"""The jobs of one series, fetched together: as few requests as cover them, and each ends by what its own stretch came to."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from infra.runtime.clock import monotonic_s
from producers.backfill.endings import (
    NO_INTERFACE,
    NOT_COLLECTED,
    TRIED_TOO_OFTEN,
    Again,
    Ending,
    Fetched,
    NeverGiven,
    after_failure,
    cause_for_good,
    ending_of,
    given_up,
    given_up_after,
    order_elsewhere,
)
from producers.backfill.planning import Window, requests_for
from producers.backfill.shell.collected import Collected
from producers.backfill.shell.leases import Leases
from producers.polling.position import longest_span_us
from producers.polling.shell.bars_poll import BarsPoll
from schemas.backfill import MAX_ATTEMPTS, BackfillJob, retry_after_s
from schemas.errors import MarketDataError, StoreUnavailable
from schemas.intervals import slot_us
from schemas.streams import BAR_STREAM

PATIENCE_S = 120.0  # waited for the vendor, or our budget, before others have their turn
LEAST_WAIT_S = 0.2
BRIEFLY_UNKNOWN = 2  # attempts at what is not collected: a symbol may just be added
LOST_TOO_OFTEN = "its workers were lost, one after the other"
GAP_CLOSED = "its gap is closed"
LEFT = "its symbol is collected elsewhere now"

log = logging.getLogger(__name__)


class SeriesWork:
    """Works some jobs of one series off."""

    def __init__(self, jobs: Sequence[BackfillJob], collected: Collected, leases: Leases) -> None:
        """Work `jobs` off, all of them held."""
        self._jobs = list(jobs)
        self._series = jobs[0].order.series
        self._collected, self._leases = collected, leases

    async def run(self) -> None:
        """Return when each job has ended, waits for another try, or is another's; raises BrokerUnavailable."""
        poll = await self._possible()
        if poll is not None:
            await self._end_unwanted()
            await self._fetch(poll)

    async def _possible(self) -> BarsPoll | None:
        """Return the poll; end what cannot be fetched here."""
        for job in self._held():
            if job.attempts > MAX_ATTEMPTS:
                await self._end(job, given_up(job, "dead", TRIED_TOO_OFTEN, LOST_TOO_OFTEN))
        series = self._series
        if series.name != BAR_STREAM.name:
            why = f"no vendor's interface gives the past {series.name} of a symbol here"
            for job in self._held():
                await self._end(job, given_up(job, "unrecoverable", NO_INTERFACE, why))
            return None
        poll = self._collected.poll_of(series)
        if poll is None and self._is_ours():
            why = (
                f"no {series.channel} of {series.symbol} are collected from {series.provider}; "
                "add them to the configuration or the universe, and requeue"
            )
            for job in self._held():
                if job.attempts < BRIEFLY_UNKNOWN:
                    await self._try_again(job, Again(reason=why))
                else:
                    await self._end(job, given_up(job, "unrecoverable", NOT_COLLECTED, why))
        return poll

    async def _end_unwanted(self) -> None:
        """End the jobs of gaps that are closed: live polls, or another job, brought what was missing."""
        of_gaps = [job for job in self._held() if job.order.gap_id]
        if not of_gaps:
            return
        try:
            open_still = await self._leases.in_a_gap(of_gaps)
        except StoreUnavailable:
            return  # a request too many is better than an attempt that is lost
        for job in of_gaps:
            if job.order.job_id not in open_still:
                await self._leases.end(job, Ending(state="done", reason=GAP_CLOSED))

    async def _fetch(self, poll: BarsPoll) -> None:
        step_us = slot_us(self._series.interval)
        stretches = [(job.order.from_time, job.order.to_time) for job in self._held()]
        came: list[Fetched | NeverGiven] = []
        for window in requests_for(stretches, step_us=step_us, span_us=longest_span_us(step_us)):
            wanted = [job for job in self._held() if _overlap(job, window)]
            if not wanted:
                continue
            result = await self._asked(poll, window, wanted[0].order.job_id)
            if result is None:
                return
            if isinstance(result, Again):
                for job in self._held():
                    await self._settle(job, result)
                return
            came.append(result)
            for job in wanted:
                if job.order.to_time <= window[1]:
                    await self._settle(
                        job, ending_of(job, [each for each in came if _overlap(job, each.window)])
                    )

    async def _asked(
        self, poll: BarsPoll, window: Window, job_id: str
    ) -> Fetched | NeverGiven | Again | None:
        """Return what a request came to, waiting as told for a while; None where nothing more may be asked here."""
        begun_s = monotonic_s()
        while self._may_go_on(window):
            result = await self._collected.fetch(poll, window, job_id)
            if not isinstance(result, MarketDataError):
                return Fetched(
                    window=window,
                    starts=result.starts,
                    answered=[(each.from_time, each.to_time) for each in result.answered],
                    asked_to=result.asked_to,
                    is_lacking=result.is_lacking,
                )
            cause = cause_for_good(result)
            if cause is not None:
                return NeverGiven(window=window, cause=cause, reason=str(result))
            again = after_failure(result)
            wait_s = max(LEAST_WAIT_S, again.asked_s or 0.0)
            if again.counted or monotonic_s() - begun_s + wait_s > PATIENCE_S:
                return again
            await asyncio.sleep(wait_s)
        return None

    def _may_go_on(self, window: Window) -> bool:
        return self._is_ours() and any(_overlap(job, window) for job in self._held())

    def _is_ours(self) -> bool:
        return self._collected.settings.enabled and self._collected.owns(self._series.symbol)

    def _held(self) -> list[BackfillJob]:
        """Return the jobs that are ours to end."""
        return [job for job in self._jobs if self._leases.holds(job)]

    async def _settle(self, job: BackfillJob, came_to: Ending | Again) -> None:
        if isinstance(came_to, Again):
            ending = given_up_after(job, came_to)
            if ending is None:
                await self._try_again(job, came_to)
                return
            came_to = ending
        await self._end(job, came_to)

    async def _end(self, job: BackfillJob, ending: Ending) -> None:
        """Tell what is given up, then end the job: told twice it is the same, ended first it might never be told."""
        if ending.given_up and self._leases.holds(job):
            await self._collected.tell_given_up(job, ending)
        elsewhere = None
        if ending.state != "done":
            elsewhere = order_elsewhere(job.order, self._collected.others(self._series))
            log.info(
                "backfill_ended",
                extra={"job": job.order.job_id, "state": ending.state, "reason": ending.reason},
            )
        await self._leases.end(job, ending, elsewhere)

    async def _try_again(self, job: BackfillJob, again: Again) -> None:
        jitter = random.random()  # noqa: S311 - it keeps jobs apart
        wait_s = retry_after_s(max(1, job.attempts), jitter, asked_s=again.asked_s)
        await self._leases.put_back(job, wait_s=wait_s, reason=again.reason, counted=again.counted)


def _overlap(job: BackfillJob, window: Window) -> bool:
    return job.order.from_time < window[1] and window[0] < job.order.to_time
