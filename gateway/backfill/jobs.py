"""Backfill jobs as REST shows them, and how long one may have to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.http.columns import NUMBER, TEXT, TIME, WHOLE, Column, or_null, record, words_of
from gateway.http.moments import rfc3339
from gateway.http.parameters import Schema
from schemas.backfill import ORIGINS, STATE_WORDS, STATES, BackfillJob
from schemas.clocks import WallTime
from schemas.configuration.model import Configuration
from schemas.identity import stream_text
from schemas.intervals import SECOND_US
from schemas.providers.facts import ProviderFacts
from schemas.universe import TIERS

KEYLESS = "keyless"  # who acts where no keys are in use

JOB_COLUMNS = (
    Column("job_id", TEXT, "Its id."),
    Column("state", words_of(STATES), "How it stands."),
    Column("meaning", TEXT, "The state in words."),
    Column("stream", TEXT, "channel:provider:symbol of what is fetched."),
    Column("symbol", TEXT, "The symbol."),
    Column("interval", TEXT, "Length of the bars; empty for quotes and trades."),
    Column("provider", TEXT, "Who is asked."),
    Column("start", TIME, "Begin of the stretch, inclusive.", "UTC"),
    Column("end", TIME, "End of the stretch, exclusive.", "UTC"),
    Column("tier", words_of(TIERS), "How urgent it is: T0 is served first."),
    Column("origin", words_of(ORIGINS), "Why it is fetched."),
    Column("gap_id", or_null(TEXT), "The gap it fills; null: none in particular."),
    Column("requested_by", TEXT, "Who asked for it."),
    Column("attempts", WHOLE, "Attempts begun, those that were lost, too."),
    Column("rows", WHOLE, "Values that were published.", "rows"),
    Column("reason", or_null(TEXT), "Of its last failure, or of its end."),
    Column("enqueued_time", TIME, "Since when it is in the queue.", "UTC"),
    Column("ready_time", or_null(TIME), "Not before, while it waits for another try.", "UTC"),
    Column("leased_until", or_null(TIME), "Until when its worker holds it, while it runs.", "UTC"),
    Column("finished_time", or_null(TIME), "When it ended.", "UTC"),
)
_BUDGET = (
    Column("provider", TEXT, "Whose."),
    Column("used", or_null(WHOLE), "Requests made of it this UTC day; null: none was noted.", "requests"),
    Column("cap", or_null(WHOLE), "Most a day, as configured or published; null: none known.", "requests"),
)
PLACE_COLUMNS = (
    Column(
        "position", WHOLE, "Jobs served before it, of its provider; from 10,000 on: at least so many.", "jobs"
    ),
    Column("eta_s", or_null(NUMBER), "When it may have ended; null: nothing tells.", "s"),
    Column("eta_basis", TEXT, "What that is estimated from."),
    Column("budget", record(*_BUDGET), "What its provider may still be asked."),
)
JOB: Schema = record(*JOB_COLUMNS)
PLACED_JOB: Schema = record(*JOB_COLUMNS, *PLACE_COLUMNS)
RAISED = Column(
    "raised_from",
    or_null(words_of(TIERS)),
    "Its tier before this request, which is more urgent; null: it was not raised.",
)
ASKED_JOB: Schema = record(*JOB_COLUMNS, *PLACE_COLUMNS, RAISED)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """The place of a job: so many before it; of its line `ended` jobs ended in `over_s` up to now."""

    position: int
    ended: int
    over_s: float
    used: int | None


def job_row(job: BackfillJob) -> dict[str, Any]:
    """Return the JSON row of a job."""
    order = job.order
    return {
        "job_id": order.job_id,
        "state": job.state,
        "meaning": STATE_WORDS[job.state],
        "stream": stream_text(order.series),
        "symbol": order.series.symbol,
        "interval": order.series.interval,
        "provider": order.series.provider,
        "start": rfc3339(order.from_time),
        "end": rfc3339(order.to_time),
        "tier": order.tier,
        "origin": order.origin,
        "gap_id": order.gap_id or None,
        "requested_by": order.source,
        "attempts": job.attempts,
        "rows": job.rows,
        "reason": job.reason or None,
        "enqueued_time": rfc3339(job.enqueued_time),
        "ready_time": _or_null(job.ready_time),
        "leased_until": _or_null(job.leased_until),
        "finished_time": _or_null(job.finished_time),
    }


def placed_row(job: BackfillJob, place: QueuePlace, cap: int | None, now: WallTime) -> dict[str, Any]:
    """Return the JSON row of a job with its place in the queue and the budget of its provider."""
    eta_s, basis = estimated(job, place, now)
    provider = job.order.series.provider
    return job_row(job) | {
        "position": place.position,
        "eta_s": eta_s,
        "eta_basis": basis,
        "budget": {"provider": provider, "used": place.used, "cap": cap},
    }


def estimated(job: BackfillJob, place: QueuePlace, now: WallTime) -> tuple[float | None, str]:
    """Return in how many seconds a job may have ended, and how that is known."""
    if job.finished_time is not None:
        return 0.0, "it has ended"
    over_min = max(1, round(place.over_s / 60))
    if place.ended == 0:
        return None, f"nothing of its provider ended here in the last {over_min} min"
    wait_s = 0.0 if job.ready_time is None else max(0, job.ready_time - now) / SECOND_US
    eta_s = wait_s + (place.position + 1) * place.over_s / place.ended
    return round(eta_s, 1), f"{place.ended} of its provider ended here in the last {over_min} min"


def day_cap(
    configuration: Configuration, facts: Mapping[str, ProviderFacts], provider: str, *, simulated: bool
) -> int | None:
    """Return how many requests a day may go to a provider; None where nothing says. A simulator has no limits of its own."""
    configured = configuration.provider(provider).limits.per_day
    if configured is not None or simulated or provider not in facts:
        return configured
    return facts[provider].limits.per_day


def _or_null(moment: WallTime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
