"""`GET /stats/...`: the journals, each view of them by the same steps from one snapshot."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshots
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import Handler, Serves, answer
from gateway.operations import cadence, providers
from gateway.operations.statistics import WINDOWS_US, StatisticsView
from infra.runtime.clock import wall_us
from schemas.clocks import WallTime

VIEWS = (providers.VIEW, cadence.VIEW)


def answering(view: StatisticsView) -> Handler:
    """Return the method of JournalStatistics that answers a view."""

    async def handler(feature: JournalStatistics, request: web.Request) -> web.StreamResponse:
        ask, now = view.endpoint.parse(request.query.items()), wall_us()
        start = WallTime(now - WINDOWS_US[ask.window])
        async with feature.store.snapshot() as snapshot:
            found = [
                await snapshot.rows(statement.text, *statement.values(ask, start))
                for statement in view.statements
            ]
        meta = {"window": ask.window, "start": rfc3339(start), "end": rfc3339(now)}
        return answer(view.show(*found, now), meta, request)

    return handler


class JournalStatistics:
    """Answers from the stored journals."""

    serves: ClassVar[Serves] = tuple((view.endpoint, answering(view)) for view in VIEWS)

    def __init__(self, store: Snapshots) -> None:
        """Read through `store`."""
        self.store = store
