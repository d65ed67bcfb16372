"""The market clock at a simulator that answers, stands, goes back, or is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from infra.runtime.clock import SimulatorMarketClock
from schemas.errors import ProviderUnavailable
from tests.conftest import free_port


@asynccontextmanager
async def telling(
    *documents: dict[str, Any],
) -> AsyncIterator[tuple[SimulatorMarketClock, aiohttp.ClientSession]]:
    """Serve these readings, one after the other; yield a clock that asks for them, and how."""
    left = list(documents)

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(left.pop(0))

    app = web.Application()
    app.router.add_get("/simulator/clock", tell)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield SimulatorMarketClock(f"http://127.0.0.1:{port}"), session
    finally:
        await runner.cleanup()


async def test_market_time_never_goes_back() -> None:
    """A later reading that says less does not rewind the market."""
    readings = ({"market_time": 1_000_000, "speed": 1}, {"market_time": 0, "speed": 1})
    async with telling(*readings) as (clock, session):
        await clock.refresh(session)
        first = clock.now_us()
        await clock.refresh(session)

        assert first >= 1_000_000
        assert clock.now_us() >= first


async def test_without_a_pace_market_time_stands_where_it_was_read() -> None:
    """At the speed `max` nothing passes by itself."""
    async with telling({"market_time": 1_000_000, "speed": "max"}) as (clock, session):
        await clock.refresh(session)

        assert (clock.now_us(), clock.speed) == (1_000_000, float("inf"))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"speed": 1}, id="no-time"),
        pytest.param({"market_time": "noon", "speed": 1}, id="no-number"),
        pytest.param({"market_time": 1, "speed": "fast"}, id="no-speed"),
    ],
)
async def test_an_answer_without_time_is_an_outage_that_keeps_the_last_reading(
    document: dict[str, Any],
) -> None:
    """It is told with the address that was asked."""
    async with telling({"market_time": 7, "speed": "max"}, document) as (clock, session):
        await clock.refresh(session)
        with pytest.raises(ProviderUnavailable, match="no market clock at http://127"):
            await clock.refresh(session)

        assert clock.now_us() == 7
