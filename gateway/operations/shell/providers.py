"""`GET /stats/providers`: who serves what and why, how well everybody does, and what changed."""

from __future__ import annotations

from aiohttp import web

from gateway.database import statements
from gateway.database.shell.snapshot import Store
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import Endpoint, answer
from gateway.operations.providers import provider_stats, providers_request
from infra.runtime.clock import wall_us


class ProviderStats:
    """Answers from the stored history of provider health."""

    def __init__(self, store: Store) -> None:
        """Read through `store`."""
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [Endpoint(method="GET", path="/stats/providers", scope="read", handler=self.providers)]

    async def providers(self, request: web.Request) -> web.StreamResponse:
        """GET /stats/providers: by capability; history has at most 60 points a provider."""
        ask, now = providers_request(request.query.items()), wall_us()
        start = now - ask.window
        which = (ask.capability, ask.provider)
        async with self._store.snapshot() as snapshot:
            newest = await snapshot.rows(statements.PROVIDERS_NEWEST, *which)
            history = await snapshot.rows(statements.PROVIDERS_HISTORY, *which, start, ask.step / 1e6)
            switches = await snapshot.rows(statements.PROVIDERS_SWITCHES, *which, start, ask.limit)
        data = provider_stats(newest, history, switches, now)
        meta = {"window": ask.window_name, "start": rfc3339(start), "end": rfc3339(now)}
        return answer(data, meta, request)
