"""Jobs that are fetched together: as few requests as cover them, and each ends by what its own stretch came to.

They are of one series, or of several that one request asks for; then each series has its own window in it, and its own end.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Mapping, Sequence

from infra.runtime.clock import monotonic_s
from producers.backfill.endings import (
    NO_INTERFACE,
    NOT_COLLECTED,
    OUTAGE_BORNE_S,
    TRIED_TOO_OFTEN,
    Again,
    Ending,
    Fetched,
    NeverGiven,
    after_failure,
    after_outage,
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
from producers.polling.shell.bars_poll import Backfilled, BarsPoll
from schemas.backfill import MAX_ATTEMPTS, BackfillJob, retry_after_s
from schemas.errors import MarketDataError, ProviderUnavailable, StoreUnavailable
from schemas.intervals import slot_us
from schemas.streams import BAR_STREAM, StreamId

PATIENCE_S = 120.0  # waited for the vendor, or our budget, before others have their turn
LEAST_WAIT_S = 0.2
BRIEFLY_UNKNOWN = 2  # attempts at what is not collected: a symbol may just be added
LOST_TOO_OFTEN = "its workers were lost, one after the other"
GAP_CLOSED = "its gap is closed"
LEFT = "its symbol is collected elsewhere now"

log = logging.getLogger(__name__)


class JobSet:
    """Works some jobs off: of one series, or a set that one request fetches."""

    def __init__(self, jobs: Sequence[BackfillJob], collected: Collected, leases: Leases) -> None:
        """Work `jobs` off, all of them held."""
        self._jobs: dict[StreamId, list[BackfillJob]] = {}
        for job in jobs:
            self._jobs.setdefault(job.order.series, []).append(job)
        self._collected, self._leases = collected, leases

    async def run(self) -> None:
        """Return when each job has ended, waits for another try, or is another's; raises BrokerUnavailable."""
        found = {series: await self._possible(series) for series in self._jobs}
        polls = {series: poll for series, poll in found.items() if poll is not None}
        if polls:
            await self._end_unwanted()
            await self._fetch(polls)

    async def _possible(self, series: StreamId) -> BarsPoll | None:
        """Return the poll of a series; end what cannot be fetched here."""
        for job in self._held(series):
            if job.attempts > MAX_ATTEMPTS:
                await self._end(job, given_up(job, "dead", TRIED_TOO_OFTEN, LOST_TOO_OFTEN))
        if series.name != BAR_STREAM.name:
            why = f"no vendor's interface gives the past {series.name} of a symbol here"
            for job in self._held(series):
                await self._end(job, given_up(job, "unrecoverable", NO_INTERFACE, why))
            return None
        poll = self._collected.poll_of(series)
        if poll is None and self._is_ours(series):
            why = (
                f"no {series.channel} of {series.symbol} are collected from {series.provider}; "
                "add them to the configuration or the universe, and requeue"
            )
            for job in self._held(series):
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

    async def _fetch(self, polls: Mapping[StreamId, BarsPoll]) -> None:
        came: dict[StreamId, list[Fetched | NeverGiven]] = {series: [] for series in polls}
        for request in self._requests(polls):
            results = await self._asked(polls, request)
            if results is None:
                return
            if isinstance(results, Again):
                for job in self._held():
                    await self._settle(job, results)
                return
            for series, result in results.items():
                if not isinstance(result, Again):
                    came[series].append(result)
                for job in self._wanting(series, request[series]):
                    if isinstance(result, Again):
                        await self._settle(job, result)
                    elif job.order.to_time <= request[series][1]:
                        own = [each for each in came[series] if _overlap(job, each.window)]
                        await self._settle(job, ending_of(job, own))

    def _requests(self, polls: Collection[StreamId]) -> list[Mapping[StreamId, Window]]:
        """Return what to ask for, request by request: the window of each series."""
        requests: list[Mapping[StreamId, Window]] = []
        together: dict[StreamId, Window] = {}
        for series in polls:
            step_us = slot_us(series.interval)
            stretches = [(job.order.from_time, job.order.to_time) for job in self._held(series)]
            windows = requests_for(stretches, step_us=step_us, span_us=longest_span_us(step_us))
            if len(polls) > 1 and windows:
                together[series] = windows[0][0], windows[-1][1]
            else:
                requests += [{series: window} for window in windows]
        return [*requests, together] if together else requests

    async def _asked(
        self, polls: Mapping[StreamId, BarsPoll], request: Mapping[StreamId, Window]
    ) -> Mapping[StreamId, Fetched | NeverGiven | Again] | Again | None:
        """Return what a request came to, waiting as told for a while; None where nothing more may be asked here."""
        begun_s = monotonic_s()
        while self._collected.settings.enabled:
            parts = {
                series: (polls[series], window, wanting[0].order.job_id)
                for series, window in request.items()
                if self._is_ours(series) and (wanting := self._wanting(series, window))
            }
            if not parts:
                return {} if self._any_ours() else None
            result = await self._sent(list(parts.values()))
            if not isinstance(result, MarketDataError):
                return {
                    series: self._came(series, request[series], each)
                    for series, each in zip(parts, result, strict=True)
                }
            cause = cause_for_good(result)
            if cause is not None and len(parts) == 1:
                return {
                    series: NeverGiven(window=request[series], cause=cause, reason=str(result))
                    for series in parts
                }
            # Whom of several it means nobody knows: each is asked for with fewer, and soon alone.
            again = self._after(result, request) if cause is None else Again(reason=str(result))
            wait_s = max(LEAST_WAIT_S, again.asked_s or 0.0)
            if again.counted or monotonic_s() - begun_s + wait_s > PATIENCE_S:
                return again
            await asyncio.sleep(wait_s)
        return None

    async def _sent(
        self, parts: Sequence[tuple[BarsPoll, Window, str]]
    ) -> Sequence[Backfilled | MarketDataError] | MarketDataError:
        if len(parts) > 1:
            return await self._collected.fetch_together(parts)
        result = await self._collected.fetch(*parts[0])
        return result if isinstance(result, MarketDataError) else [result]

    def _came(
        self, series: StreamId, window: Window, result: Backfilled | MarketDataError
    ) -> Fetched | NeverGiven | Again:
        if not isinstance(result, MarketDataError):
            return Fetched(
                window=window,
                starts=result.starts,
                answered=[(each.from_time, each.to_time) for each in result.answered],
                asked_to=result.asked_to,
                is_lacking=result.is_lacking,
            )
        if (cause := cause_for_good(result)) is not None:
            return NeverGiven(window=window, cause=cause, reason=str(result))
        return self._after(result, {series: window})

    def _after(self, error: MarketDataError, request: Mapping[StreamId, Window]) -> Again:
        """Return the next try after a request of one provider that failed."""
        again = after_failure(error)
        if not isinstance(error, ProviderUnavailable):
            return again
        silent_s = self._collected.silent_s(next(iter(request)).provider)
        if again.counted:
            jobs = [
                job.order.job_id for each, window in request.items() for job in self._wanting(each, window)
            ]
            outages = self._collected.outages
            is_outage = outages.is_outage(jobs, now_s=monotonic_s(), silent_s=silent_s)
            return after_outage(again, silent_s) if is_outage else again
        return again if silent_s < OUTAGE_BORNE_S else after_outage(again, silent_s)

    def _wanting(self, series: StreamId, window: Window) -> list[BackfillJob]:
        return [job for job in self._held(series) if _overlap(job, window)]

    def _any_ours(self) -> bool:
        return any(self._is_ours(series) and self._held(series) for series in self._jobs)

    def _is_ours(self, series: StreamId) -> bool:
        return self._collected.settings.enabled and self._collected.owns(series.symbol)

    def _held(self, series: StreamId | None = None) -> list[BackfillJob]:
        """Return the jobs that are ours to end, all or those of a series."""
        jobs = (
            [each for some in self._jobs.values() for each in some] if series is None else self._jobs[series]
        )
        return [job for job in jobs if self._leases.holds(job)]

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
            elsewhere = order_elsewhere(job.order, self._collected.others(job.order.series))
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
