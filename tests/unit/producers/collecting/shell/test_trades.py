"""The trade stream: everything in order, every break told, never more in memory than the bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import pytest

from infra.runtime import backoff
from infra.runtime.backoff import Backoff
from infra.runtime.clock import Market, monotonic_s
from infra.runtime.metrics import REGISTRY
from producers.collecting import refused
from producers.collecting.shell import trades as trade_stream
from producers.collecting.shell.frames import FrameReader
from producers.collecting.shell.trades import MAX_UNCONFIRMED_BATCHES, TradeStream
from producers.plan.tasks import TradesTask
from producers.raw.blocks import MAX_STREAM_EVENTS, Placed
from producers.vendors.finnhub.trades import parse_frame
from schemas.errors import BrokerUnavailable, ProviderThrottled, ProviderUnavailable
from schemas.intervals import SECOND_US
from schemas.providers.finnhub import FACTS
from schemas.streams import StreamId
from tests.support.eventually import eventually
from tests.support.producer_fakes import FixedClock, RecordingTopics, a_status
from tests.support.vendor_payloads import NINE_THIRTY_S, a_frame

_sleep = asyncio.sleep
NOW = (NINE_THIRTY_S + 10) * 1_000_000
TRADED_MS = NOW // 1_000 + 60_000  # by the ticking clock of these tests no trade comes late


class _Socket:
    """Plays one list of frames per connection, then breaks; the last connection stays open, silent."""

    endpoint = "socket"

    def __init__(self, *connections: Sequence[bytes]) -> None:
        self.connections = list(connections)
        self.opened = 0
        self.read = 0
        self.said: list[tuple[str, tuple[str, ...]]] = []
        self.asked: list[list[str]] = []
        self.connection = _Connection

    parse = staticmethod(parse_frame)

    @asynccontextmanager
    async def connected(self, symbols: Sequence[str]) -> AsyncIterator[Any]:
        self.opened += 1
        self.asked.append(sorted(symbols))
        yield self.connection(self, list(self.connections.pop(0)), is_last=not self.connections)


class _Connection:
    def __init__(self, socket: _Socket, frames: list[bytes], *, is_last: bool) -> None:
        self.connection_id = f"connection-{socket.opened}"
        self._socket, self._frames, self._is_last = socket, frames, is_last

    async def receive(self) -> bytes:
        await asyncio.sleep(0)
        if self._frames:
            self._socket.read += 1
            return self._frames.pop(0)
        if self._is_last:
            await asyncio.Event().wait()
        raise ProviderUnavailable("finnhub socket: closed")

    async def subscribe(self, symbols: Sequence[str]) -> None:
        self._socket.said.append(("subscribe", tuple(symbols)))

    async def unsubscribe(self, symbols: Sequence[str]) -> None:
        self._socket.said.append(("unsubscribe", tuple(symbols)))


class _GatedTopics(RecordingTopics):
    """Confirms nothing until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def publish(self, topic: str, placed: Sequence[Placed]) -> None:
        await self.gate.wait()
        await super().publish(topic, placed)


class _QueueingTopics(_GatedTopics):
    """Takes what is published as Kafka's client does, and confirms it when the gate opens."""

    async def publish(self, topic: str, placed: Sequence[Placed]) -> None:
        await RecordingTopics.publish(self, topic, placed)
        await self.gate.wait()


def trades(first: int, count: int, symbol: str = "SPY") -> bytes:
    return a_frame(
        *(
            {"s": symbol, "p": 1.0, "v": number + 1, "t": TRADED_MS + number}
            for number in range(first, first + count)
        )
    )


