"""Frames: the same bytes for whoever stands at the same place, and other bytes for whoever does not."""

from __future__ import annotations

import orjson
import pytest

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
