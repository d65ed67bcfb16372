"""`GET /stats/...`: what the journals say, each view by the same steps from one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web

from gateway.database.shell.snapshot import Store
from gateway.http.moments import aware, micros, rfc3339
from gateway.http.shell.answers import Endpoint, answer
from gateway.operations import cadence, providers
from gateway.operations.statistics import StatisticsView
from infra.runtime.clock import wall_us

VIEWS = (providers.VIEW, cadence.VIEW)


class JournalStatistics:
    """Answers from the stored journals."""

    def __init__(self, store: Store, views: Sequence[StatisticsView] = VIEWS) -> None:
        """Read through `store`."""
        self._store = store
        self._views = views

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            Endpoint(method="GET", path=view.path, scope="read", handler=partial(self._answer, view))
            for view in self._views
        ]

    async def _answer(self, view: StatisticsView, request: web.Request) -> web.StreamResponse:
        ask, now = view.ask(request.query.items()), wall_us()
        start = now - ask.window
        async with self._store.snapshot() as snapshot:
            rows = [
                _plain(await snapshot.rows(statement.text, *statement.values(ask, aware(start))))
                for statement in view.statements
            ]
        meta = {"window": ask.window_name, "start": rfc3339(start), "end": rfc3339(now)}
        return answer(view.show(*rows, now), meta, request)


def _plain(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return rows as the views take them: times in µs."""
    return [
        {name: micros(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows
    ]