def a_stream(socket: _Socket, raw: RecordingTopics, **changes: Any) -> TradeStream:
    frames = FrameReader(
        "finnhub",
        cast(Any, socket),
        cast(Any, raw),
        simulated=frozenset(),
        secrets=changes.get("secrets", ()),
    )
    return TradeStream(
        TradesTask(provider="finnhub", symbols=changes.get("symbols", ("SPY", "IBM"))),
        cast(Any, socket),
        frames,
        cast(Any, raw),
        facts=FACTS,
        market=Market(clock=changes.get("clock", FixedClock(NOW))),
        status=changes.get("status", a_status("finnhub")),
        cursors=changes.get("cursors", {}),
    )


class _TickingClock(FixedClock):
    """A market clock on which a second passes whenever it is looked at."""

    def now_us(self) -> int:
        self.now += SECOND_US
        return self.now


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_stream, "BACKOFF", Backoff(first_s=1.0, longest_s=0.01))


async def running(stream: TradeStream, until: Any) -> None:
    task = asyncio.ensure_future(stream.run())
    try:
        await eventually(until, within_s=10.0, every_s=0.005)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_trades_are_published_in_order_with_their_frame() -> None:
    """Order within the partition is the socket's; frames are numbered per connection."""
    socket, raw = _Socket([trades(0, 700), b'{"type":"ping"}', trades(700, 3)]), RecordingTopics()

    await running(a_stream(socket, raw), lambda: len(raw.events) == 703)

    assert [event["size"] for event in raw.events] == list(range(1, 704))
    assert {event["frame_sequence"] for event in raw.events} == {1, 3}
    assert {entry.block.connection_id for entry in raw.placed} == {"connection-1"}


async def test_trades_that_come_while_others_are_confirmed_share_their_blocks() -> None:
    """A frame every few milliseconds is not a block every few milliseconds; the first goes out at once."""
    begun_s, published_s = monotonic_s(), list[float]()

    class _Timed(RecordingTopics):
        async def publish(self, topic: str, placed: Sequence[Placed]) -> None:
            published_s.append(monotonic_s())
            await _sleep(0.001)
            await super().publish(topic, placed)

    class _Slow(_Connection):
        async def receive(self) -> bytes:
            await _sleep(0.002)
            return await super().receive()

    socket, raw = _Socket([trades(number, 1) for number in range(100)]), _Timed()
    socket.connection = _Slow
    await running(a_stream(socket, raw), lambda: len(raw.events) == 100)

    assert len(published_s) <= (published_s[-1] - begun_s) / trade_stream.PACE_S + 2
    assert [event["size"] for event in raw.events] == list(range(1, 101))


async def test_a_start_tells_what_the_cursors_say_was_missed() -> None:
    """Before the first trade: since the cursor, or since whenever it was."""
    socket, raw = _Socket([trades(0, 1)]), RecordingTopics()

    await running(
        a_stream(socket, raw, cursors={StreamId("trades", "", "finnhub", "SPY"): 77}),
        lambda: len(raw.events) == 1,
    )

    assert [(hole.symbol, hole.from_time, hole.to_time, hole.cause) for hole in sorted(raw.holes, key=lambda hole: hole.symbol)] == [
        ("IBM", None, NOW, "producer_down"),
        ("SPY", 77, NOW, "producer_down"),
    ]  # fmt: skip
    assert raw.placed[0].block.discontinuities


