"""The course of a job: what is left to do of it, what its outcomes add up to, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producers.polling.slots import Outcome
from schemas.clocks import MarketTime, WallTime
from schemas.intervals import MINUTE_US
from schemas.jobs import SWEEPER, VERSION, poll_job_id
from schemas.records import Job, JobResult, JobStatus, SymbolOutcome

MAX_AHEAD_US = MINUTE_US  # clocks differ; a slot beyond would silence its streams until then
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
# What a job of several symbols came to is the worst of theirs.
WORST_FIRST: tuple[JobStatus, ...] = ("failed", "expired", "refused", "queued", "done", "duplicate")


def refusal(job: Job, now: MarketTime) -> str:
    """Return why a job is not begun at `now`, empty where nothing speaks against it."""
    if job.type == "poll" and job.slot > now + MAX_AHEAD_US:
        return "its slot lies in the future of the market clock; send it later, or with not_before"
    return ""


def overall(statuses: Sequence[JobStatus]) -> JobStatus:
    """Return what a job came to whose symbols came to `statuses`."""
    return next(status for status in WORST_FIRST if status in statuses)


def unfinished(job: Job, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the symbols that are to be asked for, or asked for again."""
    return [symbol for symbol in job.symbols if symbol not in outcomes or outcomes[symbol].status == "failed"]


def backoff_s(attempts: int, outcomes: Mapping[str, Outcome], jitter: float) -> float:
    """Return seconds until a failed job is tried again; `jitter` in [0, 1) keeps jobs apart.

    Never sooner than any vendor asked for.
    """
    own = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempts, 10)) * (1.0 + jitter) / 2.0
    asked = [each.retry_after_s for each in outcomes.values() if each.retry_after_s is not None]
    return max([own, *(wait + jitter * FIRST_BACKOFF_S for wait in asked)])


def swept_result(
    capability: str,
    outcomes: Mapping[str, Outcome],
    slot: MarketTime,
    provider: str,
    *,
    instance: str,
    finished_time: WallTime,
) -> JobResult:
    """Return what the sweeper polled of one partition, under the id a feed would have given to the same symbols."""
    symbols = tuple(outcomes)
    job = Job(
        version=VERSION,
        job_id=poll_job_id(capability, symbols, slot),
        type="poll",
        source=SWEEPER,
        created_time=finished_time,
        provider=provider,
        capability=capability,
        symbols=symbols,
        slot=slot,
    )
    return result_of(job, outcomes, instance=instance, finished_time=finished_time, attempts=1)


def result_of(
    job: Job,
    outcomes: Mapping[str, Outcome],
    *,
    instance: str,
    finished_time: WallTime,
    attempts: int = 0,
    expired: bool = False,
) -> JobResult:
    """Return the result of a job; what was not finished has failed, or, with `expired`, came too late."""
    missing: JobStatus = "expired" if expired else "failed"
    reason = "its deadline passed before it could begin" if expired else "nobody answered for it"
    of_symbols = tuple(
        SymbolOutcome(symbol=symbol, status=found.status, reason=found.reason, events=found.events)
        if (found := outcomes.get(symbol)) is not None
        else SymbolOutcome(symbol=symbol, status=missing, reason=reason)
        for symbol in job.symbols
    )
    status = overall([each.status for each in of_symbols])
    return JobResult(
        version=VERSION,
        job_id=job.job_id,
        type=job.type,
        source=job.source,
        status=status,
        reason=next((each.reason for each in of_symbols if each.status == status), ""),
        provider=job.provider,
        capability=job.capability,
        slot=job.slot,
        outcomes=of_symbols,
        attempts=attempts,
        instance=instance,
        finished_time=finished_time,
    )
