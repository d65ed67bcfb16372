"""The one writer of a client, on a real socket: what it sends and when, and what it makes of one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.live.streams import parse_stream
from gateway.websocket.codes import CLOSE_SLOW
from gateway.websocket.delivery import ClientQueue, OpenSubscription
from gateway.websocket.shell import writer
from gateway.websocket.shell.farewell import Goodbye
from gateway.websocket.shell.writer import Writer
from gateway.websocket.subscription import Subscription
from infra.runtime.metrics import REGISTRY
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import apply_quote, apply_trade, empty_feeds
from tests.support.websocket_server import websocket_to

WITHIN_S = 10.0
RING = 10


@dataclass
class Served:
    """The server's side of one client."""

    outbox: ClientQueue
    fallen: list[OpenSubscription] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    note: Callable[[], None] = lambda: None

    def end(self, working: asyncio.Task[None]) -> None:
        """Keep how the writer ended."""
        self.error = None if working.cancelled() else working.exception()
        self.ended.set()


@asynccontextmanager
async def written_to(
    outbox: ClientQueue,
) -> AsyncIterator[tuple[Served, aiohttp.ClientWebSocketResponse[bool]]]:
    """Run a writer of `outbox`; its end is what it raised."""
    served, running = Served(outbox), asyncio.Event()

    async def serve(_: web.Request, ws: web.WebSocketResponse) -> None:
        writing = Writer(ws, outbox)
        served.note = writing.note
        working = asyncio.create_task(writing.run(served.fallen.append))
        working.add_done_callback(served.end)
        running.set()
        async for _ in ws:  # until the client goes
            pass
        working.cancel()

    async with websocket_to(serve) as client:
        await running.wait()
        yield served, client


async def frame_of(client: aiohttp.ClientWebSocketResponse[bool]) -> list[dict[str, Any]]:
    """Return the messages of the next frame."""
    return messages_of((await client.receive(WITHIN_S)).data)


def a_place(outbox: ClientQueue, feeds: Any, name: str = "trades:best:SPY") -> OpenSubscription:
    """Open a stream, SPY's trades."""
    stream = parse_stream(name)
    place = OpenSubscription(
        Subscription(1, stream, conflate=stream.may_conflate, covered=-1), feeds.feed(*stream.feed)
    )
    outbox.open(place)
    return place


def counted(name: str) -> float:
    """Return a counter of ours."""
    return REGISTRY.get_sample_value(name) or 0.0


async def test_what_waits_goes_out_in_one_frame_and_is_counted() -> None:
    """Records and their delay, once they are handed over."""
    feeds = empty_feeds(ring_messages=RING)
    outbox = ClientQueue(feeds)
    a_place(outbox, feeds)
    sent, delays = counted("mds_ws_sent_messages_total"), counted("ws_publish_latency_ms_count")
    async with written_to(outbox) as (served, client):
        for offset in range(3):
            apply_trade(feeds, offset)
        outbox.wake(1)
        served.note()
        (data,) = await frame_of(client)
        outbox.push(b'{"t":"hb","now":1,"subs":[]}')
        served.note()
        assert [message["t"] for message in await frame_of(client)] == ["hb"]

    assert [record[0] for record in data["m"]] == [0, 1, 2]
    assert counted("mds_ws_sent_messages_total") == sent + 3
    assert counted("ws_publish_latency_ms_count") > delays


async def test_conflation_is_no_loss() -> None:
    """The newest quote stands for those before it: the client has what it asked for, and no alert rings."""
    feeds = empty_feeds(ring_messages=RING)
    outbox = ClientQueue(feeds)
    a_place(outbox, feeds, "quotes:best:SPY")
    conflated, dropped = counted("mds_ws_conflated_total"), counted("ws_dropped_messages_total")
    async with written_to(outbox) as (served, client):
        for offset in range(4):
            apply_quote(feeds, offset)
        outbox.wake(1)
        served.note()
        (data,) = await frame_of(client)
        outbox.push(b'{"t":"hb","now":1,"subs":[]}')
        served.note()
        await frame_of(client)  # the first was handed over, and counted, before this one

    assert (data["conf"]["n"], counted("mds_ws_conflated_total")) == (3, conflated + 3)
    assert counted("ws_dropped_messages_total") == dropped


async def test_a_quiet_client_hears_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to note anything: it comes when it is due, again and again."""
    monkeypatch.setattr(writer, "HEARTBEAT_S", 0.05)
    async with written_to(ClientQueue(empty_feeds())) as (_, client):
        beats = [await frame_of(client) for _ in range(3)]

    moments = [message["now"] for (message,) in beats]
    assert moments == sorted(set(moments))
    assert all(message["t"] == "hb" for (message,) in beats)


async def test_whoever_fell_behind_memory_is_given_out_once() -> None:
    """The client is told, and its past is read elsewhere."""
    feeds = empty_feeds(ring_messages=RING)
    outbox = ClientQueue(feeds)
    place = a_place(outbox, feeds)
    for offset in range(3 * RING):
        apply_trade(feeds, offset)
    async with written_to(outbox) as (served, client):
        outbox.wake(1)
        served.note()
        (notice,) = await frame_of(client)
        outbox.wake(1)
        outbox.push(b'{"t":"hb","now":1,"subs":[]}')
        served.note()
        assert [message["t"] for message in await frame_of(client)] == ["hb"]

    assert (notice["t"], notice["action"]) == ("slow", "catching_up")
    assert served.fallen == [place]


async def test_a_client_that_does_not_read_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once one frame could not be handed over within the deadline: nothing waits for ever."""
    monkeypatch.setattr(writer, "SEND_WITHIN_S", 0.3)
    outbox = ClientQueue(empty_feeds())
    for _ in range(40):
        outbox.push(b'{"t":"hb","now":1,"subs":[%s]}' % b",".join([b"[1,1]"] * 200_000))
    async with written_to(outbox) as (served, _):
        served.note()
        await asyncio.wait_for(served.ended.wait(), WITHIN_S)

    goodbye = served.error
    assert isinstance(goodbye, Goodbye)
    assert (goodbye.code, goodbye.retry_after_ms) == (CLOSE_SLOW, 1_000)
    assert "nothing was read" in goodbye.reason
    assert outbox.waiting
