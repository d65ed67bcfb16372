"""The simulator over real sockets: whole days, whole tapes, cookies, clocks and every fault."""

from __future__ import annotations

import aiohttp
import orjson
import pytest

from infra.simulator.server import build_simulation, serving
from schemas.errors import ConfigurationError
from tests.support.simulated_vendor import (
    NOW_US,
    SYNTHETIC_NOW,
    Served,
)


async def test_finnhub_needs_a_key(served: Served) -> None:
    """None is 401, by query or header it is fine, a banned one is 401 on REST and on the socket."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        path = "/finnhub/api/v1/quote"
        assert (await vendor.get(path, symbol="SIM001"))[0] == 401
        await vendor.scenario({"fault": {"type": "ban_token", "token": "stolen"}})
        status, content = await vendor.get(path, symbol="SIM001", token="stolen")
        assert (status, orjson.loads(content)) == (401, {"error": "Invalid API key."})
        assert (await vendor.json(path, symbol="SIM001", token="good"))["c"] > 0
        async with vendor.http.get(
            vendor.url + path, params={"symbol": "SIM001"}, headers={"X-Finnhub-Token": "good"}
        ) as response:
            assert response.status == 200
        for token in ("", "stolen"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await vendor.socket(token)
            assert refused.value.status == 401


async def test_a_taken_port_is_named(served: Served) -> None:
    """The error says which port and which setting."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        port = int(vendor.url.rpartition(":")[2])
        simulation = build_simulation(data=None, start="", speed="1", seed=1, scenario=None, wall_time=NOW_US)
        with pytest.raises(ConfigurationError, match=f"{port}.*MDS_SIMULATOR_PORT"):
            async with serving(simulation, port):
                pass
