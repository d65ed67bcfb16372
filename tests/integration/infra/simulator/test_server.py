"""The simulator over real sockets: whole days, whole tapes, cookies, clocks and every fault."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import socket as socket_module
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson
import pytest

from infra.simulator.market.synthetic import DEFAULT_SYMBOLS
from infra.simulator.server import build_simulation, serving
from schemas.errors import ConfigurationError
from tests.conftest import ROOT
from tests.support.eventually import eventually

NEW_YORK = ZoneInfo("America/New_York")
SYNTHETIC_NOW = "2026-11-22T16:00:30Z"
MAX_TRADES_AHEAD = 40_000  # 2.5 MB of buffers in two processes; 155,000 when the kernel is left to choose
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


async def next_frame(socket: aiohttp.ClientWebSocketResponse, within_s: float = 10.0) -> bytes | None:
    """Return the next trade frame, None when the connection ended."""
    while True:
        message = await asyncio.wait_for(socket.receive(), within_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        if '"type":"trade"' in message.data:
            return str(message.data).encode()


async def take(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[bytes]:
    """Return the next `count` trade frames, as sent."""
    frames = [await next_frame(socket) for _ in range(count)]
    assert None not in frames
    return [frame for frame in frames if frame is not None]


def trades_in(frames: list[bytes]) -> list[dict[str, Any]]:
    """Return the trades of frames in order."""
    return [trade for frame in frames for trade in orjson.loads(frame)["data"]]


def tick_rows(data: Path, symbol: str, day: str) -> list[tuple[int, float, int, str]]:
    """Return (ms since the epoch, price, size, condition) of a tick file, read without the code under test."""
    midnight = int(datetime.fromisoformat(day).replace(tzinfo=NEW_YORK).timestamp()) * 1_000
    with zipfile.ZipFile(data / "equity_tick" / symbol / f"{day.replace('-', '')}_trade.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    rows = csv.reader(io.StringIO(text))
    return [(midnight + int(r[0]), float(f"{r[1][:-4]}.{r[1][-4:]}"), int(r[2]), r[4]) for r in rows]


def minute_rows(data: Path, symbol: str, day: str) -> list[tuple[Any, ...]]:
    """Return (seconds, open, high, low, close, volume) of a minute file."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    with zipfile.ZipFile(data / "equity_minute" / symbol / f"{day.replace('-', '')}_trade.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    return [
        (
            int((midnight + timedelta(milliseconds=int(r[0]))).timestamp()),
            *(float(f"{price[:-4]}.{price[-4:]}") for price in r[1:5]),
            int(r[5]),
        )
        for r in csv.reader(io.StringIO(text))
    ]


async def chart_of(vendor: Vendor, symbol: str, **query: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a chart."""
    document = await vendor.json(f"/yahoo/v8/finance/chart/{symbol}", **query)
    (result,) = document["chart"]["result"]
    (quote,) = result["indicators"]["quote"]
    columns = [quote.get(name, []) for name in ("open", "high", "low", "close", "volume")]
    return list(zip(result.get("timestamp", []), *columns, strict=True))


@pytest.mark.parametrize(("symbol", "day"), [("spy", "2013-10-07"), ("goog", "2015-12-24")])
async def test_a_day_over_http_equals_its_file(
    served: Served, market_data: Path, symbol: str, day: str
) -> None:
    """Every row once and exact, none added, through a real socket."""
    rows = minute_rows(market_data, symbol, day)
    start = rows[0][0] - rows[0][0] % 86_400
    async with served(data=market_data) as vendor:
        window = {"interval": "1m", "period1": start, "period2": start + 108_000, "includePrePost": "true"}
        assert await chart_of(vendor, symbol.upper(), **window) == rows


async def test_all_trades_of_a_day_arrive_in_order_at_a_slow_reader(
    served: Served, market_data: Path
) -> None:
    """SPY's 250,601 trades of 2013-10-07 survive a client that stops reading, and the server does not run ahead."""
    rows = tick_rows(market_data, "spy", "2013-10-07")
    received: list[tuple[int, float, int, str]] = []
    frames: set[bytes] = set()
    pauses = [50_000, 120_000, 200_000]
    async with (
        served(data=market_data, start="2013-10-07T00:00:00-04:00") as vendor,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=small_socket)) as http,
        http.ws_connect(f"{vendor.url}/finnhub/ws?token=key", max_msg_size=0) as socket,
    ):
        await socket.send_json({"type": "subscribe", "symbol": "SPY"})
        while len(received) < len(rows):
            if pauses and len(received) >= pauses[0]:
                pauses.pop(0)
                assert 0 <= await stalled(vendor) - len(received) <= MAX_TRADES_AHEAD, (
                    "it ran ahead of its client"
                )
            frame = await next_frame(socket)
            assert frame is not None
            assert frame not in frames
            frames.add(frame)
            received += [(t["t"], t["p"], t["v"], t["c"][0]) for t in trades_in([frame])]
        clock = await vendor.json("/simulator/clock")
    assert received[: len(rows)] == rows
    assert clock["speed"] == "max"
    assert clock["market_time"] >= rows[-1][0] * 1_000