async def test_a_socket_that_ends_at_once_is_waited_for_longer_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taken in and thrown out is a refusal: no tight loop; and one that says how long is left alone for that."""
    waits: list[float] = []

    async def slept(seconds: float) -> None:
        if seconds > trade_stream.PACE_S:
            waits.append(seconds)
        await _sleep(0)

    monkeypatch.setattr(trade_stream, "BACKOFF", Backoff(first_s=1.0, longest_s=30.0))
    monkeypatch.setattr(backoff.random, "uniform", lambda _, most: most)
    monkeypatch.setattr(trade_stream.asyncio, "sleep", slept)
    socket = _Socket(*[[]] * 9)
    throttled = [ProviderThrottled("finnhub", 70.0)]

    @asynccontextmanager
    async def refusing(symbols: Sequence[str]) -> AsyncIterator[Any]:
        if socket.opened == 8 and throttled:
            raise throttled.pop()
        async with _Socket.connected(socket, symbols) as connection:
            yield connection

    monkeypatch.setattr(socket, "connected", refusing)
    task = asyncio.ensure_future(a_stream(socket, RecordingTopics()).run())
    while len(waits) < 9:
        await _sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 100.0]


async def test_a_break_is_told_between_the_trades_around_it() -> None:
    """A broken socket costs [last frame received, subscribed again), also of a symbol that was quiet for hours."""
    socket, raw = _Socket([trades(0, 5), b'{"type":"ping"}'], [trades(9, 1)]), RecordingTopics()

    await running(a_stream(socket, raw, clock=_TickingClock(NOW)), lambda: len(raw.events) == 6)

    told = [hole for hole in raw.holes if hole.cause == "disconnected"]
    stretches = {(hole.from_time, hole.to_time) for hole in told}
    assert {hole.symbol for hole in told} == {"SPY", "IBM"}
    ((start, end),) = stretches
    assert NOW + 3 * SECOND_US <= start < end <= start + 3 * SECOND_US
    assert {entry.block.connection_id for entry in raw.placed} == {"connection-1", "connection-2"}


@pytest.mark.parametrize("ahead_s", [2, 20 * 3600, 366 * 86_400])
async def test_a_break_costs_the_same_whatever_the_vendors_clock_says(ahead_s: int) -> None:
    """A trade stamped ahead of us is no progress: what is lost begins at our own clock, and what a restart costs too."""
    stamp = NOW // 1_000 + ahead_s * 1_000
    ahead = a_frame({"s": "SPY", "p": 9.5, "v": 3, "t": stamp}, {"s": "IBM", "p": 1.5, "v": 1, "t": stamp})
    socket, raw = _Socket([ahead], [trades(9, 1)]), RecordingTopics()

    await running(a_stream(socket, raw, clock=_TickingClock(NOW)), lambda: len(raw.events) == 3)

    told = {hole.symbol: hole for hole in raw.holes if hole.cause == "disconnected"}
    assert set(told) == {"SPY", "IBM"}
    assert all(NOW < hole.from_time < hole.to_time <= NOW + 30 * SECOND_US for hole in told.values())  # type: ignore[operator]
    streams = [StreamId("trades", "", "finnhub", symbol) for symbol in told]
    assert all(until < NOW + 60 * SECOND_US for until in raw.watched.since(streams, {}).values())


async def test_a_socket_is_watched_until_its_last_frame_and_no_longer_than_what_is_confirmed() -> None:
    """A ping counts; what Kafka has not confirmed does not."""
    streams = [StreamId("trades", "", "finnhub", symbol) for symbol in ("SPY", "IBM")]
    socket, raw = _Socket([trades(0, 5), b'{"type":"ping"}']), _GatedTopics()
    stream = a_stream(socket, raw, clock=_TickingClock(NOW))
    task = asyncio.ensure_future(stream.run())
    try:
        await eventually(lambda: socket.read == 2, within_s=10.0)
        unconfirmed = raw.watched.since(streams, {})
        raw.gate.set()
        await eventually(lambda: raw.watched.since(streams, {}), within_s=10.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert unconfirmed == {}
    assert set(raw.watched.since(streams, {})) == set(streams)


async def test_the_socket_is_not_read_while_kafka_does_not_confirm() -> None:
    """Back-pressure: reading stops at the bound, and nothing is lost when Kafka is back."""
    bound = MAX_UNCONFIRMED_BATCHES * MAX_STREAM_EVENTS
    frames = [trades(first * 500, 500) for first in range(3 * MAX_UNCONFIRMED_BATCHES)]
    socket, raw = _Socket(frames), _GatedTopics()
    task = asyncio.ensure_future(a_stream(socket, raw).run())
    try:
        await eventually(lambda: socket.read >= MAX_UNCONFIRMED_BATCHES, within_s=10.0)
        await asyncio.sleep(0.2)
        held = socket.read * 500
        raw.gate.set()
        await eventually(lambda: len(raw.events) == len(frames) * 500, within_s=30.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert held <= 2 * bound + 2 * 500
    assert [event["size"] for event in raw.events] == list(range(1, len(frames) * 500 + 1))


async def test_a_malformed_frame_costs_itself() -> None:
    """It is dead-lettered with its bytes; the frames around it are published."""
    socket, raw = _Socket([trades(0, 1), b"{broken", trades(1, 1)]), RecordingTopics()

    await running(a_stream(socket, raw), lambda: len(raw.events) == 2)

    assert [(letter["topic"], letter["payload"]) for letter in raw.dead] == [("raw.trades.v1", b"{broken")]


async def test_what_was_read_is_published_once_when_we_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop drains: nothing that left the socket is thrown away or sent twice."""
    # one frame under way, the others waiting
    monkeypatch.setattr("producers.collecting.shell.trades.PACE_S", 0)
    socket, raw = _Socket([trades(0, 400), trades(400, 400), trades(800, 400)]), _QueueingTopics()
    task = asyncio.ensure_future(a_stream(socket, raw).run())
    await eventually(lambda: socket.read == 3, within_s=5.0)
    before = len(raw.events)
    task.cancel()
    raw.gate.set()
    await asyncio.gather(task, return_exceptions=True)

    assert before < 1_200
    assert [event["size"] for event in raw.events] == list(range(1, 1_201))


