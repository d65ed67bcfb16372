"""`python -m gateway`: REST and WebSocket in front of the database and the live topics."""

from __future__ import annotations

import os

import aiohttp

from gateway import service
from gateway.adapters.keys import access, page_token_key
from gateway.adapters.live import LiveStreams
from gateway.adapters.ops_ports import ops_urls
from gateway.adapters.store import Store
from gateway.settings import GatewaySettings
from infra.runtime import lifecycle, postgres
from infra.runtime.clock import MarketClock, SimulatorMarketClock, WallMarketClock
from infra.runtime.settings import MdsSettings


async def main() -> None:
    """Wire the gateway and run it until it is told to stop."""
    shared, settings = MdsSettings.from_env(), GatewaySettings.from_env()
    granted, page_key = access(settings), page_token_key(settings, shared.home)
    clock: MarketClock = WallMarketClock()
    if shared.market_clock == "simulator":
        clock = SimulatorMarketClock(shared.simulator_base_url)
    async with (
        lifecycle.running("gateway", settings.ops_port, log_level=shared.log_level) as process,
        aiohttp.ClientSession() as session,
        postgres.pool(shared.dsn, service="gateway", size=settings.database_connections) as pool,
        LiveStreams.open(shared.bootstrap_servers, prefix=shared.topic_prefix) as live,
    ):
        resources = service.Resources(
            store=Store(pool, concurrent=settings.database_connections),
            live=live,
            session=session,
            clock=clock,
            access=granted,
            page_key=page_key,
            ops_urls=ops_urls(settings.services, os.environ),
        )
        await service.run(process, settings, shared, resources)


if __name__ == "__main__":
    lifecycle.run(main())