def small_socket(address: Any) -> socket_module.socket:
    """Return a socket with a small receive buffer, so that a client that does not read is noticed at once."""
    made = socket_module.socket(address[0], address[1], address[2])
    made.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, 32 * 1024)
    made.setblocking(False)
    return made


async def stalled(vendor: Vendor) -> int:
    """Return how many SPY trades were written once writing has stopped because nobody reads."""
    before = -1

    async def is_still() -> bool:
        nonlocal before
        sent = (await vendor.stats())["trades_sent"].get("SPY", 0)
        still, before = sent == before, sent
        return still

    await eventually(is_still, within_s=20, every_s=0.2)
    return before


async def test_two_symbols_are_merged_in_time_order(served: Served, market_data: Path) -> None:
    """SPY and IBM begin together and come as one tape; nothing of IBM is missing."""
    rows = tick_rows(market_data, "ibm", "2013-10-07")
    trades: list[dict[str, Any]] = []
    async with served(data=market_data) as vendor, vendor.socket() as socket:
        for symbol in ("SPY", "IBM"):
            await socket.send_json({"type": "subscribe", "symbol": symbol})
        while len(trades) < 250_601 + len(rows):
            trades += trades_in(await take(socket, 1))
    times = [trade["t"] for trade in trades]
    assert times == sorted(times)
    ibm = [(t["t"], t["p"], t["v"], t["c"][0]) for t in trades if t["s"] == "IBM"]
    assert ibm == rows


