"""`/health` and `/metrics`: the whole service seen from its front door."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Protocol, get_args

from aiohttp import web

from gateway.database.shell.watermarks import Watermarks
from gateway.http.columns import (
    ANYTHING,
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Column,
    by_name,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Query
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import Serves, document
from gateway.http.shell.whole import WholeAnswer
from gateway.operations.services import Verdict, merged, overall, service_status
from gateway.operations.shell.ops_ports import OpsPorts
from infra.runtime import metrics
from infra.runtime.clock import MarketClock, wall_us
from infra.runtime.lifecycle import VERSION, Process

EVERY_SERVICE_ASKED = 5  # units
_SERVICE = record(
    Column("status", words_of(get_args(Verdict)), "ok, degraded or down."),
    Column("detail", TEXT, "Why it is down.", always=False),
    Column("parts", by_name({"type": "object"}), "What each part of it says of itself."),
)
_MARK = record(
    Column("topic", TEXT, "Canonical topic."),
    Column("partition", WHOLE, "Its partition."),
    Column("complete_before", TIME, "Everything known before it is stored.", "UTC"),
    Column("age_s", NUMBER, "Its age.", "s"),
)
_STATE = record(
    Column("status", words_of(get_args(Verdict)), "Of the whole: one stage that is down brings it down."),
    Column("version", TEXT, "Of the gateway."),
    Column("now", TIME, "Wall time.", "UTC"),
    Column("market_time", TIME, "Time of the market.", "UTC"),
    Column("stopping", FLAG, "The gateway is about to end."),
    Column("services", by_name(_SERVICE), "By name."),
    Column(
        "watermarks",
        record(
            Column("seconds_since_read", or_null(NUMBER), "Age of the reading; null: none yet.", "s"),
            Column("marks", rows(_MARK), "One a partition."),
        ),
        "How complete the store is.",
    ),
    Column("live", by_name(ANYTHING), "What the live topics' reader says of itself."),
)
HEALTH = Endpoint(
    method="GET",
    path="/health",
    scope="read",
    topic="Operations",
    summary="The state of every service, with watermarks.",
    cost=EVERY_SERVICE_ASKED,
    query=Query,
    answers={
        200: (Answer(words="The gateway can serve.", schema=_STATE),),
        503: (Answer(words="It cannot.", schema=_STATE),),
    },
)
METRICS = Endpoint(
    method="GET",
    path="/metrics",
    scope="read",
    topic="Operations",
    summary="Metrics of every service in one exposition.",
    cost=EVERY_SERVICE_ASKED,
    query=Query,
    answers={
        200: (Answer(words="Prometheus text; each sample has its service.", media="text/plain", schema=TEXT),)
    },
)


class LiveState(Protocol):
    """The live side as it describes itself."""

    def document(self) -> dict[str, Any]:
        """Return its state as JSON types."""


class ServiceStatus:
    """Answers for the gateway itself and for the services behind it."""

    def __init__(
        self, process: Process, ports: OpsPorts, watermarks: Watermarks, live: LiveState, clock: MarketClock
    ) -> None:
        """`process` is this one; the others are asked through `ports`."""
        self._process = process
        self._ports = ports
        self._watermarks = watermarks
        self._live = live
        self._clock = clock

    async def health(self, request: web.Request) -> web.StreamResponse:
        """GET /health: 503 only where this process itself cannot serve."""
        HEALTH.parse(request.query.items())
        readiness = await self._ports.readiness()
        services = {name: service_status(answer) for name, answer in readiness.items()}
        own, health = self._process.health.document(), self._process.health
        stopping = self._process.stopping.is_set()
        serving = not stopping and health.live() and any(part["ready"] for part in own.values())
        services["gateway"] = {
            "status": "ok" if health.ready() and serving else "degraded" if serving else "down",
            "parts": own,
        }
        body = {
            "status": overall({name: entry["status"] for name, entry in services.items()}, serving=serving),
            "version": VERSION,
            "now": rfc3339(wall_us()),
            "market_time": rfc3339(self._clock.now_us()),
            "stopping": stopping,
            "services": services,
            "watermarks": self._watermarks.document(),
            "live": self._live.document(),
        }
        return document(body, status=200 if serving else 503)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics: the union of all services, each sample with its service."""
        METRICS.parse(request.query.items())
        texts = await self._ports.metrics()
        own, content_type = metrics.render()
        texts["gateway"] = own.decode()
        text = await asyncio.to_thread(merged, texts)
        return WholeAnswer(body=text.encode(), headers={"Content-Type": content_type})

    serves: ClassVar[Serves] = ((HEALTH, health), (METRICS, metrics))
