"""What the tests of this folder are given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from infra.simulator.server import build_simulation, serving
from tests.support.simulated_vendor import (
    NOW_US,
    Served,
    Vendor,
)


@pytest.fixture
def served() -> Served:
    """Run a simulator on a free port for the length of a block."""

    @asynccontextmanager
    async def run(
        *, data: Path | None = None, start: str = "", speed: str = "max", seed: int = 1
    ) -> AsyncIterator[Vendor]:
        simulation = build_simulation(
            data=data, start=start, speed=speed, seed=seed, scenario=None, wall_time=NOW_US
        )
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address are kept
        async with serving(simulation, 0) as url, aiohttp.ClientSession(cookie_jar=jar) as http:
            yield Vendor(url, http)

    return run
