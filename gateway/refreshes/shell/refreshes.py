"""`POST /admin/macro/refresh`: the producers are asked to poll macro series now, by jobs; what came of it where one waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiohttp import web

from gateway.backfill.jobs import day_cap
from gateway.backfill.order_request import KEY_HEADER, OFFERED, request_key
from gateway.backfill.shell.orders import QueueAccess, actor_of
from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.http.moments import rfc3339
from gateway.http.problems import Problem, about, invalid_field
from gateway.http.shell.answers import Serves, answer, body_of
from gateway.refreshes.account import StoredVintages, eta_s, exhausted, outcome_row, requests_of
from gateway.refreshes.refresh_request import (
    APPLIED,
    LIFETIME_S,
    PREFER,
    REFRESH,
    RefreshAsked,
    RefreshWanted,
    begun_of,
    check_collected,
    job_id_of,
    job_row,
    refresh_asked,
    wait_of,
)
from gateway.refreshes.shell.job_log import JobLog, JobOutcomes
from infra.runtime.clock import wall_us
from infra.runtime.postgres.backfill_listing import used_today
from infra.runtime.postgres.refresh_acts import RefreshBegun, RefreshWish, begin, lose
from schemas.clocks import Day, KnowledgeTime, MarketTime, WallTime
from schemas.errors import BrokerUnavailable
from schemas.intervals import DAY_US, SECOND_US
from schemas.jobs import ALL_VINTAGES, MAX_SYMBOLS, VERSION, by_partition
from schemas.providers.facts import ProviderFacts
from schemas.records import NO_MARKET_TIME, Job
from schemas.streams import MACRO_STREAM

SOURCE = "gateway"
PRIORITY = 2  # before what is polled by schedule
LOOK_EVERY_S = 0.25
MAX_WAITING = 8  # beyond, who prefers to wait is told that it is under way
RETRY_S = 5
STORED = "SELECT DISTINCT symbol FROM streams WHERE kind = 'macro' ORDER BY symbol LIMIT $1"
# $1 keys, $2 since when
CHANGED = """
    SELECT s.symbol, count(*) AS count, min(v.period_start) - DATE '1970-01-01' AS first,
        max(v.period_start) - DATE '1970-01-01' AS last
    FROM streams s JOIN macro v USING (stream_id)
    WHERE s.kind = 'macro' AND s.symbol = ANY ($1) AND v.known_from >= $2 GROUP BY s.symbol
"""
# $1 keys: those whose newest period has no value with a vintage
WITHOUT_VINTAGES = """
    SELECT s.symbol FROM streams s CROSS JOIN LATERAL (
        SELECT period_start FROM macro v WHERE v.stream_id = s.stream_id ORDER BY period_start DESC LIMIT 1
    ) newest
    WHERE s.kind = 'macro' AND s.symbol = ANY ($1) AND NOT EXISTS (
        SELECT FROM macro v
        WHERE v.stream_id = s.stream_id AND v.period_start = newest.period_start AND v.vintage_start IS NOT NULL)
