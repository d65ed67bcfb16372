"""Health and metrics of all services, summed up."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from schemas.topics import CANONICAL_TOPICS
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest


async def test_health_is_the_sum_of_the_services_and_metrics_their_union(database: str) -> None:
    """A service that does not answer is down there and 0 here."""

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response({"ok": False, "parts": {"database": {"ready": False}}}, status=503)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(text="# TYPE mds_rows_written_total counter\nmds_rows_written_total 7\n")

    ops = web.Application()
    ops.add_routes([web.get("/readyz", readyz), web.get("/metrics", exposition)])
    async with TestServer(ops) as sinks:
        url = f"http://127.0.0.1:{sinks.port}"
        async with rest(database, ops_urls={"sinks": url}) as gateway:
            await _database_seen(gateway)
            health = await gateway.get("/health")
            assert (health["status"], health["services"]["sinks"]["status"]) == ("degraded", "degraded")
            assert health["services"]["gateway"]["status"] == "ok"
            assert len(health["watermarks"]["marks"]) == 4 * len(CANONICAL_TOPICS)
        async with rest(database, ops_urls={"sinks": url, "producers": "http://127.0.0.1:9"}) as gateway:
            await _database_seen(gateway)
            assert (await gateway.get("/health"))["status"] == "down"
            _, _, text = await gateway.ask("GET", "/metrics")
            assert 'mds_rows_written_total{service="sinks"} 7' in text
            assert 'mds_scrape_up{service="sinks"} 1' in text
            assert 'mds_scrape_up{service="producers"} 0' in text
            assert 'mds_http_requests_total{service="gateway",route="/health",status="200"}' in text


async def _database_seen(gateway: Any) -> None:
    await eventually(lambda: gateway.process.health.ready() and gateway.process.health.parts, within_s=5)
