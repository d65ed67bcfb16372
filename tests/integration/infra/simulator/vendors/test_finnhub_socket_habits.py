"""Habits of the trade stream: how frames are cut, gathered and repeated, how many sockets a key has, what symbols say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import orjson
import pytest

from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import seen
from infra.simulator.market.view import MarketView
from infra.simulator.vendors import finnhub_socket
from tests.support.eventually import eventually
from tests.support.simulated_vendor import SOCKET, SYNTHETIC_NOW, Served, Vendor, next_frame


async def frames_of(vendor: Vendor, count: int, *symbols: str) -> list[list[dict[str, Any]]]:
    """Return the trades of the first `count` frames of a fresh connection, frame by frame."""
    found = []
    async with vendor.socket() as socket:
        for symbol in symbols:
            await socket.send_json({"type": "subscribe", "symbol": symbol})
        for _ in range(count):
            frame = await next_frame(socket)
            assert frame is not None
            found.append(orjson.loads(frame)["data"])
    return found


@pytest.mark.parametrize("trades", [1, 3])
async def test_frames_are_cut_wherever_they_are_full(served: Served, trades: int) -> None:
    """The same trades in the same order, so many a frame, those of one millisecond too; each repeated where that is said."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        honest = [trade for frame in await frames_of(vendor, 3, "SIM001") for trade in frame]
        await vendor.scenario(
            {"match": SOCKET, "fault": {"type": "cut_frames", "trades": trades}},
            {"match": SOCKET, "fault": {"type": "duplicate_frames", "times": 3}},
        )
        frames = await frames_of(vendor, 3 * 40, "SIM001")
    assert all(frames[n] == frames[n + 1] == frames[n + 2] for n in range(0, len(frames), 3))
    once = frames[::3]
    assert {len(frame) for frame in once} == {trades}
    assert [trade for frame in once for trade in frame] == honest[: 40 * trades]


async def test_frames_hold_what_came_in_a_second_of_all_symbols(served: Served) -> None:
    """Symbols mixed, in the order of time, none before it; without the habit a paced frame is one symbol's nearly always."""
    names = [f"SIM{number:03d}" for number in range(1, 11)]
    async with served(start=SYNTHETIC_NOW, speed="20") as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "gather_frames", "s": 10}})
        frames = await frames_of(vendor, 4, *names)
        now_ms = (await vendor.json("/simulator/clock"))["market_time"] // 1_000
    assert frames[-1][-1]["t"] <= now_ms
    for frame in frames[1:]:  # the first may begin before all are subscribed
        times = [trade["t"] for trade in frame]
        assert len({trade["s"] for trade in frame}) >= 3
        assert times == sorted(times)
    assert max(frame[-1]["t"] - frame[0]["t"] for frame in frames) > 5_000


async def test_a_long_list_of_symbols_is_gone_through_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for every subscription and every minute of trades; and anew where the scenario changes."""
    asked: list[int] = []

    def counted(view: MarketView, faults: Collection[Fault]) -> MarketView:
        asked.append(len(faults))
        return seen(view, faults)

    monkeypatch.setattr(finnhub_socket, "seen", counted)
    abroad = [f"A{number}.L" for number in range(9_000)]
    unknown = {"type": "unknown_symbols", "symbols": ["SIM001"]}
    async with served(start=SYNTHETIC_NOW) as vendor:
        await vendor.scenario(
            {"match": SOCKET, "fault": {"type": "listed_elsewhere", "symbols": abroad}},
            {"match": SOCKET, "fault": unknown},
        )
        async with vendor.socket() as socket:
            # All begin together, however long a calendar takes to load.
            await vendor.clock(pause=True)
            for symbol in (*abroad[:40], "SIM002", "SIM001"):
                await socket.send_json({"type": "subscribe", "symbol": symbol})
            assert "Invalid symbol" in await next_complaint(socket)
            await vendor.clock(pause=False)
            frames = [await next_frame(socket) for _ in range(5)]
            traded = {trade["s"] for frame in frames if frame for trade in orjson.loads(frame)["data"]}
            assert (traded, asked) == ({"SIM002"}, [2])
            await vendor.scenario({"match": SOCKET, "fault": unknown})
            await socket.send_json({"type": "subscribe", "symbol": "SIM003"})
            await eventually(lambda: asked == [2, 1], within_s=20.0)


async def test_a_second_socket_of_a_key_is_ended_at_once(served: Served) -> None:
    """The first goes on; another key has one of its own; when the first is gone there is room again."""
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "one_socket"}})
        async with vendor.socket() as first:
            await first.send_json({"type": "subscribe", "symbol": "SIM001"})
            assert await next_frame(first) is not None
            async with vendor.socket() as second:
                await second.send_json({"type": "subscribe", "symbol": "SIM001"})
                assert await next_frame(second) is None
            async with vendor.socket("another") as other:
                await other.send_json({"type": "subscribe", "symbol": "SIM002"})
                assert await next_frame(other) is not None
            assert await next_frame(first) is not None
            assert (await vendor.stats())["faults"]["one_socket"] == 1

        async def there_is_room() -> bool:
            async with vendor.socket() as again:
                await again.send_json({"type": "subscribe", "symbol": "SIM001"})
                return await next_frame(again) is not None

        await eventually(there_is_room, within_s=10)


async def test_or_the_first_is_ended_by_the_second(served: Served) -> None:
    """Polygon's way: the older one is dropped."""
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "one_socket", "ends": "first"}})
        async with vendor.socket() as first, vendor.socket() as second:
            assert (await asyncio.wait_for(first.receive(), 10)).type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
            )
            await second.send_json({"type": "subscribe", "symbol": "SIM001"})
            assert await next_frame(second) is not None


