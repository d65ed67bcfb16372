"""`/ops/backfill`: jobs as they are asked for, and how one stands."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from gateway.backfill.jobs import KEYLESS, RAISED, QueuePlace, day_cap, placed_row
from gateway.backfill.order_request import (
    BACKFILL,
    BACKFILL_JOB,
    KEY_HEADER,
    OFFERED,
    Circumstances,
    backfill_asked,
    check_job_id,
    order_of,
    request_key,
    symbol_in,
    unknown_job,
)
from gateway.database.shell.snapshot import Snapshots
from gateway.http.moments import rfc3339
from gateway.http.problems import Problem, about
from gateway.http.shell.answers import GRANT, Serves, answer, body_of
from gateway.market.shell.calendars import load_calendars
from gateway.operations.shell.configuration import Configured
from infra.runtime.clock import MarketClock, wall_us
from infra.runtime.metrics import BACKFILL_JOBS_ENQUEUED
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.backfill_acts import Ordered, Wish, place
from infra.runtime.postgres.backfill_listing import Pace, pace_beside, pace_of_tier, used_today
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.universe import member_named
from schemas.backfill import BackfillJob, retry_full_s
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.intervals import SECOND_US
from schemas.providers.facts import ProviderFacts
from schemas.streams import BAR_STREAM
from schemas.universe import Tier

RETRY_S = 2
SHORTLY = "private, max-age=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAccess:
    """The queue and all that orders are judged by; `knows` says of a symbol whether anything of it is there."""

    store: Snapshots
    clock: MarketClock
    configured: Configured
    facts: Mapping[str, ProviderFacts]
    knows: Callable[[str], Awaitable[bool]]
    partitions: int
    simulated: bool

    def configuration(self) -> Configuration:
        """Return the configuration in force; raise the Problem of one that was not read yet."""
        if self.configured.path is None:
            return OFFERED
        if self.configured.configuration is None:
            detail = "no configuration was read yet; come again, or see last_error of GET /health"
            raise Problem(code="configuration_unknown", detail=detail, retry_after_s=RETRY_S)
        return self.configured.configuration

    def row(self, job: BackfillJob, stands: QueuePlace) -> dict[str, object]:
        """Return the JSON row of a job and its place."""
        configuration = OFFERED if self.configured.path is None else self.configured.configuration
        provider, cap = job.order.series.provider, None
        if configuration is not None:
            cap = day_cap(configuration, self.facts, provider, simulated=self.simulated)
        return placed_row(job, stands, cap, wall_us())


class Backfills:
    """Answers both; each act has its row in `audit_acts`."""

    def __init__(self, surroundings: QueueAccess) -> None:
        self._around = surroundings

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/backfill."""
        BACKFILL.parse(request.query.items())
        body, key = await body_of(request), request_key(request.headers.get(KEY_HEADER))
        configuration = self._around.configuration()
        check_enabled(configuration)
        await load_calendars(symbol_in(body))
        asked, actor = backfill_asked(body), actor_of(request)
        collecting = Circumstances(
            configuration=configuration,
            facts=self._around.facts,
            collects=await self._collects(configuration, asked.symbol),
            now=self._around.clock.now_us(),
        )
        of_this = f"{actor} {key}" if key else uuid.uuid4().hex
        order = order_of(asked, collecting, caller=actor, key=of_this)
        wish = Wish(order=order, actor=actor, key=key, content=asked.content)
        stands, pace = None, None
        async with self._around.store.acting() as connection:
            most = configuration.backfill.queued_jobs.of(order.tier)
            placed = await place(connection, wish, partitions=self._around.partitions, most=most)
            if placed.job is not None:
                stands = await place_of(connection, placed.job)
            elif placed.refusal == "full":
                pace = await pace_of_tier(connection, order.tier)
        if placed.job is None or stands is None:
            raise _refused(placed, order.tier, most, pace)
        if placed.is_new:
            BACKFILL_JOBS_ENQUEUED.labels(order.tier).inc()
        status = 202 if placed.is_new else 200
        row = self._around.row(placed.job, stands) | {RAISED.name: placed.raised_from}
        response = answer(row, {}, request, status=status)
        response.headers["Location"] = f"/ops/backfill/{placed.job.order.job_id}"
        return response

    async def job(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/backfill/{job_id}."""
        BACKFILL_JOB.parse(request.query.items())
        job_id, stands = check_job_id(request.match_info["job_id"]), None
        async with self._around.store.acting() as connection:
            job = await queue.find(connection, job_id)
            if job is not None:
                stands = await place_of(connection, job)
        if job is None or stands is None:
            raise unknown_job(job_id)
        response = answer(self._around.row(job, stands), {}, request)
        response.headers["Cache-Control"] = SHORTLY
        return response

    async def _collects(self, configuration: Configuration, symbol: str) -> bool:
        if self._around.configured.path is None:
            return await self._around.knows(symbol)
        if configuration.universe == FROM_DATABASE:
            async with self._around.store.acting() as connection:
                member = await member_named(connection, symbol)
            return member is not None and BAR_STREAM.name in member.streams
        return any(
            entry.symbol == symbol and BAR_STREAM.name in entry.streams for entry in configuration.symbols
        )

    serves: ClassVar[Serves] = ((BACKFILL, ask), (BACKFILL_JOB, job))


def actor_of(request: web.Request) -> str:
    """Return the name of the key that acts."""
    grant = request.get(GRANT)
    return grant.key_id if grant is not None and grant.key_id else KEYLESS


def check_enabled(configuration: Configuration) -> None:
    """Raise the Problem of a configuration by which nothing is fetched again."""
    if not configuration.backfill.enabled:
        detail = (
            "nothing is fetched again here; set backfill.enabled to true in the configuration and reload it"
        )
        raise Problem(code="backfill_disabled", detail=detail)


def full(tier: Tier, most: int, pace: Pace) -> Problem:
    """Return the Problem of a tier that has as many jobs as it may."""
    retry_s = retry_full_s(pace.ended, pace.over_s)
    detail = (
        f"tier {tier} has {most} jobs already, as many as backfill.queued_jobs allows; come again in {retry_s} s, or take "
        "another priority"
    )
    reset = rfc3339(wall_us() + retry_s * SECOND_US)
    return about("priority", "backfill_cap", detail, retry_after_s=retry_s, cap=most, reset_time=reset)


async def place_of(connection: Connection, job: BackfillJob) -> QueuePlace:
    """Return where a job stands."""
    job_id, provider = job.order.job_id, job.order.series.provider
    position = await queue.position(connection, job_id)
    pace, used = await pace_beside(connection, job_id), await used_today(connection, provider)
    return QueuePlace(position=position, ended=pace.ended, over_s=pace.over_s, used=used)


def _refused(placed: Ordered, tier: Tier, most: int, pace: Pace | None) -> Problem:
    if pace is not None:
        return full(tier, most, pace)
    if placed.refusal == "other_content":
        detail = f"this {KEY_HEADER} stands for another request of yours; take a new key for a new request"
        return about(KEY_HEADER, "idempotency_key_reused", detail)
    detail = "jobs of this stretch come and go; come again"
    return Problem(code="busy", detail=detail, retry_after_s=RETRY_S)
