"""What one client gets next, and in what order."""

from __future__ import annotations

import tracemalloc
from dataclasses import asdict
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.blocks import Block, LoggedRecord
from gateway.live.computed import NOTHING
from gateway.live.feeds import Feeds
from gateway.live.streams import parse_stream
from gateway.websocket import frames
from gateway.websocket.answers import Subscribed
from gateway.websocket.delivery import QUEUE_MESSAGES, ClientQueue
from gateway.websocket.frames import FRAME_BYTES, SNAPSHOT_BYTES, Frame, OpenSubscription
from gateway.websocket.freshness import StreamFreshness
from gateway.websocket.subscription import RESUME_BEATS, Recovery, Subscription
from schemas.chain_slices import ChainSlice
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM
from schemas.wire.codec import encode
from tests.support.builders import NINE_THIRTY, a_leg, a_slice, a_trade
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import PLACE, UnreadPast, apply_quote, apply_slice, apply_trade, empty_feeds


def a_place(feeds: Feeds, name: str, number: int = 1, *, covered: int = -1) -> OpenSubscription:
    """Return a subscription to a stream of SPY."""
    stream = parse_stream(name)
    subscription = Subscription(number, stream, conflate=stream.may_conflate, covered=covered)
    return OpenSubscription(subscription, feeds.feed(*stream.feed))


