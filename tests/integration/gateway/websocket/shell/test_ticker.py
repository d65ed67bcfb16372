"""The one writer of all clients, on real sockets: what is sent and when, and what becomes of one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from gateway.live.feeds import Feeds
from gateway.live.streams import parse_stream
from gateway.websocket import encoding, frames
from gateway.websocket.codes import CLOSE_INTERNAL, CLOSE_SLOW
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.pace import MOST_REST_S
from gateway.websocket.shell import ticker
from gateway.websocket.shell.farewell import Goodbye
from gateway.websocket.shell.ticker import Ticker
from gateway.websocket.subscription import Subscription
from infra.runtime.metrics import REGISTRY
from tests.support.declared_messages import messages_of
from tests.support.eventually import eventually
from tests.support.live_feeds import UnreadPast, apply_quote, apply_trade, empty_feeds
from tests.support.virtual_time import VirtualLoop, run
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


class Socket(asyncio.Transport):
    """Takes frames, `pays` for each; while it is `full` it is left alone."""

    def __init__(self, pays: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.frames: list[list[dict[str, Any]]] = []
        self.full, self._pays = False, pays

    def write(self, data: Any) -> None:
        """Keep the messages of a frame."""
        self._pays()
        self.frames.append(orjson.loads(data[data.index(b"[") :]))

    def get_write_buffer_size(self) -> int:
        """Return 0 where the next frame may come."""
        return int(self.full)

    def is_closing(self) -> bool:
        """Never."""
        return False

    @property
    def offsets(self) -> list[int]:
        """Return those of all records that came, in order."""
        return [at for frame in self.frames for message in frame for at, _ in message.get("m", ())]


class Crowd:
    """Clients of a ticker that all watch the trades of SPY, as subscription 1."""

    def __init__(self, feeds: Feeds, sockets: list[Socket]) -> None:
        self._feeds, self._moved, self._offset = feeds, False, 0
        self.clients = [Written(a_queue(feeds, "trades"), socket) for socket in sockets]
        self.ticker = Ticker(self._take)
        for client in self.clients:
            self.ticker.join(client)

    def hear(self, records: int = 1) -> None:
        """Have some records come."""
        for _ in range(records):
            apply_trade(self._feeds, self._offset)
            self._offset += 1
        self._moved = True
        self.ticker.stir()

    def _take(self) -> list[tuple[Written, int]]:
        moved, self._moved = self._moved, False
        return [(client, 1) for client in self.clients] if moved else []


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


WRITE_S = 15e-6  # what a frame of one client takes, about


async def delays_of(clients: int, every_s: float, records: int) -> tuple[list[float], list[Socket]]:
    """Return how long each record took to the last of so many clients, and their sockets; in virtual time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    came_s: dict[int, float] = {}

    def pay() -> None:
        loop.now_s += WRITE_S

    sockets = [Socket(pay) for _ in range(clients)]
    crowd, sent_s, last = Crowd(empty_feeds(), sockets), list[float](), sockets[-1]
    for _ in range(records):
        sent_s.append(loop.time())
        crowd.hear()
        until_s = sent_s[-1] + every_s
        while loop.time() < until_s:
            await asyncio.sleep(min(0.001, until_s - loop.time()))
            came_s |= {at: loop.time() for at in last.offsets[len(came_s) :]}
    await asyncio.sleep(1.0)
    came_s |= {at: loop.time() for at in last.offsets[len(came_s) :]}
    return [came_s[at] - sent_s[at] for at in range(records - 5)], sockets


def test_few_clients_need_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record in a frame of its own, within two turns of a loop that counts milliseconds."""
    delays_s, sockets = in_virtual_time(monkeypatch, clients=5, every_s=0.004, records=100)

    assert max(delays_s) < 0.0025
    assert all(len(socket.frames) == 100 for socket in sockets)


@pytest.mark.parametrize(("every_s", "least_joined"), [(0.02, 1.9), (0.005, 5.0)])
def test_in_a_crowd_records_join_one_frame_and_none_is_lost_or_late(
    monkeypatch: pytest.MonkeyPatch, every_s: float, least_joined: float
) -> None:
    """1,000 clients: the bound of a rest, and the passes before and after it, are all that a record waits for."""
    delays_s, sockets = in_virtual_time(monkeypatch, clients=1_000, every_s=every_s, records=100)

    assert max(delays_s) < MOST_REST_S + 2 * 1_000 * WRITE_S + 0.002
    for socket in sockets:
        assert socket.offsets == list(range(100))
        assert len(socket.frames) <= 100 / least_joined
        messages = [message for frame in socket.frames for message in frame if message["t"] == "d"]
        assert [message["prev"] for message in messages[1:]] == [
            message["m"][-1][0] for message in messages[:-1]
        ]


def in_virtual_time(
    monkeypatch: pytest.MonkeyPatch, *, clients: int, every_s: float, records: int
) -> tuple[list[float], list[Socket]]:
    """Run `delays_of` where only writing takes time."""
    monkeypatch.setattr(ticker, "monotonic_s", lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(ticker, "HEARTBEAT_S", 1e6)
    return run(delays_of(clients, every_s, records))


async def test_a_full_socket_misses_nothing_of_what_moved_meanwhile() -> None:
    """Its neighbour gets it at once; itself, all of it when it takes frames again."""
    open_, shut = Socket(), Socket()
    crowd = Crowd(empty_feeds(), [open_, shut])
    shut.full = True
    for number in range(1, 4):
        crowd.hear()
        await eventually(lambda: len(open_.offsets) == number, within_s=WITHIN_S)  # noqa: B023
    assert shut.frames == []
    shut.full = False
    await eventually(lambda: shut.offsets == [0, 1, 2], within_s=WITHIN_S)
    assert len(shut.frames) == 1


async def test_two_streams_of_a_client_that_moved_share_a_frame() -> None:
    """Though each names the client."""
    feeds, socket = empty_feeds(), Socket()
    client, moved = Written(a_queue(feeds, "trades", "quotes"), socket), list[tuple[Written, int]]()

    def take() -> list[tuple[Written, int]]:
        taken = moved.copy()
        moved.clear()
        return taken

    writing = Ticker(take)
    writing.join(client)
    apply_trade(feeds, 0)
    apply_quote(feeds, 0)
    moved.extend([(client, 1), (client, 2)])
    writing.stir()
    await eventually(lambda: socket.frames, within_s=WITHIN_S)

    assert [sorted(message["sub"] for message in frame) for frame in socket.frames] == [[1, 2]]
