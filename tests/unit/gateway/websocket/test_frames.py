"""Frames: the same bytes for whoever stands at the same place, and other bytes for whoever does not."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.feeds import Feeds
from gateway.live.streams import parse_stream
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription, Round
from gateway.websocket.subscription import Recovery, Subscription
from tests.support.live_feeds import UnreadPast, apply_trade, empty_feeds


def a_queue(feeds: Feeds, *, number: int = 1, covered: int = -1, scope: str = "best") -> ClientQueue:
    """Return the queue of a client of SPY's trades for which something may wait."""
    stream = parse_stream(f"trades:{scope}:SPY")
    outbox = ClientQueue(feeds, UnreadPast())
    subscription = Subscription(number, stream, conflate=False, covered=covered)
    outbox.open(OpenSubscription(subscription, feeds.feed(*stream.feed)))
    outbox.wake(number)
    return outbox


def wired(together: Round, outbox: ClientQueue) -> bytes:
    """Return the next frame on the wire."""
    frame = outbox.frame(together)
    assert frame is not None
    return together.wire(frame)


def test_a_round_makes_each_frame_once() -> None:
    """The very same object, and each cursor moves over it."""
    feeds, together = empty_feeds(), Round()
    apply_trade(feeds, 0)
    queues = [a_queue(feeds) for _ in range(3)]
    first, *others = [wired(together, outbox) for outbox in queues]
    assert all(other is first for other in others)
    assert [covered for outbox in queues for _, covered in outbox.positions()] == [0, 0, 0]
    for outbox in queues:
        outbox.wake(1)
        assert outbox.frame(Round()) is None


@pytest.mark.parametrize("other", [{"number": 2}, {"covered": 0}, {"scope": "finnhub"}])
def test_whoever_stands_elsewhere_gets_bytes_of_its_own(other: dict[str, object]) -> None:
    """Another number, another position, another scope."""
    feeds, together = empty_feeds(), Round()
    apply_trade(feeds, 0)
    apply_trade(feeds, 1)
    apply_trade(feeds, 2, provider="yahoo")
    shared, own = wired(together, a_queue(feeds)), wired(together, a_queue(feeds, **other))  # type: ignore[arg-type]
    assert shared != own
    alone = wired(Round(), a_queue(feeds, **other))  # type: ignore[arg-type]
    assert own == alone


def test_what_is_a_clients_own_is_never_shared() -> None:
    """An answer goes to who asked, beside data that all get."""
    feeds, together = empty_feeds(), Round()
    apply_trade(feeds, 0)
    asking, other = a_queue(feeds), a_queue(feeds)
    asking.push(b'{"t":"pong","id":7}')
    assert b'"pong"' in wired(together, asking)
    bare = wired(together, other)
    assert b'"pong"' not in bare
    assert len(orjson.loads(bare[bare.index(b"[") :])) == 1


def test_a_whole_frame_is_shared_by_all_for_whom_it_alone_waits() -> None:
    """It is what each would be sent by itself, and each cursor is moved; whoever has something of its own is left out."""
    feeds, together = empty_feeds(), Round()
    apply_trade(feeds, 0)
    apply_trade(feeds, 1)
    first, second, asking, resuming = [a_queue(feeds) for _ in range(4)]
    asking.push(b'{"t":"pong","id":7}')
    resuming.places[1].subscription.recover(Recovery(after=-1))
    assert first.shared(together) is None
    made = first.share(together)
    assert made is not None
    assert second.shared(together) is made
    assert [asking.shared(together), asking.share(together)] == [None, None]
    assert [resuming.shared(together), resuming.share(together)] == [None, None]
    assert (made.records, made.covered) == (2, 1)
    assert made.wire == wired(Round(), a_queue(feeds))
    assert not (first.waiting or second.waiting)
    assert [covered for outbox in (first, second) for _, covered in outbox.positions()] == [1, 1]


def test_one_that_lags_gets_frames_of_its_own() -> None:
    """It may have to be told."""
    feeds = empty_feeds(ring_messages=8)
    for offset in range(7):
        apply_trade(feeds, offset)
    assert a_queue(feeds).share(Round()) is None


def test_who_is_woken_as_its_turn_comes_gets_what_others_got() -> None:
    """Without being noted before; whoever has more to hear than that is woken, and has it made."""
    feeds, together = empty_feeds(), Round()
    apply_trade(feeds, 0)
    maker, idle, asking = [a_queue(feeds) for _ in range(3)]
    for outbox in (idle, asking):
        wired(Round(), outbox)
    apply_trade(feeds, 1)
    wired(Round(), maker)
    apply_trade(feeds, 2)
    maker.wake(1)
    idle.places[1].subscription.covered = idle.places[1].subscription.whole = 1
    made = maker.share(together)
    assert made is not None
    assert idle.shared(together, 1) is made
    assert not idle.waiting
    asking.push(b'{"t":"pong","id":7}')
    assert asking.shared(together, 1) is None
    assert asking.waiting
    assert [message["t"] for message in records(wired(together, asking))] == ["pong", "d"]
    assert idle.shared(together, 9) is None
    assert not idle.waiting


def test_for_whom_nothing_waits_nothing_is_made() -> None:
    """Once that was seen of one, it is known of all that stand there."""
    feeds, together = empty_feeds(), Round()
    first, second = a_queue(feeds), a_queue(feeds)
    made = first.share(together)
    assert made is not None
    assert (made.wire, made.records) == (b"", 0)
    assert second.shared(together, 1) is made
    assert not (first.waiting or second.waiting)


def records(wire: bytes) -> list[dict[str, object]]:
    """Return the messages of a frame on the wire."""
    messages: list[dict[str, object]] = orjson.loads(wire[wire.index(b"[") :])
    return messages


@given(st.lists(st.sampled_from(["record", "pass", "push", "begin"]), max_size=40))
def test_a_crowd_hears_what_one_alone_would(steps: list[str]) -> None:
    """Whatever comes in whatever order: every client has each record once, in order, in a chain without a hole."""
    feeds, offset = empty_feeds(), 0
    crowd = [a_queue(feeds) for _ in range(3)]
    told: list[list[tuple[int, list[int]]]] = [[] for _ in crowd]
    for step in [*steps, "pass"]:
        if step == "record":
            apply_trade(feeds, offset)
            offset += 1
        elif step == "push":
            crowd[1].push(b'{"t":"pong","id":7}')
        elif step == "begin":
            crowd.append(a_queue(feeds, covered=offset - 1))
            told.append([])
        else:
            together = Round()
            for heard, outbox in zip(told, crowd, strict=True):
                made = outbox.shared(together, 1) or outbox.share(together)
                wire = made.wire if made is not None else wired(together, outbox)
                for message in records(wire) if wire else ():
                    if message["t"] == "d":
                        heard.append((message["prev"], [at for at, _ in message["m"]]))  # type: ignore[misc, attr-defined, arg-type]
    for number, heard in enumerate(told):
        offsets = [at for _, held in heard for at in held]
        assert offsets == list(range(offset - len(offsets), offset))
        assert number >= 3 or len(offsets) == offset
        assert [previous for previous, _ in heard[1:]] == [held[-1] for _, held in heard[:-1]]