def day_text(day: int) -> str:
    """Return a day as the wire says it."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def parsed(frame: Frame | None) -> list[dict[str, Any]]:
    """Return the messages of a frame."""
    assert frame is not None
    return messages_of(frame.encode())


def test_answers_come_before_data_and_a_snapshot_before_its_stream() -> None:
    """A client knows the subscription before its first record."""
    feeds = empty_feeds()
    apply_trade(feeds, 0)
    outbox = ClientQueue(feeds, UnreadPast())
    place = a_place(feeds, "trades:best:SPY")
    outbox.open(place)
    place.subscription.restart("subscribe")
    outbox.wake(1)
    outbox.push(Subscribed(results=[], total=1).encode())
    apply_trade(feeds, 1)
    assert [message["t"] for message in parsed(outbox.frame())] == ["subscribed", "snapshot"]
    apply_trade(feeds, 2)
    outbox.wake(1)
    (data,) = parsed(outbox.frame())
    assert (data["prev"], data["m"][0][0]) == (1, 2)
    assert outbox.frame() is None


def test_a_busy_stream_does_not_starve_a_quiet_one() -> None:
    """Frames are bounded, and streams take turns."""
    feeds = empty_feeds(ring_messages=5_000)
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "trades:best:SPY", 1))
    outbox.open(a_place(feeds, "quotes:best:SPY", 2))
    for offset in range(3_000):
        apply_trade(feeds, offset)
    apply_quote(feeds, 0)
    outbox.wake(1)
    outbox.wake(2)
    first, second = outbox.frame(), outbox.frame()
    assert first is not None
    assert first.size_bytes < FRAME_BYTES + 1_000
    assert {message["sub"] for message in parsed(first) + parsed(second)} == {1, 2}
    records = first.records + (second.records if second else 0)
    while (frame := outbox.frame()) is not None:
        records += frame.records
    assert records == 3_001


def test_a_client_behind_memory_asks_for_the_log_once_and_is_told() -> None:
    """The subscription is given out for reading, and stays silent until then."""
    feeds = empty_feeds(ring_messages=10)
    outbox = ClientQueue(feeds, UnreadPast())
    place = a_place(feeds, "trades:best:SPY")
    outbox.open(place)
    for offset in range(30):
        apply_trade(feeds, offset)
    outbox.wake(1)
    (notice,) = parsed(outbox.frame())
    assert (notice["t"], notice["action"]) == ("slow", "catching_up")
    assert outbox.wants() == [place]
    assert outbox.wants() == []
    outbox.wake(1)
    assert outbox.frame() is None


def test_a_lagging_client_is_warned_and_the_warning_is_cleared() -> None:
    """Warned at three quarters of memory, cleared below half."""
    feeds = empty_feeds(ring_messages=4_000)
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "trades:best:SPY"))
    for offset in range(3_500):
        apply_trade(feeds, offset)
    outbox.wake(1)
    actions = []
    while (frame := outbox.frame()) is not None:
        actions += [message["action"] for message in parsed(frame) if message["t"] == "slow"]
    assert actions == ["warn", "cleared"]


def test_a_heartbeat_moves_quiet_streams_and_only_those() -> None:
    """A stream with something waiting is left where it is."""
    feeds = empty_feeds()
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "trades:best:SPY", 1))
    outbox.open(a_place(feeds, "trades:yahoo:SPY", 2))
    apply_trade(feeds, 5)
    outbox.wake(1)
    outbox.heartbeat(77)
    beat = parsed(outbox.frame())[0]
    assert (beat["now"], beat["subs"]) == (77, [[2, 5, None]])
    outbox.heartbeat(78)
    assert parsed(outbox.frame())[0]["subs"] == []


def test_unread_answers_overflow() -> None:
    """The bound is on messages and on bytes."""
    outbox = ClientQueue(empty_feeds(), UnreadPast())
    for _ in range(QUEUE_MESSAGES):
        outbox.push(b"{}")
    assert not outbox.overflowing
    outbox.push(b"{}")
    assert outbox.overflowing
    heavy = ClientQueue(empty_feeds(), UnreadPast())
    heavy.push(b"x" * 1_048_577)
    assert heavy.overflowing


def test_a_dropped_subscription_is_silent_and_leaves_no_position() -> None:
    """A wake that comes late finds nothing."""
    feeds = empty_feeds()
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "trades:best:SPY"))
    assert [(str(stream), covered) for stream, covered in outbox.positions()] == [("trades:best:SPY", -1)]
    apply_trade(feeds, 0)
    assert outbox.unsent() == 1
    assert outbox.drop(1) is not None
    assert outbox.drop(1) is None
    outbox.wake(1)
    assert outbox.frame() is None
    assert list(outbox.positions()) == []


def test_a_refresh_is_a_flagged_snapshot_of_quotes_and_leaves_trades_alone() -> None:
    """The newest quote stands for those unsent; a trade unsent is never replaced."""
    feeds = empty_feeds()
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "quotes:best:SPY", 1))
    outbox.open(a_place(feeds, "trades:best:SPY", 2))
    apply_quote(feeds, 0)
    apply_trade(feeds, 0)
    outbox.wake(2)

    outbox.refresh([1, 2, 99], "failover")

    messages = {message["sub"]: message for message in parsed(outbox.frame())}
    assert (messages[1]["t"], messages[1]["reason"], messages[1]["offset"]) == ("snapshot", "failover", 0)
    assert (messages[2]["t"], messages[2]["m"][0][0]) == ("d", 0)


def test_a_change_of_worth_is_told_once_with_a_heartbeat() -> None:
    """Streams of the same worth in one message; what stays as it was is not repeated."""
    feeds = empty_feeds()
    outbox = ClientQueue(feeds, UnreadPast())
    for number, name in enumerate(("trades", "quotes", "gaps"), 1):
        outbox.open(a_place(feeds, f"{name}:best:SPY", number))
    codes = {"trades": "stale", "quotes": "stale"}

    def beat() -> list[tuple[Any, ...]]:
        judged = {name: StreamFreshness(code) for name, code in codes.items()}
        outbox.heartbeat(1, lambda stream: judged.get(stream.channel))
        told = parsed(outbox.frame())
        return [(m["subs"], m["code"], m["data"]) for m in told if m["t"] == "state"]

    assert beat() == [([1, 2], "stale", "suspect")]
    assert beat() == []
    codes["trades"] = "live"
    assert beat() == [([1], "live", "ok")]


def test_a_resume_that_gets_nowhere_is_given_up() -> None:
    """After half a minute of heartbeats in which nothing could be read; the client begins anew."""
    feeds = empty_feeds(10)
    outbox = ClientQueue(feeds, UnreadPast())
    place = a_place(feeds, "trades:best:SPY")
    place.subscription.recover(Recovery(after=3))
    outbox.open(place)
    outbox.wake(1)
    told: list[dict[str, Any]] = []
    for _ in range(RESUME_BEATS + 1):
        outbox.heartbeat(1)
        told += parsed(outbox.frame())
    assert [message["t"] for message in told if message["t"] != "hb"] == ["recovered", "snapshot"]
    assert [message["reason"] for message in told if message["t"] == "recovered"] == ["unavailable"]


def test_a_thousand_resuming_streams_take_little_memory() -> None:
    """Whatever they missed: a client that reads nothing holds cursors, and one frame under way. The bound is 8 MB."""
    feeds = empty_feeds()
    streams = [parse_stream(f"trades:best:A{number}") for number in range(1_000)]
    offsets = count()
    for stream in streams:
        place = feeds.feed(*stream.feed).place
        for _ in range(10):
            offset = next(offsets)
            feeds.apply(place, offset, 0, asdict(a_trade(symbol=stream.symbol, raw_offset=offset)))
    tracemalloc.start()
    try:
        outbox = ClientQueue(feeds, UnreadPast())
        for number, stream in enumerate(streams):
            subscription = Subscription(number, stream, conflate=False, covered=-1)
            subscription.recover(Recovery(after=-1))
            outbox.open(OpenSubscription(subscription, feeds.feed(*stream.feed)))
            outbox.wake(number)
        frame = outbox.frame()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert frame is not None
    assert held_bytes < 2_000_000


class ChainReader:
    """A client of a chain that keeps the newest slice of each root and expiry, and insists on being whole."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.slices: dict[tuple[str, str], int] = {}
        self.covered = -1
        self.passed = 0  # slices heard of since the last snapshot, those that gave way among them

    def hear(self, message: dict[str, Any]) -> None:
        """Take one message of the stream."""
        if message["t"] == "snapshot":
            self.parts += message["data"]
            if message["last"]:
                self.slices, self.covered, self.passed = {}, message["offset"], 0
                self._take(self.parts)
                self.parts = []
        elif message["t"] == "d":
            assert not self.parts
            assert message["prev"] <= self.covered
            self._take(message["m"])
            self.covered = message["m"][-1][0]
            self.passed += len(message["m"]) + message.get("conf", {}).get("n", 0)

    def _take(self, told: list[Any]) -> None:
        for offset, record in told:
            self.slices[record["root"], record["expiry"]] = offset


