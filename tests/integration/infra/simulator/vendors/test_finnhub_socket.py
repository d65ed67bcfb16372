"""The trade stream over a real socket: whole, in order, paced, and as commanded."""

from __future__ import annotations

import asyncio
import csv
import io
import socket as socket_module
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from infra.simulator.market.synthetic import DEFAULT_SYMBOLS
from tests.support.eventually import eventually
from tests.support.simulated_vendor import (
    NEW_YORK,
    NOW_US,
    SOCKET,
    SYNTHETIC_NOW,
    Served,
    Vendor,
    chart_of,
    next_frame,
)

MAX_TRADES_AHEAD = 40_000  # 2.5 MB of buffers in two processes; 155,000 when the kernel is left to choose


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