@pytest.mark.parametrize("habit", ["stale_symbols", "delayed"])
async def test_trades_of_a_symbol_behind_come_late_under_their_stamps(served: Served, habit: str) -> None:
    """As late as its quote; others are of now, unless the whole feed is late."""
    fault: dict[str, Any] = {"type": habit, "by_s": 1_800}
    both = habit == "delayed"
    if not both:
        fault["symbols"] = ["SIM001"]
    async with served(start=SYNTHETIC_NOW, speed="20") as vendor:
        await vendor.scenario({"match": {"vendor": "finnhub"}, "fault": fault})
        begun_ms = (await vendor.json("/simulator/clock"))["market_time"] // 1_000
        frames = await frames_of(vendor, 12, "SIM001", "SIM002")
        now_ms = (await vendor.json("/simulator/clock"))["market_time"] // 1_000
    stamps: dict[str, list[int]] = {"SIM001": [], "SIM002": []}
    for trade in (trade for frame in frames for trade in frame):
        stamps[trade["s"]].append(trade["t"])
    for symbol, behind_ms in (("SIM001", 1_800_000), ("SIM002", 1_800_000 if both else 0)):
        assert stamps[symbol] == sorted(stamps[symbol]) != []
        assert begun_ms - behind_ms <= stamps[symbol][0]
        assert stamps[symbol][-1] <= now_ms - behind_ms


async def test_a_symbol_falls_behind_and_catches_up(served: Served) -> None:
    """While the rule holds its trades wait; when it ends all of them come, none twice."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        honest = [trade for frame in await frames_of(vendor, 20, "SIM001") for trade in frame]
    stale = {"type": "stale_symbols", "symbols": ["SIM001"], "by_s": 3_600}
    async with served(start=SYNTHETIC_NOW, speed="20") as vendor, vendor.socket() as socket:
        for symbol in ("SIM001", "SIM002"):
            await socket.send_json({"type": "subscribe", "symbol": symbol})
        found: list[dict[str, Any]] = []

        async def read(symbol: str, *, after_s: int) -> int:
            """Read up to a trade of that symbol made so many market seconds from now; return how many the first one has."""
            now_ms = (await vendor.json("/simulator/clock"))["market_time"] // 1_000 + after_s * 1_000
            while not any(trade["s"] == symbol and trade["t"] > now_ms for trade in found):
                frame = await next_frame(socket)
                assert frame is not None
                found.extend(orjson.loads(frame)["data"])
            return sum(trade["s"] == "SIM001" for trade in found)

        await read("SIM001", after_s=5)
        await vendor.scenario({"match": SOCKET, "fault": stale})
        before = await read("SIM002", after_s=2)
        assert await read("SIM002", after_s=40) == before
        await vendor.scenario()
        assert await read("SIM001", after_s=5) > before
    mine = [(trade["t"], trade["p"]) for trade in found if trade["s"] == "SIM001"]
    all_of_them = [(trade["t"], trade["p"]) for trade in honest]
    begin = all_of_them.index(mine[0])
    assert mine == all_of_them[begin : begin + len(mine)]


async def test_a_handshake_is_a_request_of_the_key(served: Served) -> None:
    """Sockets and REST of one key share its count; over it a handshake gets Finnhub's 429, another key its own count."""
    quote = "/finnhub/api/v1/quote"
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario(
            {"match": {"vendor": "finnhub"}, "fault": {"type": "limit", "requests": 3, "window_s": 600}}
        )
        assert (await vendor.get(quote, symbol="SIM001", token="k"))[0] == 200
        async with vendor.socket("k"), vendor.socket("k"):
            for token, status in (("k", 429), ("other", 200)):
                assert (await vendor.get(quote, symbol="SIM001", token=token))[0] == status
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with vendor.socket("k"):
                    pass
            async with vendor.socket("other"):
                pass
        assert caught.value.status == 429
        stats = await vendor.stats()
    assert stats["faults"]["limit"] == 2
    assert stats["responses"]["finnhub.socket 429"] == 1
    assert stats["sockets_opened"] == 3


