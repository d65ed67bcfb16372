"""`/ops/dlq/backfills`: jobs that ended: a page of them, one of them again, and away with the old."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from gateway.backfill.ended_request import ENDED_JOBS, PURGE, REQUEUE, EndedQuery, PurgeQuery
from gateway.backfill.jobs import job_row
from gateway.backfill.order_request import check_job_id, unknown_job
from gateway.backfill.shell.orders import QueueAccess, actor_of, check_enabled, full, place_of
from gateway.http.moments import ALL_KNOWN, EARLIEST_US, LATEST_US, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import Problem, about
from gateway.http.shell.answers import Serves, answer
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.postgres.backfill_acts import PURGED_AT_ONCE, Requeued, cut_of, purge, purgeable, requeue
from infra.runtime.postgres.backfill_listing import ended_jobs, pace_of_tier
from schemas.backfill import ACTIVE, BackfillState
from schemas.clocks import WallTime
from schemas.universe import TIERS

PURGING_S = 20.0  # then what is left is for the next request
LAST = "\x7f"  # after every id


class EndedBackfills:
    """Answers all three; each act has its row in `audit_acts`."""

    def __init__(self, surroundings: QueueAccess, page_key: bytes) -> None:
        """Sign page tokens by `page_key`."""
        self._around, self._page_key = surroundings, page_key

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/dlq/backfills: by (finished_time, job_id), newest first."""
        ask: EndedQuery = ENDED_JOBS.parse(request.query.items())
        query, now = query_hash(request.path, ask.given), wall_us()
        after = WallTime(LATEST_US), LAST
        if ask.page_token:
            page = open_token(ask.page_token, query, self._page_key, now)
            after = WallTime(int(page.after[0])), str(page.after[1])
        async with self._around.store.acting() as connection:
            found = await ended_jobs(
                connection, ask.status, symbol=ask.symbol, after=after, limit=ask.limit + 1
            )
        shown, token = found[: ask.limit], None
        if len(found) > ask.limit:
            last = shown[-1]
            edge = Page(
                as_of=ALL_KNOWN,
                start=EARLIEST_US,
                end=LATEST_US,
                after=(last.finished_time or 0, last.order.job_id),
            )
            token = seal(edge, query, self._page_key, now)
        rows = [job_row(job) for job in shown]
        return answer(rows, {"row_count": len(rows)}, request, next_page_token=token)

    async def again(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/dlq/backfills/requeue/{job_id}."""
        REQUEUE.parse(request.query.items())
        configuration = self._around.configuration()
        check_enabled(configuration)
        job_id, actor = check_job_id(request.match_info["job_id"]), actor_of(request)
        limits = {tier: configuration.backfill.queued_jobs.of(tier) for tier in TIERS}
        stands, pace = None, None
        async with self._around.store.acting() as connection:
            found = await requeue(connection, job_id, actor=actor, limits=limits)
            if found.done and found.job is not None:
                stands = await place_of(connection, found.job)
            elif found.is_full and found.job is not None:
                pace = await pace_of_tier(connection, found.job.order.tier)
        if found.job is None:
            raise unknown_job(job_id)
        if pace is not None:
            raise full(found.job.order.tier, limits[found.job.order.tier], pace)
        if stands is None:
            raise _elsewhere(found)
        return answer(self._around.row(found.job, stands), {}, request)

    async def away(self, request: web.Request) -> web.StreamResponse:
        """DELETE /ops/dlq/backfills/purge: in transactions of at most 1,000 jobs, each with its row of the audit."""
        ask: PurgeQuery = PURGE.parse(request.query.items())
        dry_run, actor, until_s = ask.dry_run == "true", actor_of(request), monotonic_s() + PURGING_S
        counts: dict[str, int] = {}
        more = False
        async with self._around.store.acting() as connection:
            before = await cut_of(connection, ask.older_than_s)
        for state in ask.status:
            if dry_run:
                async with self._around.store.acting() as connection:
                    count = await purgeable(connection, state, before, up_to=ask.limit + 1)
                counts[state], more = min(count, ask.limit), more or count > ask.limit
            else:
                counts[state], left = await self._purged(state, before, actor, ask.limit, until_s)
                more = more or left
        meta = {"dry_run": dry_run, "jobs": sum(counts.values()), "more": more, "before": rfc3339(before)}
        return answer(counts, meta, request)

    async def _purged(
        self, state: BackfillState, before: WallTime, actor: str, limit: int, until_s: float
    ) -> tuple[int, bool]:
        """Return how many jobs were deleted, and whether there are more."""
        deleted = 0
        while deleted < limit and monotonic_s() < until_s:
            asked = min(limit - deleted, PURGED_AT_ONCE)
            async with self._around.store.acting() as connection:
                count = await purge(connection, state, before, actor=actor, limit=asked)
            deleted += count
            if count < asked:
                return deleted, False
        async with self._around.store.acting() as connection:
            return deleted, await purgeable(connection, state, before, up_to=1) > 0

    serves: ClassVar[Serves] = ((ENDED_JOBS, listed), (REQUEUE, again), (PURGE, away))


def _elsewhere(found: Requeued) -> Problem:
    """Return the Problem of a job that cannot be queued again as it is."""
    job, act = found.job, found.last_act
    assert job is not None  # noqa: S101 - the caller has said that there is one
    if found.rival is not None or job.state not in (*ACTIVE, "done", "empty"):
        name = found.rival.order.job_id if found.rival else "another job"
        detail = f"{name} fetches this stretch already; wait for its end"
        return about("job_id", "wrong_state", detail, state=job.state, acted=None)
    by = "" if act is None else f", since {act.actor} did {act.act} at {rfc3339(act.acted_time)}"
    hint = "it is under way" if job.state in ACTIVE else "ask for the stretch anew with POST /ops/backfill"
    detail = f"the job is {job.state}{by}; only one that is dead or unrecoverable is queued again: {hint}"
    acted = None if act is None else {"by": act.actor, "act": act.act, "time": rfc3339(act.acted_time)}
    return about("job_id", "wrong_state", detail, state=job.state, acted=acted)