@given(st.lists(st.integers(-1, 7), max_size=80), st.integers(2, 60), st.sampled_from([1, 1_500, 262_144]))
def test_a_conflating_client_of_a_chain_ends_on_its_newest_slices(
    steps: list[int], ring_messages: int, snapshot_bytes: int
) -> None:
    """However rarely it reads, and however small memory and messages are: whole, with one slice of each expiry, the newest."""
    feeds, reader = empty_feeds(ring_messages=ring_messages), ChainReader()
    outbox, newest = ClientQueue(feeds, UnreadPast()), {}
    place = a_place(feeds, "options:best:SPY")
    outbox.open(place)
    place.subscription.restart("subscribe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "SNAPSHOT_BYTES", snapshot_bytes)
        for offset, step in enumerate([*steps, -1, -1]):
            if step >= 0:
                newest[day_text(16_020 + step)] = offset
                apply_slice(feeds, offset, 16_020 + step)
                continue
            outbox.wake(1)
            frame = outbox.frame()  # the client may be slow: one frame, whatever else waits
            for message in parsed(frame) if frame is not None else ():
                reader.hear(message)
        while (frame := outbox.frame()) is not None:
            for message in parsed(frame):
                reader.hear(message)
    assert reader.slices == {("SPY", expiry): offset for expiry, offset in newest.items()}
    assert outbox.wants() == []


class ReadPast:
    """The whole log of one partition of slices in one block."""

    number = 1

    def __init__(self, slices: list[ChainSlice]) -> None:
        raws = [
            LoggedRecord(offset, 0, encode(OPTION_STREAM.topic, each)) for offset, each in enumerate(slices)
        ]
        place, to = TopicPartition(OPTION_STREAM.topic, PLACE), len(slices) - 1
        self._block = Block(place, 0, to, high=len(slices), number=1, by_key={b"SPY": raws})

    def find(self, _: TopicPartition, __: int, *, asked: int) -> Block:
        """Return the block, whatever is asked for."""
        del asked
        return self._block


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=60),
    st.integers(-1, 59),
    st.integers(1, 60),
    st.booleans(),
)
def test_a_resume_of_a_chain_is_whole_whether_or_not_it_conflates(
    expiries: list[int], after: int, ring_messages: int, conflate: bool
) -> None:
    """From memory and below it from the log: who held what was newest at its position holds what is newest now."""
    after = min(after, len(expiries) - 1)
    feeds, reader = empty_feeds(ring_messages=ring_messages), ChainReader()
    slices = [
        a_slice(expiry=16_020 + each, event_time=NINE_THIRTY + offset, raw_offset=offset)
        for offset, each in enumerate(expiries)
    ]
    for offset, each in enumerate(slices):
        feeds.apply(TopicPartition(OPTION_STREAM.topic, PLACE), offset, offset, asdict(each))
    newest = {("SPY", day_text(16_020 + each)): offset for offset, each in enumerate(expiries)}
    reader.slices = {("SPY", day_text(16_020 + each)): at for at, each in enumerate(expiries[: after + 1])}
    reader.covered = after
    stream = parse_stream("options:best:SPY")
    subscription = Subscription(1, stream, conflate=conflate, covered=after)
    subscription.recover(Recovery(after=after))
    outbox = ClientQueue(feeds, ReadPast(slices))
    outbox.open(OpenSubscription(subscription, feeds.feed(*stream.feed)))
    outbox.wake(1)
    told = []
    while (frame := outbox.frame()) is not None:
        told += parsed(frame)
    for message in told:
        reader.hear(message)
    assert [message["t"] for message in told if message["t"] != "d"] == ["recovered"]
    assert (reader.slices, reader.passed) == (newest, len(expiries) - 1 - after)
    sent = sum(len(message["m"]) for message in told if message["t"] == "d")
    assert told[-1]["count"] == sent
    assert conflate or sent == len(expiries) - 1 - after


