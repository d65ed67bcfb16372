"""`/health` and `/metrics`: the whole service seen from its front door."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aiohttp import web

from gateway.database.shell.watermarks import Watermarks
from gateway.http.parameters import Parameters
from gateway.http.shell.answers import Endpoint, document
from gateway.operations.services import merged, overall, service_status
from gateway.operations.shell.ops_ports import OpsPorts
from infra.runtime import metrics
from infra.runtime.clock import MarketClock, rfc3339, wall_us
from infra.runtime.lifecycle import VERSION, Process


class LiveState(Protocol):
    """The live side as it describes itself."""

    def document(self) -> dict[str, Any]:
        """Return its state as JSON types."""


class Status:
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

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            Endpoint(method="GET", path="/health", scope="read", handler=self.health),
            Endpoint(method="GET", path="/metrics", scope="read", handler=self.metrics),
        ]

    async def health(self, request: web.Request) -> web.StreamResponse:
        """GET /health: 503 only where this process itself cannot serve."""
        Parameters(request.query.items(), ()).check()
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
        Parameters(request.query.items(), ()).check()
        texts = await self._ports.metrics()
        own, content_type = metrics.render()
        texts["gateway"] = own.decode()
        text = await asyncio.to_thread(merged, texts)
        return web.Response(body=text.encode(), headers={"Content-Type": content_type})