async def test_a_dead_publisher_ends_the_stream() -> None:
    """What Kafka will never take is not retried: a fresh process tells what it missed."""
    socket, raw = _Socket([trades(0, 1)]), RecordingTopics()
    raw.failing = [BrokerUnavailable("dead")] * 3

    with pytest.raises(BaseExceptionGroup) as caught:
        await a_stream(socket, raw).run()

    assert caught.group_contains(BrokerUnavailable)


async def test_symbols_are_exchanged_over_the_open_connection() -> None:
    """New ones are subscribed and their missed time is told, gone ones unsubscribed; what stays is not mentioned."""
    socket, raw = _Socket([trades(0, 1)]), RecordingTopics()
    stream = a_stream(socket, raw, clock=_TickingClock(NOW))
    task = asyncio.ensure_future(stream.run())
    try:
        await eventually(lambda: len(raw.events) == 1 and len(raw.holes) == 2, within_s=10.0)
        stream.exchange(
            TradesTask(provider="finnhub", symbols=("SPY", "GOOG")),
            {StreamId("trades", "", "finnhub", "GOOG"): 55},
        )
        await eventually(lambda: len(socket.said) == 2 and len(raw.holes) == 3, within_s=10.0)
        stream.exchange(TradesTask(provider="finnhub", symbols=("SPY", "IBM")), {})
        await eventually(lambda: len(socket.said) == 4 and len(raw.holes) == 4, within_s=10.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert socket.said == [
        ("subscribe", ("GOOG",)), ("unsubscribe", ("IBM",)), ("subscribe", ("IBM",)), ("unsubscribe", ("GOOG",)),
    ]  # fmt: skip
    assert [(hole.symbol, hole.cause) for hole in raw.holes[2:]] == [
        ("GOOG", "producer_down"), ("IBM", "producer_down"),
    ]  # fmt: skip
    assert raw.holes[2].from_time == 55
    assert NOW < raw.holes[3].from_time < raw.holes[3].to_time
    assert socket.opened == 1


async def test_a_reconnect_asks_for_what_was_exchanged_meanwhile() -> None:
    """A new symbol begins with what its cursor says, the others with what the break has cost."""
    socket, raw = _Socket([trades(0, 1)], []), RecordingTopics()
    stream = a_stream(socket, raw, clock=_TickingClock(NOW))
    stream.exchange(TradesTask(provider="finnhub", symbols=("SPY",)), {})

    await running(stream, lambda: socket.opened == 2 and len(raw.holes) == 2)

    assert socket.asked == [["SPY"], ["SPY"]]
    assert [(hole.symbol, hole.cause) for hole in raw.holes] == [
        ("SPY", "producer_down"),
        ("SPY", "disconnected"),
    ]


TOO_MANY = b'{"msg":"Subscribing to too many symbols","type":"error"}'


async def test_symbols_the_socket_refuses_are_told_as_missed_and_not_as_watched() -> None:
    """One is served before the complaint and stays watched. One is named; when it is sent after all, its hole is before that.

    One that is sent after a complaint without a name was served all along.
    """
    invalid = b'{"msg":"Invalid symbol GE","type":"error"}'
    frames = [trades(0, 5), TOO_MANY, TOO_MANY, invalid, trades(5, 1, "IBM"), trades(6, 1, "GE")]
    socket, raw, status = _Socket(frames), RecordingTopics(), a_status("finnhub")
    stream = a_stream(
        socket, raw, clock=_TickingClock(NOW), symbols=("SPY", "IBM", "F", "BRK.B", "GE"), status=status
    )
    watched = [StreamId("trades", "", "finnhub", each) for each in ("SPY", "IBM", "F", "BRK.B", "GE")]

    def until(symbol: str) -> int:
        return raw.watched.since(watched, {}).get(StreamId("trades", "", "finnhub", symbol), 0)

    await running(stream, lambda: len(raw.events) == 7 and until("GE") > until("F"))
    holes = [hole for hole in raw.holes if hole.cause == "refused"]

    assert [hole.symbol for hole in holes] == ["GE"]
    assert NOW < holes[0].from_time < holes[0].to_time
    assert until("F") == until("BRK.B") < holes[0].to_time
    assert until("F") < until("SPY") == until("IBM") == until("GE")
    assert status.document("finnhub")["refused_first"] == ["BRK.B", "F"]
    assert REGISTRY.get_sample_value("mds_symbols_refused", {"provider": "finnhub"}) == 2.0


async def test_symbols_that_stay_refused_are_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stretch begins where the one before ended; and what a new connection finds refused goes on there."""
    monkeypatch.setattr(trade_stream, "SILENCE_S", 0.001)
    monkeypatch.setattr(refused, "FIRST_TOLD_AFTER_S", 0.001)
    monkeypatch.setattr(refused, "LONGEST_UNTOLD_S", 0.01)
    socket, raw = _Socket([trades(0, 1), TOO_MANY]), RecordingTopics()

    def told() -> list[Any]:
        return [hole for hole in raw.holes if hole.cause == "refused"]

    await running(a_stream(socket, raw, clock=_TickingClock(NOW)), lambda: len(told()) >= 4)

    assert {hole.symbol for hole in told()} == {"IBM"}
    assert all(before.to_time == after.from_time for before, after in pairwise(told()))


async def test_a_refused_symbol_that_is_broken_off_is_told_as_refused() -> None:
    """A break costs the others from the last frame on; it was refused since it was subscribed."""
    socket, raw = _Socket([trades(0, 1), TOO_MANY], [trades(1, 1)]), RecordingTopics()

    await running(a_stream(socket, raw, clock=_TickingClock(NOW)), lambda: len(raw.events) == 2)
    told = {(hole.symbol, hole.cause): hole for hole in raw.holes if hole.from_time is not None}

    assert set(told) == {("SPY", "disconnected"), ("IBM", "refused")}
    assert told["IBM", "refused"].from_time < told["SPY", "disconnected"].from_time


async def test_a_refused_symbol_that_is_given_up_during_a_break_is_refused_no_more() -> None:
    """It is told until the connection broke; from then on it is another's, and no state of ours."""

    class Leaving(_Socket):
        @asynccontextmanager
        async def connected(self, symbols: Sequence[str]) -> AsyncIterator[Any]:
            try:
                async with super().connected(symbols) as connection:
                    yield connection
            finally:
                stream.exchange(TradesTask(provider="finnhub", symbols=("SPY",)), {})

    socket, raw, status = Leaving([trades(0, 1), TOO_MANY], []), RecordingTopics(), a_status("finnhub")
    stream = a_stream(socket, raw, clock=_TickingClock(NOW), status=status)
    await running(stream, lambda: socket.opened == 2 and len(raw.holes) == 4)
    told = {(hole.symbol, hole.cause): hole for hole in raw.holes if hole.from_time is not None}

    assert set(told) == {("SPY", "disconnected"), ("IBM", "refused")}
    assert told["IBM", "refused"].to_time == told["SPY", "disconnected"].from_time
    assert status.document("finnhub")["refused_symbols"] == 0


async def test_the_same_words_for_each_symbol_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Other words are another."""
    words = [TOO_MANY] * 50 + [b'{"msg":"internal error","type":"error"}'] * 50
    socket, raw = _Socket([*words, trades(0, 1)]), RecordingTopics()

    await running(a_stream(socket, raw), lambda: len(raw.events) == 1)

    lines = [record.getMessage() for record in caplog.records]
    assert [lines.count(line) for line in ("trade_socket_complaint", "trade_symbols_refused")] == [2, 1]


async def test_neither_logs_nor_dead_letters_hold_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the vendor echoes it in: its complaint, a frame that is none, a trade that cannot be."""
    key = "c0ffee-canary-0815"
    echoed = [
        b'{"type":"error","msg":"token c0ffee-canary-0815 may not"}',
        b'{"type": c0ffee-canary-0815',
        a_frame({"s": key, "p": 1.0, "v": 1, "t": NINE_THIRTY_S * 1000}),
    ]
    socket, raw = _Socket([*echoed, trades(0, 1)]), RecordingTopics()

    with caplog.at_level(logging.INFO):
        await running(a_stream(socket, raw, secrets=(key.encode(),)), lambda: len(raw.events) == 1)

    said = [str(record.__dict__) for record in caplog.records]
    assert any("[redacted] may not" in line for line in said)
    assert len(raw.dead) == 2
    assert key not in "".join(said) + str(raw.dead)


async def test_a_symbol_that_is_refused_at_once_is_accounted_for_until_it_was_subscribed() -> None:
    """Whoever comes after us knows since when it was blind, though nothing ever came and nothing was told yet."""
    streams = [StreamId("trades", "", "finnhub", symbol) for symbol in ("SPY", "IBM")]
    socket, raw = _Socket([TOO_MANY]), _GatedTopics()
    task = asyncio.ensure_future(a_stream(socket, raw, clock=_TickingClock(NOW)).run())
    try:
        await eventually(lambda: socket.read == 1, within_s=10.0)
        unconfirmed = raw.watched.since(streams, {})
        raw.gate.set()
        await eventually(lambda: raw.watched.since(streams, {}), within_s=10.0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert unconfirmed == {}
    assert raw.watched.since(streams, {}) == dict.fromkeys(streams, raw.holes[0].to_time)


async def test_a_break_of_a_late_feed_costs_what_was_on_its_way() -> None:
    """Trades came half a minute late: the hole begins half a minute before the break, so that none is lost unsaid."""
    late = a_frame({"s": "SPY", "p": 1.0, "v": 1, "t": NOW // 1_000 - 30_000})
    ping = b'{"type":"ping"}'
    socket, raw = _Socket([late, *[ping] * 60], [trades(1, 1)]), RecordingTopics()

    await running(a_stream(socket, raw, clock=_TickingClock(NOW)), lambda: len(raw.events) == 2)
    broken = [hole for hole in raw.holes if hole.cause == "disconnected"]

    assert {hole.symbol for hole in broken} == {"SPY", "IBM"}
    assert all(hole.to_time - hole.from_time >= 30 * SECOND_US for hole in broken)
