"""Backfills of a job feed: which order one makes, what stands against it, and the results it has.

It has two: that it is queued, with the queue's job, and what became of that. Times of the stretch are the market's.
"""

from __future__ import annotations

from collections.abc import Mapping

from producers.jobs.outcome import result_of
from producers.polling.slots import Outcome
from schemas.backfill import BackfillOrder, BackfillState, FeedBackfill, asked_id
from schemas.clocks import EventTime, MarketTime, WallTime
from schemas.configuration.backfill import Backfill
from schemas.intervals import DAY_US
from schemas.jobs import VERSION
from schemas.records import Job, JobResult, JobStatus
from schemas.streams import BAR_STREAM, StreamId
from schemas.universe import Tier

MOST_URGENT = 1  # up to this priority a job is of tier T0
URGENT = 4  # and up to this one of T1
OVER: Mapping[BackfillState, JobStatus] = {
    "done": "done",
    "empty": "done",  # of 0 events
    "unrecoverable": "refused",
    "dead": "failed",
}


def tier_of(priority: int) -> Tier:
    """Return the tier in the queue of a job's priority: 0 and 1 are T0, 2 to 4 T1, the rest T2."""
    return "T0" if priority <= MOST_URGENT else "T1" if priority <= URGENT else "T2"


def refusal_of(job: Job, settings: Backfill, now: MarketTime) -> str:
    """Return why a backfill is not queued at `now`, empty where nothing speaks against it."""
    if not settings.enabled:
        return "backfills are switched off here; set backfill.enabled to true"
    if job.end > now:
        return "its end lies in the future of the market clock; end it now or earlier"
    if job.end - job.start > settings.longest_days * DAY_US:
        return (
            f"it is longer than {settings.longest_days} days (backfill.longest_days); make several jobs of it"
        )
    return ""


def asked_by(job: Job) -> FeedBackfill:
    """Return the backfill a job asks for, not queued yet."""
    return FeedBackfill(
        asked_id=job.job_id,
        source=job.source,
        provider=job.provider,
        capability=job.capability,
        symbol=job.symbols[0],
        content=f"{job.capability} {job.symbols[0]} {job.start} {job.end} {job.provider}",
        job_id="",
    )


def order_of(job: Job, provider: str, key: str) -> BackfillOrder:
    """Return the order of a job that `provider` is to serve; `key` tells one attempt at it from the next."""
    interval = job.capability.partition(":")[2]
    series = StreamId(BAR_STREAM.name, interval, provider, job.symbols[0])
    start, end = EventTime(job.start), EventTime(job.end)
    return BackfillOrder(
        job_id=asked_id(series, start, end, key),
        series=series,
        from_time=start,
        to_time=end,
        tier=tier_of(job.priority),
        origin="user",
        source=f"jobs.v1 {job.source}",
        gap_id=job.gap_id,
    )


def last_result(asked: FeedBackfill, *, instance: str, finished_time: WallTime) -> JobResult:
    """Return the result of a backfill whose job of the queue has ended."""
    assert asked.state is not None  # noqa: S101 - the caller's promise
    status = OVER[asked.state]
    job = Job(
        version=VERSION,
        job_id=asked.asked_id,
        type="backfill",
        source=asked.source,
        created_time=finished_time,
        provider=asked.provider,
        capability=asked.capability,
        symbols=(asked.symbol,),
    )
    reason = "" if status == "done" else f"{asked.reason} (backfill job {asked.job_id})"
    outcome = Outcome(status=status, reason=reason, events=asked.rows)  # type: ignore[arg-type]  # never expired
    return result_of(
        job, {asked.symbol: outcome}, instance=instance, finished_time=finished_time, attempts=asked.attempts
    )
