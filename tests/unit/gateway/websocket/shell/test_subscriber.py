"""Streams begin and come back, against a model of the log: whole, or told that they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mds_client import Chain

from gateway.live.blocks import Block, LoggedRecord
from gateway.live.feeds import Feed, Feeds
from gateway.live.streams import LiveStream, parse_stream
from gateway.websocket.commands import Subscribe
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.items import Wanted
from gateway.websocket.limits import Caller, CostBucket
from gateway.websocket.session import Session
from gateway.websocket.shell.subscriber import StreamCatalogue, Subscriber
from gateway.websocket.subscription import StreamPosition
from schemas.errors import AmbiguousSymbol, StoreUnavailable
from schemas.partitions import TopicPartition
from schemas.streams import Trade
from schemas.topics import TRADES
from schemas.wire.codec import encode
from tests.support.builders import a_trade
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import PLACE, empty_feeds

STREAM = parse_stream("trades:best:SPY")


class ModelLog:
    """One partition of trades.v1: SPY's records among holes and others', cut off below `low`."""

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[str, Any]]] = []
        self.end = 0
        self.low = 0

    def append(self, *, hole: int) -> None:
        """Add one SPY trade; of two offsets of something else, none, one or both lie around it."""
        before, after = hole % 2, hole // 2
        offset = self.end + before
        self.records.append((offset, asdict(a_trade(raw_offset=offset, event_time=offset))))
        self.end = offset + 1 + after


class ModelLive:
    """What a Subscriber needs of LiveStreams, over the model log; memory holds `ring` records."""

    def __init__(self, log: ModelLog, start: int, ring: int, most: int) -> None:
        self.log, self.most = log, most
        self.feeds: Feeds = empty_feeds(start, ring_messages=ring)
        self.reachable = True
        self.known = True
        self.number = 0
        self.read: Block | None = None

    def advance(self) -> None:
        """Apply everything the log has."""
        applied = self.feeds.applied_everywhere[TRADES, PLACE]
        for offset, fields in self.log.records:
            if offset > applied:
                self.feeds.apply(TopicPartition(TRADES, PLACE), offset, 0, fields)
        self.feeds.advance(TopicPartition(TRADES, PLACE), self.log.end)

    def knows(self, _: str) -> bool:
        """Whether SPY was seen."""
        return self.known

    def watch(self, stream: LiveStream, _: object, __: int) -> Feed:
        """Return the feed."""
        return self.feeds.feed(*stream.feed)

    def unwatch(self, *_: object) -> None:
        """Forget nothing: nobody is woken here."""

    async def offset_at(self, *_: object) -> int | None:
        """Return the log's beginning."""
        return self.log.low

    def find(self, _: TopicPartition, offset: int, *, asked: int) -> Block | None:
        """Return the block that was read, as `LogPast.find` does."""
        block = self.read
        return block if block is not None and (block.holds(offset) or block.number > asked) else None

    def serve(self, place: OpenSubscription) -> None:
        """Read a block of the model log as Kafka would be read; `most` offsets long."""
        self.number += 1
        index = (place.subscription.whole + 1) // self.most
        first, last = max(self.log.low, index * self.most), (index + 1) * self.most - 1
        raws = [
            LoggedRecord(offset, 0, encode(TRADES, Trade(**fields)))
            for offset, fields in self.log.records
            if first <= offset <= last
        ]
        to = min(last, max(self.log.end, first) - 1)
        self.read = Block(
            place.feed.place, first, to, high=self.log.end, number=self.number, by_key={b"SPY": raws}
        )