"""
CLOCK_US = 1_000  # a broker's times of appending are whole milliseconds


class Refreshes:
    """Answers it; each refresh that is begun has its row in `audit_acts`."""

    def __init__(self, surroundings: QueueAccess, watermarks: Watermarks, log: JobLog) -> None:
        """Publish jobs to `log`; what came of them is read once `watermarks` have passed it."""
        self._around, self._watermarks, self._log = surroundings, watermarks, log
        self._waiting = 0

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        """POST /admin/macro/refresh."""
        REFRESH.parse(request.query.items())
        key, wait_s = request_key(request.headers.get(KEY_HEADER)), wait_of(request.headers.get(PREFER))
        asked, actor = refresh_asked(await body_of(request)), actor_of(request)
        wanted = await self._wanted(asked)
        requests = requests_of(wanted, datetime.fromtimestamp(wall_us() / SECOND_US, UTC).year)
        await self._check_budgets(requests)
        begun = await self._begun(wanted, actor, key)
        eta = eta_s(requests, self._around.facts)
        row = job_row(begun.job_id, wanted.keys, requests, eta) | {"joined": not begun.is_new}
        if wait_s is not None and self._waiting < MAX_WAITING:
            came = await self._ended(begun.job_id, wanted, wait_s)
            if came is not None:
                response = answer({**row, **came}, {}, request)
                response.headers[APPLIED] = f"wait={wait_s}"
                return response
        return answer(row, {}, request, status=202)

    serves: ClassVar[Serves] = ((REFRESH, refresh),)

    async def _wanted(self, asked: RefreshAsked) -> RefreshWanted:
        """Return what is to be refreshed; raise the Problem of what cannot be."""
        configuration, keys = self._around.configuration(), asked.keys
        if configuration is not OFFERED:
            keys = keys or {str(key): str(key) for key in configuration.streams.series}
            check_collected(keys, configuration)
        elif keys is None:
            # Of the simulator's own offer those that spoke.
            async with self._around.store.acting() as connection:
                keys = {row["symbol"]: row["symbol"] for row in await connection.fetch(STORED, MAX_SYMBOLS)}
        if not keys:
            detail = "no macro series is collected; add some to streams.macro.keys of the configuration"
            raise invalid_field("keys", "not_collected", detail)
        return RefreshWanted(keys=tuple(sorted(set(keys.values()))), full=asked.full)

    async def _check_budgets(self, requests: Mapping[str, int]) -> None:
        around, now = self._around, wall_us()
        configuration, spent = around.configuration(), list[tuple[str, int, int]]()
        async with around.store.acting() as connection:
            for provider, count in requests.items():
                cap = day_cap(configuration, around.facts, provider, simulated=around.simulated)
                used = await used_today(connection, provider) or 0
                if cap is not None and used + count > cap:
                    spent.append((provider, used, cap))
        if spent:
            reset = WallTime(now // DAY_US * DAY_US + DAY_US)
            provider, used, cap = spent[0]
            retry_s = (reset - now) // SECOND_US + 1
            raise exhausted(provider, used, cap, rfc3339(reset), retry_s)

    async def _begun(self, wanted: RefreshWanted, actor: str, key: str) -> RefreshBegun:
        """Return the refresh that is under way for what is wanted; begin it where there is none."""
        now, ended = wall_us(), ""
        since = WallTime(now - LIFETIME_S * SECOND_US)
        wish = RefreshWish(
            subject=wanted.subject,
            content=wanted.content,
            job_id=job_id_of(wanted, now),
            actor=actor,
            key=key,
        )
        while True:
            async with self._around.store.acting() as connection:
                begun = await begin(connection, wish, since=since, ended=ended)
            if begun.refusal:
                detail = (
                    f"this {KEY_HEADER} stands for another request of yours; take a new key for a new request"
                )
                raise about(KEY_HEADER, "idempotency_key_reused", detail)
            if begun.is_new:
                await self._publish(wanted, wish, now)
                return begun
            if begun.is_kept or ended or not await self._has_ended(begun.job_id, wanted):
                return begun
            ended = begun.job_id

    async def _publish(self, wanted: RefreshWanted, wish: RefreshWish, now: WallTime) -> None:
        parts = by_partition(wanted.keys, self._around.partitions)
        slot = self._around.clock.now_us()
        try:
            await self._log.publish(
                {
                    partition: _job(wish.job_id, keys, slot, now, full=wanted.full)
                    for partition, keys in parts.items()
                }
            )
        except BrokerUnavailable as error:
            async with self._around.store.acting() as connection:
                await lose(connection, wish)
            raise _unavailable(error) from error

    async def _has_ended(self, job_id: str, wanted: RefreshWanted) -> bool:
        outcomes = JobOutcomes(job_id=job_id, begun=begun_of(job_id))
        try:
            await self._log.read(outcomes, sorted(by_partition(wanted.keys, self._around.partitions)))
        except BrokerUnavailable as error:
            raise _unavailable(error) from error
        return not outcomes.lacks(wanted.keys)

    async def _ended(self, job_id: str, wanted: RefreshWanted, wait_s: int) -> Mapping[str, Any] | None:
        """Return what came of a refresh once it has ended and is stored; None where it has not within the time."""
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                return await self._outcome(job_id, wanted)
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1

    async def _outcome(self, job_id: str, wanted: RefreshWanted) -> Mapping[str, Any]:
        keys = wanted.keys
        partitions = sorted(by_partition(keys, self._around.partitions))
        outcomes = JobOutcomes(job_id=job_id, begun=begun_of(job_id))
        expires = outcomes.begun + LIFETIME_S * SECOND_US
        try:
            await self._log.read(outcomes, partitions)
            while outcomes.lacks(keys) and wall_us() < expires:
                await asyncio.sleep(LOOK_EVERY_S)
                await self._log.read(outcomes, partitions)
        except BrokerUnavailable as error:
            raise _unavailable(error) from error
        await self._stored(outcomes, partitions)
        return await _came_of(self._around.store, outcomes, wanted, self._around.facts)

    async def _stored(self, outcomes: JobOutcomes, partitions: Sequence[int]) -> None:
        """Return once all that was told by the end of a job is stored."""
        told = KnowledgeTime(outcomes.finished_time)
        while outcomes.finished_time:
            with suppress(Problem):
                await self._watermarks.reached(told, (MACRO_STREAM.topic,), partitions)
                break


def _job(job_id: str, keys: Sequence[str], slot: MarketTime, now: WallTime, *, full: bool) -> Job:
    return Job(
        version=VERSION,
        job_id=job_id,
        type="poll",
        source=SOURCE,
        priority=PRIORITY,
        created_time=now,
        deadline=WallTime(now + LIFETIME_S * SECOND_US),
        capability=MACRO_STREAM.name,
        symbols=tuple(keys),
        slot=slot,
        start=MarketTime(ALL_VINTAGES) if full else NO_MARKET_TIME,
    )


def _unavailable(error: BrokerUnavailable) -> Problem:
    return Problem(code="broker_unavailable", detail=str(error), retry_after_s=RETRY_S)


async def _came_of(
    store: Snapshots, outcomes: JobOutcomes, wanted: RefreshWanted, facts: Mapping[str, ProviderFacts]
) -> dict[str, Any]:
    """Return the rows of a refresh that ended; raise the Problem of a store that is away."""
    keys = list(wanted.keys)
    since = WallTime(outcomes.begun // CLOCK_US * CLOCK_US)
    async with store.snapshot() as snapshot:
        changed = await snapshot.fetch(CHANGED, keys, since)
        without = await snapshot.fetch(WITHOUT_VINTAGES, keys)
    stored = {
        row["symbol"]: StoredVintages(count=row["count"], first=Day(row["first"]), last=Day(row["last"]))
        for row in changed
    }
    return outcome_row(wanted, outcomes.by_symbol, stored, {row["symbol"] for row in without}, facts)