def test_slices_that_gave_way_are_accounted_for() -> None:
    """As quotes are, in the message and in the metric."""
    feeds, reader = empty_feeds(), ChainReader()
    outbox = ClientQueue(feeds, UnreadPast())
    outbox.open(a_place(feeds, "options:best:SPY"))
    for offset in range(60):
        apply_slice(feeds, offset, 16_020 + offset % 7)
    outbox.wake(1)
    frame = outbox.frame()
    assert frame is not None
    (message,) = parsed(frame)
    reader.hear(message)
    assert (frame.records, frame.conflated, message["conf"]["n"], reader.passed) == (7, 53, 53, 60)
    assert reader.covered == 59


def test_a_large_snapshot_comes_in_parts_that_are_valid_together() -> None:
    """No frame is much longer than a part, and what comes between the parts follows the last of them."""
    feeds, reader = empty_feeds(), ChainReader()
    legs = [a_leg(strike=float(n), vendor_iv=n / 7) for n in range(2_000)]
    for offset in range(12):
        apply_slice(feeds, offset, 16_020 + offset, legs=legs)
    outbox = ClientQueue(feeds, UnreadPast())
    place = a_place(feeds, "options:best:SPY")
    outbox.open(place)
    place.subscription.restart("subscribe")
    outbox.wake(1)
    told = []
    for later in count(12):
        frame = outbox.frame()
        if frame is None:
            break
        assert frame.size_bytes < SNAPSHOT_BYTES + FRAME_BYTES
        told += parsed(frame)
        if later < 14:
            apply_slice(feeds, later, 16_020)
            outbox.wake(1)
    parts = [message for message in told if message["t"] == "snapshot"]
    assert len(parts) > 4
    assert [message["last"] for message in parts] == [False] * (len(parts) - 1) + [True]
    assert {message["offset"] for message in parts} == {11}
    for message in told:
        reader.hear(message)
    assert reader.slices[("SPY", day_text(16_020))] == 13
    assert len(reader.slices) == 12


def chain_client(
    feeds: Feeds, *, covered: int = -1, greeks: bool = True
) -> tuple[ClientQueue, OpenSubscription]:
    """Return a client of SPY's chain that wants greeks unless told otherwise, woken."""
    outbox, place = ClientQueue(feeds, UnreadPast()), a_place(feeds, "options:best:SPY", covered=covered)
    if greeks:
        place.subscription.computed = NOTHING
    outbox.open(place)
    outbox.wake(1)
    return outbox, place


