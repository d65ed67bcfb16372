"""Scenario, clock and counters of a running simulator."""

from __future__ import annotations

from infra.simulator.market.synthetic import DEFAULT_SYMBOLS
from tests.support.simulated_vendor import (
    CHART,
    NOW_US,
    SYNTHETIC_NOW,
    Served,
    chart_reply,
)


async def test_a_wrong_scenario_leaves_the_old_one_in_force(served: Served) -> None:
    """422 with the hint, and GET still shows the one before."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario({"match": CHART, "fault": {"type": "html"}})
        before = await vendor.json("/simulator/scenario")
        async with vendor.http.put(f"{vendor.url}/simulator/scenario", data="- {fualt: 1}") as response:
            assert response.status == 422
            assert "did you mean fault" in (await response.json())["error"]
        assert await vendor.json("/simulator/scenario") == before
        await vendor.scenario(*before["rules"])
        assert await vendor.json("/simulator/scenario") == before


async def test_the_clock_is_moved_forward_only(served: Served) -> None:
    """A step to the past, an unknown field and a wrong type are refused and named."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        state = await vendor.clock(pause=True)
        assert set(state) == {"market_time", "speed", "start", "synthetic", "end"}
        assert (state["start"], state["synthetic"], state["end"]) == (NOW_US, True, None)
        assert (await vendor.clock(step_us=5))["market_time"] == state["market_time"] + 5
        assert (await vendor.clock(speed=2, pause=False))["speed"] == 2.0
        assert (await vendor.clock(speed="max"))["speed"] == "max"
        for wrong, word in (
            ({"market_time": 1}, "never moves back"),
            ({"time": 1}, "time"),
            ({"step_us": 1.5}, "step_us"),
            ({"pause": 1}, "pause"),
            ({"speed": "fast"}, "speed"),
        ):
            async with vendor.http.post(f"{vendor.url}/simulator/clock", json=wrong) as response:
                assert response.status == 422
                assert word in (await response.json())["error"]


async def test_symbols_and_counters_are_told(served: Served) -> None:
    """The list says what each symbol offers; every request is counted by route and status."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        rows = (await vendor.json("/simulator/symbols"))["symbols"]
        assert [row["symbol"] for row in rows] == [*DEFAULT_SYMBOLS, "^SIMX"]
        streams = ["bars", "quotes", "trades"]
        said = {
            "symbol": "SIM001",
            "calendar": "24/7",
            "synthetic": True,
            "streams": streams,
            "options": True,
        }
        assert rows[0] == said
        await chart_reply(vendor)
        await vendor.get("/yahoo/v8/finance/chart/NOPE")
        stats = await vendor.stats()
        assert stats["requests"] == {"yahoo.chart": 2}
        assert stats["responses"] == {"yahoo.chart 200": 1, "yahoo.chart 404": 1}
        assert (await vendor.json("/simulator/health"))["status"] == "ok"