class Client:
    """A connection through the real Subscriber, ClientQueue and Session, read by the reference chain rule."""

    def __init__(self, live: ModelLive) -> None:
        self.live = live
        self.queue, self.session = (
            ClientQueue(live.feeds, live),
            Session(caller=Caller("", CostBucket(1, 1, 0)), now_s=0.0),
        )
        self.known_symbol: Any = None
        self.questions = 0
        self.ambiguity: AmbiguousSymbol | None = None
        self.subscriber = Subscriber(
            live,  # type: ignore[arg-type]
            self.session,
            self.queue,
            self,  # type: ignore[arg-type]
            StreamCatalogue(known_among=self.ask_known, ambiguity=lambda _: self.ambiguity),
        )

    async def ask_known(self, symbols: Collection[str]) -> Collection[str]:
        """Answer as the test wants, and keep that it was asked."""
        self.questions += 1
        return [symbol for symbol in symbols if await self.known_symbol(symbol)]

    def wake(self, number: int) -> None:
        """See Watcher."""
        self.queue.wake(number)

    async def subscribe(self, start: Any) -> None:
        """Ask for the trades of SPY."""
        wanted = Wanted(stream=STREAM, start=start, conflate=False)
        await self.subscriber.subscribe(Subscribe(None, (wanted,)))

    async def read(self, most_frames: int) -> list[dict[str, Any]]:
        """Return the messages of the next frames; reads from Kafka finish in between."""
        heard: list[dict[str, Any]] = []
        for _ in range(most_frames):
            frame = self.queue.frame()
            for place in self.queue.wants():
                self.live.serve(place)
                self.queue.arrived(place.subscription.number)
            if frame is not None:
                heard += messages_of(frame.encode())
        return heard


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 30), st.integers(0, 3)),
    st.tuples(st.just("append"), st.just(9), st.integers(2, 3)),
    st.tuples(st.just("read"), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("beat"), st.just(0), st.just(0)),
    st.tuples(st.just("drop"), st.just(0), st.integers(0, 1)),
    st.tuples(st.just("restart"), st.integers(0, 20), st.just(0)),
    st.tuples(st.just("retain"), st.integers(0, 40), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=25), st.integers(1, 8), st.integers(5, 60))
def test_a_client_has_every_record_or_was_told(steps: list[Any], ring: int, most: int) -> None:
    """Any schedule of arrivals, slow reading, lost frames, restarts and retention: no silent hole, no repeat."""
    asyncio.run(_run_schedule(steps, ring, most))


async def _run_schedule(steps: list[Any], ring: int, most: int) -> None:
    world = World(ring, most)
    await world.reconnect()
    for kind, amount, extra in steps:
        await getattr(world, kind)(amount, extra)
    await world.settle()
    assert world.seen == [offset for offset, _ in world.log.records if offset > world.owed_from]


class World:
    """A log, a gateway process and one client that remembers what it was given and told."""

    def __init__(self, ring: int, most: int) -> None:
        self.shape = ring, most
        self.log = ModelLog()
        self.live = ModelLive(self.log, 0, ring, most)
        self.client = Client(self.live)
        self.chain = Chain("log.4", -1)
        self.owed_from = -1  # every record above this offset must be seen
        self.seen: list[int] = []

    async def append(self, count: int, hole: int) -> None:
        """Records come."""
        for _ in range(count):
            self.log.append(hole=hole)
        self.live.advance()
        self.client.queue.wake(1)

    async def read(self, frames: int, _: int = 0) -> None:
        """Deliver some frames."""
        for message in await self.client.read(frames):
            self._hear(message)

    async def beat(self, *_: int) -> None:
        """Queue a heartbeat."""
        self.client.queue.heartbeat(0)

    async def drop(self, _: int, frame_lost: int) -> None:
        """Break the connection, with or without a frame on its way."""
        if frame_lost:
            await self.client.read(1)
        await self.reconnect()

    async def restart(self, tail: int, _: int) -> None:
        """Replace the process by one that begins near the end of the log."""
        self.live = ModelLive(self.log, max(self.log.low, self.log.end - tail), *self.shape)
        self.live.advance()
        await self.reconnect()

    async def retain(self, kept: int, _: int) -> None:
        """Delete the oldest records."""
        applied = self.live.feeds.applied_everywhere[TRADES, PLACE]
        self.log.low = max(self.log.low, min(self.log.end - kept, applied))

    async def settle(self) -> None:
        """Deliver everything; what the client still needs is retained from now on."""
        self.log.low = min(self.log.low, self.chain.covered + 1)
        self.client.queue.wake(1)
        await self.read(800)

    async def reconnect(self) -> None:
        """Come back with the client's position."""
        self.client = Client(self.live)
        await self.client.subscribe(StreamPosition(epoch=self.chain.epoch, offset=self.chain.covered))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["t"] == "d":
            fresh = self.chain.fresh(message["prev"], message["m"])  # raises Hole
            assert len(fresh) == len(message["m"]), "a repeat"
            for offset, _ in fresh:
                self.seen.append(offset)
                self.chain.settle(offset)
        elif message["t"] == "hb":
            for _, offset, _ in message["subs"]:
                self.chain.settle(offset)
        elif message["t"] == "recovered" and message["ok"]:
            self.chain.settle(message["to"])
        elif message["t"] == "snapshot":
            assert message["reason"] == "recovery", "nothing was refused, yet a snapshot came"
            self.owed_from = message["offset"]  # told: begin anew from here
            self.seen.clear()
            self.chain.settle(message["offset"])