async def until_its_end(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Read a connection until the server ends it."""
    while await next_frame(socket, 30.0) is not None:
        pass


async def test_of_many_that_come_at_once_one_is_left(served: Served) -> None:
    """Though the first does not read, so that its end takes a while, and five more come meanwhile."""
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor:
        await vendor.scenario({"match": SOCKET, "fault": {"type": "one_socket", "ends": "first"}})
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(vendor.socket())
            come = [asyncio.ensure_future(stack.enter_async_context(vendor.socket())) for _ in range(5)]
            sockets = await asyncio.gather(*come)
            for socket in sockets:
                await socket.send_json({"type": "subscribe", "symbol": "SIM004"})
            reading = [asyncio.ensure_future(until_its_end(socket)) for socket in sockets]

            async def one_is_left() -> bool:
                return (await vendor.stats())["sockets_open"] == 1

            await eventually(one_is_left, within_s=20.0)
            assert sum(not each.done() for each in reading) == 1
            for each in reading:
                each.cancel()


async def test_trades_of_symbols_are_scaled_frozen_or_not_there(served: Served) -> None:
    """In the same trades of the same milliseconds."""
    async with served(start=SYNTHETIC_NOW) as vendor:
        honest = {
            name: [t for frame in await frames_of(vendor, 2, name) for t in frame]
            for name in ("SIM001", "SIM002")
        }
        frozen = {"type": "frozen_symbols", "symbols": ["SIM002"], "since": SYNTHETIC_NOW}
        await vendor.scenario(
            {"match": SOCKET, "fault": {"type": "scaled_symbols", "symbols": ["SIM001"], "factor": 2}},
            {"match": SOCKET, "fault": frozen},
            {"match": SOCKET, "fault": {"type": "unknown_symbols", "symbols": ["SIM003"]}},
            {"match": SOCKET, "fault": {"type": "empty_symbols", "symbols": ["SIM004"]}},
        )
        doubled = [t for frame in await frames_of(vendor, 2, "SIM001") for t in frame]
        stood = [t for frame in await frames_of(vendor, 2, "SIM002", "SIM004") for t in frame]
        async with vendor.socket() as socket:
            await socket.send_json({"type": "subscribe", "symbol": "SIM003"})
            refusal = await asyncio.wait_for(socket.receive_json(), 10)
    assert [(t["t"], round(t["p"] / 2, 6)) for t in doubled] == [(t["t"], t["p"]) for t in honest["SIM001"]]
    assert len({t["p"] for t in honest["SIM002"]}) > 1
    assert len({t["p"] for t in stood}) == 1
    assert {t["s"] for t in stood} == {"SIM002"}
    assert refusal == {"type": "error", "msg": "Invalid symbol SIM003"}


async def test_a_socket_takes_so_many_symbols_and_says_so_for_each_beyond(served: Served) -> None:
    """In the order of subscription; one that was given up makes room, and one that is not in the plan takes none."""
    async with served(start=SYNTHETIC_NOW, speed="60") as vendor:
        await vendor.scenario(
            {"match": SOCKET, "fault": {"type": "too_many_symbols", "most": 2}},
            {"match": SOCKET, "fault": {"type": "refused_symbols", "symbols": ["SIM001"]}},
        )
        async with vendor.socket() as socket:
            for symbol in ("SIM001", "SIM002", "SIM003", "SIM004", "SIM005"):
                await socket.send_json({"type": "subscribe", "symbol": symbol})
            said = [await next_complaint(socket) for _ in range(3)]
            await socket.send_json({"type": "unsubscribe", "symbol": "SIM002"})
            await socket.send_json({"type": "subscribe", "symbol": "SIM005"})
            traded: set[str] = set()
            while not traded >= {"SIM003", "SIM005"}:
                frame = await next_frame(socket)
                assert frame is not None
                traded |= {trade["s"] for trade in orjson.loads(frame)["data"]}
    assert said == ["You don't have access to this resource.", *["Subscribing to too many symbols"] * 2]
    assert traded <= {"SIM002", "SIM003", "SIM005"}


async def next_complaint(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Return the words of the next complaint."""
    while True:
        message = orjson.loads((await asyncio.wait_for(socket.receive(), 10.0)).data)
        if message["type"] == "error":
            return str(message["msg"])
