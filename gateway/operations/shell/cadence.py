"""`GET /stats/cadence`: how well each group of streams keeps to its cadence, by replica, in sum and over time."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Store
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import Serves, answer
from gateway.operations.cadence import cadence_stats
from gateway.operations.statistics_request import CADENCE, WINDOWS_US, step_us
from infra.runtime.clock import wall_us

_CHOSEN = """
    ended_time >= $4 AND ($1::text IS NULL OR capability = $1) AND ($2::text IS NULL OR provider = $2)
    AND ($3::text IS NULL OR tier = $3)"""

# By group and replica: $1 capability, $2 provider, $3 tier (null: all), $4 not before.
TOTALS = f"""
    SELECT capability, provider, tier, replica, max(ended_time) AS ended_time,
           sum(due) AS due, sum(begun) AS begun, sum(succeeded) AS succeeded, sum(failed) AS failed,
           sum(skipped) AS skipped, sum(missed) AS missed, sum(symbol_polls) AS symbol_polls,
           sum(market_s * symbols) AS symbol_s, max(error_max_ms) AS error_max_ms,
           (array_agg(every_s ORDER BY ended_time DESC))[1] AS every_s,
           (array_agg(symbols ORDER BY ended_time DESC))[1] AS symbols,
           (array_agg(stale_s ORDER BY ended_time DESC))[1] AS stale_s,
           (array_agg(stale_symbols ORDER BY ended_time DESC))[1] AS stale_symbols
    FROM cadence WHERE {_CHOSEN} GROUP BY 1, 2, 3, 4"""  # noqa: S608 - constants only

# The same parameters; lateness by bucket.
ERRORS = f"""
    SELECT capability, provider, tier, replica, bucket, sum(count) AS count
    FROM cadence CROSS JOIN LATERAL unnest(buckets, counts) AS error(bucket, count)
    WHERE {_CHOSEN} GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608 - constants only

# The same; $5 seconds a point stands for.
HISTORY = f"""
    SELECT capability, provider, tier, date_bin(make_interval(secs => $5::float8), ended_time, $4) AS time,
           sum(due) AS due, sum(missed) AS missed, sum(failed) AS failed, sum(symbol_polls) AS symbol_polls,
           sum(market_s * symbols) AS symbol_s, max(error_p99_ms) AS error_p99_ms,
           max(error_max_ms) AS error_max_ms, max(stale_s) AS stale_s
    FROM cadence WHERE {_CHOSEN} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""  # noqa: S608 - constants only


class CadenceStats:
    """Answers from the stored windows of the producers."""

    def __init__(self, store: Store) -> None:
        """Read through `store`."""
        self._store = store

    async def cadence(self, request: web.Request) -> web.StreamResponse:
        """GET /stats/cadence: by capability, provider and tier; history has at most 61 points a group."""
        ask, now = CADENCE.parse(request.query.items()), wall_us()
        start = now - WINDOWS_US[ask.window]
        which = (ask.capability, ask.provider, ask.tier, start)
        async with self._store.snapshot() as snapshot:
            totals = await snapshot.rows(TOTALS, *which)
            errors = await snapshot.rows(ERRORS, *which)
            history = await snapshot.rows(HISTORY, *which, step_us(ask.window) / 1e6)
        data = cadence_stats(totals, errors, history, now)
        meta = {"window": ask.window, "start": rfc3339(start), "end": rfc3339(now)}
        return answer(data, meta, request)

    serves: ClassVar[Serves] = ((CADENCE, cadence),)