async def _answers(client: Client, start: Any = None) -> list[dict[str, Any]]:
    await client.subscribe(start)
    return await client.read(3)


def a_client(*, records: int = 3, ring: int = 100, start: int = 0, most: int = 100, low: int = 0) -> Client:
    """Return a client of a process that has applied `records` trades from `start` on."""
    log = ModelLog()
    for _ in range(records):
        log.append(hole=0)
    live = ModelLive(log, start, ring, most)
    live.advance()
    log.low = low
    return Client(live)


async def test_a_subscription_begins_with_a_snapshot_valid_at_its_offset() -> None:
    """`subscribed`, then the newest value, then what follows."""
    client = a_client()
    subscribed, snapshot = await _answers(client)
    (result,) = subscribed["results"]
    assert (result["ok"], result["offset"], result["epoch"]) == (True, 2, "log.4")
    assert (snapshot["t"], snapshot["offset"], snapshot["data"][0][0]) == ("snapshot", 2, 2)


async def test_live_begins_with_no_snapshot() -> None:
    """Nothing comes but what is new."""
    assert [message["t"] for message in await _answers(a_client(), "live")] == ["subscribed"]


@pytest.mark.parametrize(
    ("position", "shape", "reason"),
    [
        pytest.param(StreamPosition(epoch="log.4", offset=0), {}, "memory", id="memory"),
        pytest.param(StreamPosition(epoch="log.4", offset=0), {"ring": 1}, "kafka", id="kafka"),
        pytest.param(StreamPosition(epoch="old.4", offset=0), {}, "epoch_changed", id="epoch"),
        pytest.param(
            StreamPosition(epoch="log.4", offset=-1), {"ring": 1, "low": 1}, "expired", id="expired"
        ),
        pytest.param(StreamPosition(epoch="log.4", offset=9), {}, "epoch_changed", id="a shorter log"),
    ],
)
async def test_a_resume_says_where_it_came_from_or_why_not(
    position: StreamPosition, shape: dict[str, int], reason: str
) -> None:
    """All of it, or `ok: false` with a snapshot."""
    answers = await _answers(a_client(**shape), position)
    recovered = next(message for message in answers if message["t"] == "recovered")
    if recovered["ok"]:
        assert (recovered["source"], recovered["count"], recovered["to"]) == (reason, 2, 2)
        assert [message["t"] for message in answers] == ["subscribed", "d", "recovered"]
    else:
        assert recovered["reason"] == reason
        assert [message["t"] for message in answers] == ["subscribed", "recovered", "snapshot"]


async def test_an_unknown_symbol_is_refused_and_a_silent_database_says_ask_again() -> None:
    """`unknown_symbol` is final, `overloaded` is not."""

    async def unknown(_: str) -> bool:
        return False

    async def unable(_: str) -> bool:
        raise StoreUnavailable("down")

    for answer, slug, temporary in ((unknown, "unknown_symbol", False), (unable, "overloaded", True)):
        client = a_client()
        client.live.known, client.known_symbol = False, answer
        (subscribed,) = await _answers(client)
        error = subscribed["results"][0]["error"]
        assert (error["slug"], error["temporary"]) == (slug, temporary)
        assert len(client.live.feeds) == 1  # asking for nonsense leaves nothing in memory


async def test_an_ambiguous_symbol_is_refused_with_its_candidates() -> None:
    """Though the live topics carry it: whoever subscribes must say which instrument is meant."""
    client = a_client()
    client.ambiguity = AmbiguousSymbol("TWO names A and B; correct the map files", candidates=("A", "B"))
    (subscribed,) = await _answers(client)
    (result,) = subscribed["results"]

    assert (result["ok"], result["candidates"]) == (False, ["A", "B"])
    assert (result["error"]["slug"], result["error"]["temporary"]) == ("ambiguous_symbol", False)
    assert "correct the map files" in result["error"]["message"]
    assert len(client.live.feeds) == 1


async def test_five_hundred_unknown_symbols_are_one_question() -> None:
    """Each refused for itself; REST asks the same database through the same slots."""
    client = a_client()

    async def unknown(_: str) -> bool:
        return False

    client.live.known, client.known_symbol = False, unknown
    items = tuple(
        Wanted(stream=parse_stream(f"trades:best:A{number}"), start=None, conflate=False)
        for number in range(500)
    )
    await client.subscriber.subscribe(Subscribe("all", items))
    (subscribed,) = await client.read(3)

    assert (client.questions, subscribed["total"], len(subscribed["results"])) == (1, 0, 500)
    assert {result["error"]["slug"] for result in subscribed["results"]} == {"unknown_symbol"}