async def test_subscriptions_made_together_begin_together(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a clock the first symbol waits for those that follow at once, so time never steps back."""
    monkeypatch.setattr("infra.simulator.vendors.finnhub_socket.SETTLE_S", 1.0)
    async with served(start=SYNTHETIC_NOW) as vendor, vendor.socket() as socket:
        for symbol in DEFAULT_SYMBOLS[:3]:
            await subscribe(socket, symbol)
        trades = trades_in(await take(socket, 20))
    times = [trade["t"] for trade in trades]
    assert times == sorted(times)
    assert {trade["s"] for trade in trades} == set(DEFAULT_SYMBOLS[:3])


async def test_after_the_last_trade_the_socket_stays_open(
    served: Served, market_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the data is silence with pings, not a close."""
    monkeypatch.setattr("infra.simulator.vendors.finnhub_socket.PING_INTERVAL_S", 0.2)
    start = "2013-10-07T19:59:00-04:00"
    async with served(data=market_data, start=start) as vendor, vendor.socket() as socket:
        await socket.send_json({"type": "subscribe", "symbol": "IBM"})
        pings = 0
        while pings < 3:
            message = await asyncio.wait_for(socket.receive(), 10)
            assert message.type is aiohttp.WSMsgType.TEXT
            pings += message.data == '{"type":"ping"}'


async def test_a_paced_socket_follows_the_clock(served: Served) -> None:
    """Nothing comes while the clock stands; a step of a minute brings exactly that minute's trades."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor, vendor.socket() as socket:
        await vendor.clock(pause=True)
        begin = NOW_US - NOW_US % 60_000_000 + 60_000_000
        state = await vendor.clock(market_time=begin)
        assert (state["market_time"], state["speed"]) == (begin, 0.0)
        await subscribe(socket, "SIM001")
        await vendor.clock(step_us=60_000_000)
        (bar,) = await chart_of(
            vendor, "SIM001", interval="1m", period1=begin // 10**6, period2=begin // 10**6 + 60
        )
        trades: list[dict[str, Any]] = []
        while sum(trade["v"] for trade in trades) < bar[5]:
            trades += trades_in(await take(socket, 1))
        prices = [trade["p"] for trade in trades]
        assert (prices[0], max(prices), min(prices), prices[-1]) == bar[1:5]
        assert sum(trade["v"] for trade in trades) == bar[5]
        assert {trade["c"][0] for trade in trades} == {"SIM"}


async def subscribe(socket: aiohttp.ClientWebSocketResponse, symbol: str) -> None:
    """Subscribe and return once it is in force: this vendor acknowledges nothing but complains in order."""
    await socket.send_json({"type": "subscribe", "symbol": symbol})
    await socket.send_str("are you there?")
    message = await asyncio.wait_for(socket.receive_json(), 10)
    assert message["type"] == "error"


async def test_an_unsubscribed_symbol_falls_silent(served: Served) -> None:
    """After unsubscribe only the other symbol's trades come."""
    async with served(start=SYNTHETIC_NOW, speed="600") as vendor, vendor.socket() as socket:
        for symbol in ("SIM001", "SIM002"):
            await socket.send_json({"type": "subscribe", "symbol": symbol})
        await take(socket, 1)
        await socket.send_json({"type": "unsubscribe", "symbol": "SIM001"})

        async def only_the_other() -> bool:
            return {trade["s"] for trade in trades_in(await take(socket, 3))} == {"SIM002"}

        await eventually(only_the_other, within_s=10)


async def test_wrong_commands_are_answered_and_change_nothing(served: Served) -> None:
    """Bad JSON, an unknown type and an unknown symbol each get an error frame; the socket goes on."""
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor, vendor.socket() as socket:
        for text in ("{", "[]", '{"type":"subscribe"}', '{"type":"subscribe","symbol":"NOPE"}'):
            await socket.send_str(text)
            message = await asyncio.wait_for(socket.receive_json(), 10)
            assert message["type"] == "error"
        await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
        await take(socket, 1)


async def test_a_quote_needs_cookie_and_crumb(served: Served) -> None:
    """Without a cookie, with a wrong crumb, then the way it is meant to be."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        quote = "/yahoo/v7/finance/quote"
        status, content = await vendor.get(quote, symbols="SIM001", crumb="x")
        assert (status, orjson.loads(content)["finance"]["error"]["description"]) == (401, "Invalid Cookie")
        assert (await vendor.get("/yahoo/cookie"))[0] == 404
        status, crumb = await vendor.get("/yahoo/v1/test/getcrumb")
        assert (status, len(crumb)) == (200, 11)
        status, content = await vendor.get(quote, symbols="SIM001", crumb="Too Many Requests")
        assert (status, orjson.loads(content)["finance"]["error"]) == (
            401,
            {"code": "Unauthorized", "description": "Invalid Crumb"},
        )
        document = await vendor.json(quote, symbols="SIM001,NOPE,SIM002", crumb=crumb.decode())
        assert [row["symbol"] for row in document["quoteResponse"]["result"]] == ["SIM001", "SIM002"]


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


CHART = {"vendor": "yahoo", "endpoint": "chart"}
SOCKET = {"vendor": "finnhub", "endpoint": "socket"}


async def chart_reply(vendor: Vendor) -> tuple[int, bytes, Any]:
    """Return status, body and headers of one chart request."""
    url = f"{vendor.url}/yahoo/v8/finance/chart/SIM001"
    async with vendor.http.get(url, params={"interval": "1m", "range": "1d"}) as response:
        return response.status, await response.read(), response.headers


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


async def first_frames(vendor: Vendor, count: int) -> list[bytes]:
    """Return the first `count` trade frames of a fresh connection to SIM001."""
    async with vendor.socket() as socket:
        await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
        return await take(socket, count)


async def test_frames_can_be_repeated(served: Served) -> None:
    """Every second frame comes three times, byte for byte; the others once."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        honest = await first_frames(vendor, 4)
        await vendor.scenario(
            {"match": SOCKET, "when": {"every": 2}, "fault": {"type": "duplicate_frames", "times": 3}}
        )
        a, b, c, d = honest
        assert await first_frames(vendor, 8) == [a, b, b, b, c, d, d, d]
        assert (await vendor.stats())["frames_repeated"] >= 4


async def test_frames_can_come_out_of_order(served: Served) -> None:
    """Within each window the frames are shuffled, none is lost, and the seed decides how."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        honest = await first_frames(vendor, 16)
        await vendor.scenario({"match": SOCKET, "fault": {"type": "reorder_frames", "window": 8}})
        shuffled = await first_frames(vendor, 16)
        assert shuffled != honest
        assert sorted(shuffled[:8]) == sorted(honest[:8])
        assert sorted(shuffled[8:]) == sorted(honest[8:])
        assert await first_frames(vendor, 16) == shuffled


async def test_a_socket_can_be_cut_without_a_goodbye(served: Served) -> None:
    """After so many frames the connection is gone, not closed."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "drop_socket", "after_frames": 5}})
        async with vendor.socket() as socket:
            await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
            frames = 0
            while await next_frame(socket) is not None:
                frames += 1
        assert frames <= 5
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        assert (await vendor.stats())["faults"]["drop_socket"] == 1


async def test_an_open_socket_falls_silent_and_recovers(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario put in force later mutes a connection, pings included; taking it away brings it back."""
    monkeypatch.setattr("infra.simulator.vendors.finnhub_socket.PING_INTERVAL_S", 0.1)
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor, vendor.socket() as socket:
        await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
        await take(socket, 1)
        await vendor.scenario({"match": SOCKET, "fault": {"type": "mute_socket"}})

        async def silent() -> bool:
            try:
                await asyncio.wait_for(socket.receive(), 0.5)
            except TimeoutError:
                return True
            return False

        await eventually(silent, within_s=10)
        await vendor.scenario()
        await take(socket, 1)


async def test_the_handshake_can_be_refused(served: Served) -> None:
    """A status fault on the socket answers instead of the upgrade."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "status", "status": 429}})
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await vendor.socket()
        assert refused.value.status == 429


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
        assert [row["symbol"] for row in rows] == list(DEFAULT_SYMBOLS)
        streams = ["bars", "quotes", "trades"]
        assert rows[0] == {"symbol": "SIM001", "calendar": "24/7", "synthetic": True, "streams": streams}
        await chart_reply(vendor)
        await vendor.get("/yahoo/v8/finance/chart/NOPE")
        stats = await vendor.stats()
        assert stats["requests"] == {"yahoo.chart": 2}
        assert stats["responses"] == {"yahoo.chart 200": 1, "yahoo.chart 404": 1}
        assert (await vendor.json("/simulator/health"))["status"] == "ok"


async def test_a_taken_port_is_named(served: Served) -> None:
    """The error says which port and which setting."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        port = int(vendor.url.rpartition(":")[2])
        simulation = build_simulation(data=None, start="", speed="1", seed=1, scenario=None, wall_time=NOW_US)
        with pytest.raises(ConfigurationError, match=f"{port}.*MDS_SIMULATOR_PORT"):
            async with serving(simulation, port):
                pass


async def test_a_client_that_vanishes_leaves_nothing_behind(served: Served) -> None:
    """A connection cut while the writer waits for its reader is counted out again."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        async with aiohttp.ClientSession() as http:
            socket = await http.ws_connect(f"{vendor.url}/finnhub/ws?token=key", max_msg_size=0)
            await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
            await next_frame(socket)
            assert (await vendor.stats())["sockets_open"] == 1
            transport = socket.get_extra_info("socket")
            transport.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        async def is_gone() -> bool:
            return (await vendor.stats())["sockets_open"] == 0

        await eventually(is_gone, within_s=10)


def simulator_process(**settings: str) -> subprocess.Popen[str]:
    """Start `python -m infra.simulator` with these MDS_ settings alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "infra.simulator"],
        env={**kept, **settings},
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket_module.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_process_serves_and_stops_on_request() -> None:
    """The settings reach the server; SIGTERM ends it with exit code 0, streaming clients or not."""
    port = free_port()
    process = simulator_process(
        MDS_SIMULATOR_PORT=str(port), MDS_SIMULATOR_SPEED="max", MDS_SIMULATOR_START=SYNTHETIC_NOW
    )
    try:
        async with aiohttp.ClientSession() as http:
            vendor = Vendor(f"http://127.0.0.1:{port}", http)

            async def is_up() -> bool:
                return bool((await vendor.json("/simulator/health"))["status"] == "ok")

            await eventually(is_up, within_s=30)
            assert (await vendor.json("/simulator/clock"))["start"] == NOW_US
            async with vendor.socket() as socket:
                await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
                await next_frame(socket)
                process.terminate()
                assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("MDS_SIMULATOR_SPEED", "fast", "above 0"),
        ("MDS_SIMULATOR_START", "yesterday", "2013-10-07T13:30:00Z"),
        ("MDS_SIMULATOR_START", "2013-10-07T13:30:00", "zone"),
        ("MDS_SIMULATOR_DATA", "/nonexistent", "equity_minute"),
        ("MDS_SIMULATOR_SCENARIO", "/nonexistent.yaml", "MDS_SIMULATOR_SCENARIO"),
        ("MDS_SIMULATOR_PORT", "70000", "MDS_SIMULATOR_PORT"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(setting: str, value: str, words: str) -> None:
    """Exit code 2, the setting named, what would be right, and no traceback."""
    process = simulator_process(**{setting: value})
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in errors
    assert "Traceback" not in errors
