"""The one writer of all clients, on real sockets: what is sent and when, and what becomes of one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.live.feeds import Feeds
from gateway.live.streams import parse_stream
from gateway.websocket import encoding, frames
from gateway.websocket.codes import CLOSE_INTERNAL, CLOSE_SLOW
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.shell import ticker
from gateway.websocket.shell.farewell import Goodbye
from gateway.websocket.shell.ticker import Ticker
from gateway.websocket.subscription import Subscription
from infra.runtime.metrics import REGISTRY
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import UnreadPast, apply_quote, apply_trade, empty_feeds
from tests.support.websocket_server import websocket_to

WITHIN_S = 10.0
RING = 10


class Written:
    """The server's side of one client: keeps what the ticker asks of it."""

    def __init__(self, outbox: ClientQueue, transport: asyncio.Transport | None) -> None:
        self.outbox, self.transport = outbox, transport
        self.wanted: list[OpenSubscription] = []
        self.ended: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()

    def want(self, place: OpenSubscription) -> None:
        """Keep it."""
        self.wanted.append(place)

    def beat(self) -> None:
        """Queue a heartbeat."""
        self.outbox.heartbeat(1)

    def end(self, goodbye: Goodbye) -> None:
        """Keep why."""
        if not self.ended.done():
            self.ended.set_result(goodbye)


@asynccontextmanager
async def written_to(
    outbox: ClientQueue, writing: Ticker
) -> AsyncIterator[tuple[Written, aiohttp.ClientWebSocketResponse[bool]]]:
    """Have `writing` write to a client of `outbox`."""
    joined: asyncio.Future[Written] = asyncio.get_running_loop().create_future()

    async def serve(request: web.Request, ws: web.WebSocketResponse) -> None:
        written = Written(outbox, request.transport)
        writing.join(written)
        joined.set_result(written)
        async for _ in ws:  # until the client goes
            pass
        writing.leave(written)

    async with websocket_to(serve) as client:
        yield await joined, client


async def frame_of(client: aiohttp.ClientWebSocketResponse[bool]) -> list[dict[str, Any]]:
    """Return the messages of the next frame."""
    return messages_of((await client.receive(WITHIN_S)).data)


def a_queue(feeds: Feeds, *names: str, covered: int = -1) -> ClientQueue:
    """Return the queue of a client with these streams of SPY open."""
    outbox = ClientQueue(feeds, UnreadPast())
    for number, name in enumerate(names, 1):
        stream = parse_stream(f"{name}:best:SPY")
        subscription = Subscription(number, stream, conflate=stream.may_conflate, covered=covered)
        outbox.open(OpenSubscription(subscription, feeds.feed(*stream.feed)))
    return outbox


def counted(name: str) -> float:
    """Return a counter of ours."""
    return REGISTRY.get_sample_value(name) or 0.0


async def test_what_waits_goes_out_in_one_frame_and_is_counted() -> None:
    """Records and their delay, once they are handed over."""
    feeds = empty_feeds(ring_messages=RING)
    outbox = a_queue(feeds, "trades")
    sent, delays = counted("mds_ws_sent_messages_total"), counted("ws_publish_latency_ms_count")
    writing = Ticker()
    async with written_to(outbox, writing) as (served, client):
        for offset in range(3):
            apply_trade(feeds, offset)
        outbox.wake(1)
        writing.note(served)
        (data,) = await frame_of(client)

    assert [record[0] for record in data["m"]] == [0, 1, 2]
    assert counted("mds_ws_sent_messages_total") == sent + 3
    assert counted("ws_publish_latency_ms_count") > delays


async def test_conflation_is_no_loss() -> None:
    """The newest quote stands for those before it: the client has what it asked for, and no alert rings."""
    feeds = empty_feeds(ring_messages=RING)
    outbox, writing = a_queue(feeds, "quotes"), Ticker()
    conflated, dropped = counted("mds_ws_conflated_total"), counted("ws_dropped_messages_total")
    async with written_to(outbox, writing) as (served, client):
        for offset in range(4):
            apply_quote(feeds, offset)
        outbox.wake(1)
        writing.note(served)
        (data,) = await frame_of(client)

    assert (data["conf"]["n"], counted("mds_ws_conflated_total")) == (3, conflated + 3)
    assert counted("ws_dropped_messages_total") == dropped


