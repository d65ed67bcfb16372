"""Faults of a request over real sockets."""

from __future__ import annotations

import asyncio
import time

import orjson
import pytest

from infra.simulator.market.synthetic import DEFAULT_SYMBOLS
from tests.support.simulated_vendor import (
    CHART,
    NOW_US,
    SYNTHETIC_NOW,
    Served,
    chart_of,
    chart_reply,
)


async def test_a_throttled_chart_may_say_for_how_long(served: Served) -> None:
    """429 in plain text, with and without Retry-After; then the limit is used up."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        fault = {"type": "status", "status": 429}
        await vendor.scenario(
            {"match": CHART, "when": {"limit": 1}, "fault": {**fault, "retry_after": 5}},
        )
        status, content, headers = await chart_reply(vendor)
        assert (status, content, headers["Retry-After"]) == (429, b"Too Many Requests", "5")
        assert (await chart_reply(vendor))[0] == 200
        await vendor.scenario({"match": CHART, "fault": fault})
        status, _, headers = await chart_reply(vendor)
        assert status == 429
        assert "Retry-After" not in headers


async def test_errors_speak_the_vendors_language(served: Served) -> None:
    """A 500 and a 403 of Finnhub carry an error key; a body of one's own is sent as it is."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario(
            {"match": {"endpoint": "candle"}, "fault": {"type": "status", "status": 403}},
            {"match": CHART, "fault": {"type": "status", "status": 503, "body": '{"chart":null}'}},
        )
        status, content = await vendor.get("/finnhub/api/v1/stock/candle", token="k")
        assert (status, orjson.loads(content)) == (403, {"error": "You don't have access to this resource."})
        assert (await chart_reply(vendor))[:2] == (503, b'{"chart":null}')


async def test_a_hanging_request_outlasts_the_clients_patience(served: Served) -> None:
    """The answer comes only after the time the scenario names."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario({"match": CHART, "fault": {"type": "hang", "s": 30}})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await chart_reply(vendor)
        await vendor.scenario({"match": CHART, "fault": {"type": "hang", "s": 0.3}})
        begin = time.monotonic()
        assert (await chart_reply(vendor))[0] == 200
        assert time.monotonic() - begin >= 0.3


async def test_bodies_can_be_cut_or_replaced(served: Served) -> None:
    """Truncated JSON, a web page, zeros, and a crumb that is none."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        _, whole, _ = await chart_reply(vendor)
        await vendor.scenario({"match": CHART, "fault": {"type": "truncate", "bytes": 100}})
        status, content, _ = await chart_reply(vendor)
        assert (status, content) == (200, whole[:100])
        await vendor.scenario(
            {"match": CHART, "fault": {"type": "html"}},
            {"match": {"vendor": "finnhub", "endpoint": "quote"}, "fault": {"type": "zero_quote"}},
            {"match": {"endpoint": "crumb"}, "fault": {"type": "crumb_429"}},
        )
        status, content, headers = await chart_reply(vendor)
        assert (status, headers["Content-Type"]) == (200, "text/html;charset=utf-8")
        assert b"Will be right back" in content
        quote = await vendor.json("/finnhub/api/v1/quote", symbol="SIM001", token="k")
        assert (quote["c"], quote["t"]) == (0, 0)
        assert await vendor.get("/yahoo/v1/test/getcrumb") == (429, b"Too Many Requests")


async def test_bars_can_be_null_late_and_corrected(served: Served) -> None:
    """Each of the three shows in the chart of its symbol and nowhere else."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.clock(pause=True)
        window = {"interval": "1m", "period1": NOW_US // 10**6 - 630, "period2": NOW_US // 10**6}
        honest = {symbol: await chart_of(vendor, symbol, **window) for symbol in DEFAULT_SYMBOLS[:4]}
        await vendor.scenario(
            {"match": {**CHART, "symbol": "SIM001"}, "fault": {"type": "null_bars", "minutes": ["15:55"]}},
            {"match": {**CHART, "symbol": "SIM002"}, "fault": {"type": "late_bars", "by_s": 120}},
            {
                "match": {**CHART, "symbol": "SIM003"},
                "fault": {"type": "correct_bars", "minute": "15:58", "close_delta": 1.5, "after_s": 120},
            },
        )
        spoiled = {symbol: await chart_of(vendor, symbol, **window) for symbol in DEFAULT_SYMBOLS[:4]}
        assert [row[1:] for row in spoiled["SIM001"] if None in row] == [(None,) * 5]
        assert spoiled["SIM002"] == honest["SIM002"][:-3]  # two minutes late, and the one in progress
        assert spoiled["SIM003"] == honest["SIM003"]
        assert spoiled["SIM004"] == honest["SIM004"]
        await vendor.clock(step_us=60_000_000)
        before = {row[0]: row for row in honest["SIM003"]}
        changed = [r for r in await chart_of(vendor, "SIM003", **window) if r != before.get(r[0], r)]
        assert [row[4] for row in changed] == [round(before[changed[0][0]][4] + 1.5, 4)]
