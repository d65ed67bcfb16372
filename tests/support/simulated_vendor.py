"""A client of one running simulator, and readers of what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson

NEW_YORK = ZoneInfo("America/New_York")

SYNTHETIC_NOW = "2026-11-22T16:00:30Z"

NOW_US = 1_795_363_230_000_000  # SYNTHETIC_NOW

Served = Callable[..., AbstractAsyncContextManager["Vendor"]]


class Vendor:
    """A client of one running simulator."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def get(self, path: str, **query: Any) -> tuple[int, bytes]:
        """Return status and body of a GET."""
        params = {name: str(value) for name, value in query.items()}
        async with self.http.get(self.url + path, params=params) as response:
            return response.status, await response.read()

    async def json(self, path: str, **query: Any) -> Any:
        """Return the decoded body of a GET that must succeed."""
        status, content = await self.get(path, **query)
        assert status == 200, content
        return orjson.loads(content)

    async def clock(self, **change: Any) -> Any:
        """Move the clock and return its state."""
        async with self.http.post(f"{self.url}/simulator/clock", json=change) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def scenario(self, *rules: dict[str, Any]) -> None:
        """Put a scenario in force."""
        async with self.http.put(f"{self.url}/simulator/scenario", json={"rules": rules}) as response:
            assert response.status == 200, await response.text()

    async def stats(self) -> Any:
        """Return the simulator's counters."""
        return await self.json("/simulator/stats")

    def socket(self, key: str = "key") -> Any:
        """Open the trade stream."""
        return self.http.ws_connect(f"{self.url}/finnhub/ws?token={key}", max_msg_size=0)


async def next_frame(socket: aiohttp.ClientWebSocketResponse, within_s: float = 10.0) -> bytes | None:
    """Return the next trade frame, None when the connection ended."""
    while True:
        message = await asyncio.wait_for(socket.receive(), within_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        if '"type":"trade"' in message.data:
            return str(message.data).encode()


async def chart_of(vendor: Vendor, symbol: str, **query: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a chart."""
    document = await vendor.json(f"/yahoo/v8/finance/chart/{symbol}", **query)
    (result,) = document["chart"]["result"]
    (quote,) = result["indicators"]["quote"]
    columns = [quote.get(name, []) for name in ("open", "high", "low", "close", "volume")]
    return list(zip(result.get("timestamp", []), *columns, strict=True))


CHART = {"vendor": "yahoo", "endpoint": "chart"}

SOCKET = {"vendor": "finnhub", "endpoint": "socket"}


async def chart_reply(vendor: Vendor) -> tuple[int, bytes, Any]:
    """Return status, body and headers of one chart request."""
    url = f"{vendor.url}/yahoo/v8/finance/chart/SIM001"
    async with vendor.http.get(url, params={"interval": "1m", "range": "1d"}) as response:
        return response.status, await response.read(), response.headers