async def test_a_quiet_client_hears_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to note anything: it comes when it is due, again and again."""
    monkeypatch.setattr(ticker, "HEARTBEAT_S", 0.05)
    async with written_to(a_queue(empty_feeds()), Ticker()) as (_, client):
        beats = [await frame_of(client) for _ in range(3)]

    assert [message["t"] for (message,) in beats] == ["hb"] * 3


async def test_whoever_fell_behind_memory_asks_for_the_log_once() -> None:
    """The client is told, and its past is read elsewhere."""
    feeds = empty_feeds(ring_messages=RING)
    outbox, writing = a_queue(feeds, "trades"), Ticker()
    for offset in range(3 * RING):
        apply_trade(feeds, offset)
    async with written_to(outbox, writing) as (served, client):
        outbox.wake(1)
        writing.note(served)
        (notice,) = await frame_of(client)
        outbox.wake(1)
        outbox.push(b'{"t":"hb","now":1,"subs":[]}')
        writing.note(served)
        assert [message["t"] for message in await frame_of(client)] == ["hb"]

    assert (notice["t"], notice["action"]) == ("slow", "catching_up")
    assert [place.subscription.number for place in served.wanted] == [1]


async def test_clients_that_stand_at_the_same_place_share_one_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve clients, one message and one frame made; no task and no timer for any of them."""
    feeds, writing = empty_feeds(), Ticker()
    made: list[bytes] = []
    wire = encoding.wire
    monkeypatch.setattr(frames.encoding, "wire", lambda payload: made.append(payload) or wire(payload))
    queues = [a_queue(feeds, "trades", "quotes") for _ in range(12)]
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(written_to(outbox, writing)) for outbox in queues]
        before = len(asyncio.all_tasks())
        apply_trade(feeds, 0)
        apply_quote(feeds, 0)
        for served, _ in opened:
            served.outbox.wake(1)
            served.outbox.wake(2)
            writing.note(served)
        told = [await frame_of(client) for _, client in opened]
        assert len(asyncio.all_tasks()) == before

    assert len(made) == 1
    assert all([message["sub"] for message in messages] == [1, 2] for messages in told)


async def test_a_client_that_does_not_read_is_sent_away_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once one frame could not be handed over within the deadline; its neighbour is written to all the while."""
    monkeypatch.setattr(ticker, "SEND_WITHIN_S", 0.3)
    feeds, writing = empty_feeds(), Ticker()
    deaf, reading = a_queue(feeds), a_queue(feeds, "trades")
    async with written_to(deaf, writing) as (stuck, _), written_to(reading, writing) as (served, client):
        for _ in range(40):
            deaf.push(b'{"t":"hb","now":1,"subs":[%s]}' % b",".join([b"[1,1]"] * 200_000))
        writing.note(stuck)
        offset = 0
        while not stuck.ended.done():
            apply_trade(feeds, offset)
            reading.wake(1)
            writing.note(served)
            (data,) = await frame_of(client)
            assert data["m"][0][0] == offset
            offset += 1
        goodbye = stuck.ended.result()

    assert (goodbye.code, goodbye.retry_after_ms) == (CLOSE_SLOW, 1_000)
    assert "nothing was read" in goodbye.reason
    assert deaf.waiting
    assert not served.ended.done()


async def test_a_fault_of_one_client_makes_no_other_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent away with 1011; the pass goes on."""
    feeds, writing = empty_feeds(), Ticker()
    broken, sound = a_queue(feeds), a_queue(feeds)
    async with written_to(broken, writing) as (first, _), written_to(sound, writing) as (second, client):
        monkeypatch.setattr(broken, "frame", lambda _: {}["nothing"])
        sound.push(b'{"t":"hb","now":1,"subs":[]}')
        writing.note(first)
        writing.note(second)
        assert [message["t"] for message in await frame_of(client)] == ["hb"]

    assert first.ended.result().code == CLOSE_INTERNAL
