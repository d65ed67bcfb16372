"""`GET /stats/providers`: who serves what and why, how well everybody does, and what changed."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from gateway.database import statements
from gateway.database.shell.snapshot import Store
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import Serves, answer
from gateway.operations.providers import provider_stats
from gateway.operations.statistics_request import PROVIDERS, WINDOWS_US, step_us
from infra.runtime.clock import wall_us


class ProviderStats:
    """Answers from the stored history of provider health."""

    def __init__(self, store: Store) -> None:
        """Read through `store`."""
        self._store = store

    async def providers(self, request: web.Request) -> web.StreamResponse:
        """GET /stats/providers: by capability; history has at most 60 points a provider."""
        ask, now = PROVIDERS.parse(request.query.items()), wall_us()
        start = now - WINDOWS_US[ask.window]
        which = (ask.capability, ask.provider)
        async with self._store.snapshot() as snapshot:
            newest = await snapshot.rows(statements.PROVIDERS_NEWEST, *which)
            history = await snapshot.rows(
                statements.PROVIDERS_HISTORY, *which, start, step_us(ask.window) / 1e6
            )
            switches = await snapshot.rows(statements.PROVIDERS_SWITCHES, *which, start, ask.limit)
        data = provider_stats(newest, history, switches, now)
        meta = {"window": ask.window, "start": rfc3339(start), "end": rfc3339(now)}
        return answer(data, meta, request)

    serves: ClassVar[Serves] = ((PROVIDERS, providers),)