def compute(feeds: Feeds, scope: str = "best", *, bytes_each: int = 1) -> None:
    """Compute what is new of SPY's chain."""
    feed = feeds.feed("options", "SPY")
    held = feed.computed(scope)
    for item, known in feed.slices(scope):
        if known.offset > held.through:
            held.note(item, known.offset, b'[%d,"%b"]' % (known.offset, b"x" * bytes_each))


def told_of(frame: Frame | None) -> list[tuple[str, list[int]]]:
    """Return the kind of each message of a frame, with the offsets it names."""
    return [
        (message["t"], [offset for offset, _ in message.get("m", message.get("data", ()))])
        for message in parsed(frame)
    ]


def test_greeks_follow_the_slices_they_are_of() -> None:
    """After a snapshot of every newest, then of each as it is computed, once; quotes never wait for them."""
    feeds = empty_feeds()
    apply_slice(feeds, 0, 16_026)
    apply_slice(feeds, 1, 16_033)
    compute(feeds)
    outbox, place = chain_client(feeds)
    place.subscription.restart("subscribe")
    assert told_of(outbox.frame()) == [("snapshot", [0, 1]), ("greeks", [0, 1])]
    apply_slice(feeds, 2, 16_033)
    outbox.wake(1)
    assert told_of(outbox.frame()) == [("d", [2])]
    outbox.wake(1)
    assert outbox.frame() is None
    compute(feeds)
    outbox.wake(1)
    assert told_of(outbox.frame()) == [("greeks", [2])]
    outbox.wake(1)
    assert outbox.frame() is None


def test_greeks_of_a_slice_the_client_has_not_been_sent_wait_for_it() -> None:
    """Of one that lags: its cursor stands before the slice until that is sent."""
    feeds = empty_feeds()
    for offset in range(3):
        apply_slice(feeds, offset, 16_026 + 7 * offset)
    compute(feeds)
    outbox, place = chain_client(feeds, covered=0)
    place.subscription.waiting = True
    before = Frame()
    assert not frames.add_computed(place, before)
    assert told_of(before) == [("greeks", [0])]
    place.subscription.waiting = False
    assert told_of(outbox.frame()) == [("d", [1, 2]), ("greeks", [1, 2])]


def test_a_client_that_wants_no_greeks_is_sent_none_and_shares_its_frames() -> None:
    """What one client has of them is its own, so those who want them share no frame."""
    feeds = empty_feeds()
    apply_slice(feeds, 0)
    compute(feeds)
    for wanted in (False, True):
        outbox, _ = chain_client(feeds, greeks=wanted)
        assert (outbox.share(frames.Round()) is not None) is not wanted
        assert ("greeks" in {message["t"] for message in parsed(outbox.frame() or Frame())}) is wanted


def test_many_greeks_come_in_frames_of_bounded_size() -> None:
    """Each once, in order, whatever the client is sent between."""
    feeds = empty_feeds()
    for offset in range(20):
        apply_slice(feeds, offset, 16_026 + 7 * offset)
    compute(feeds, bytes_each=20_000)
    outbox, place = chain_client(feeds, covered=19)
    seen: list[int] = []
    while (frame := outbox.frame()) is not None:
        assert frame.size_bytes <= FRAME_BYTES + 20_100
        seen += [offset for _, offsets in told_of(frame) for offset in offsets]
    assert seen == list(range(20))
    place.subscription.restart("failover")
    outbox.wake(1)
    again: list[tuple[str, list[int]]] = []
    while (frame := outbox.frame()) is not None:
        again += told_of(frame)
    assert [offset for kind, offsets in again if kind == "greeks" for offset in offsets] == list(range(20))


def test_after_a_resume_greeks_of_all_newest_slices_come() -> None:
    """Of those before the break too: what the client had of them nobody knows."""
    feeds = empty_feeds()
    for offset in range(4):
        apply_slice(feeds, offset, 16_026 + 7 * (offset % 2))
    compute(feeds)
    outbox, place = chain_client(feeds, covered=1)
    place.subscription.recover(Recovery(after=1))
    told = []
    while (frame := outbox.frame()) is not None:
        told += told_of(frame)
    assert told == [("d", [2, 3]), ("greeks", [2, 3]), ("recovered", [])]
