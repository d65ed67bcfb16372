"""Cursors: where a resume reads from, what a subscription sends, and when it knows that memory cannot serve it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.ring import Ring
from gateway.live.streams import parse_stream
from gateway.websocket.subscription import (
    FromLog,
    FromMemory,
    Replay,
    ResumeRefused,
    StreamPosition,
    Subscription,
    plan_resume,
)
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import an_entry

TRADES = parse_stream("trades:best:SPY")
QUOTES = parse_stream("quotes:best:SPY")


@pytest.mark.parametrize(
    ("epoch", "offset", "expected"),
    [
        pytest.param("other", 50, ResumeRefused(reason="epoch_changed"), id="another incarnation"),
        pytest.param("log", 50, FromMemory(), id="at the floor"),
        pytest.param("log", 99, FromMemory(), id="nothing missed"),
        pytest.param("log", 49, FromLog(after=49, up_to=99), id="below the floor"),
        pytest.param("log", -1, FromLog(after=-1, up_to=99), id="from the beginning"),
        pytest.param("log", 120, FromLog(after=120, up_to=120), id="ahead of this process"),
    ],
)
def test_a_resume_is_planned_from_what_memory_holds(epoch: str, offset: int, expected: object) -> None:
    """Memory where it is whole, else the log; another incarnation is refused."""
    plan = plan_resume(StreamPosition(epoch=epoch, offset=offset), epoch="log", floor=50, applied=99)
    assert plan == expected


def a_ring(*offsets: int, begun_after: int = -1, capacity: int = 100) -> Ring:
    """Return a ring of one stream with entries at `offsets`."""
    ring, previous = Ring(begun_after, capacity), begun_after
    for offset in offsets:
        ring.append(an_entry(offset, previous))
        previous = offset
    return ring


def test_a_replay_comes_whole_before_the_live_records() -> None:
    """History, then `recovered`, then what the ring holds above it: no hole, no repeat."""
    ring = a_ring(2, 4, 6, 8)
    subscription = Subscription(1, TRADES, conflate=False, covered=1)
    subscription.await_history()
    assert subscription.take(ring, 1_000) is None
    subscription.replay(Replay(entries=[an_entry(2, 1), an_entry(4, 2)], after=1, to=5, source="kafka"))
    parsed = []
    while (delivery := subscription.take(ring, 1_000)) is not None:
        parsed.append(messages_of(b"[" + delivery.message + b"]")[0])
    assert [message["t"] for message in parsed] == ["d", "recovered", "d"]
    assert parsed[1] == {
        "t": "recovered",
        "sub": 1,
        "ok": True,
        "from": 1,
        "to": 5,
        "count": 2,
        "source": "kafka",
    }
    assert [offset for message in parsed if message["t"] == "d" for offset, _ in message["m"]] == [2, 4, 6, 8]
    assert parsed[2]["prev"] == 4
    assert subscription.covered == 8


def test_falling_behind_memory_is_noticed_and_never_skipped() -> None:
    """What the ring gave up before it was sent makes an unconflated cursor ask for Kafka."""
    ring = a_ring(*range(10), capacity=3)
    behind = Subscription(1, TRADES, conflate=False, covered=4)
    assert behind.fell_behind(ring)
    assert not Subscription(2, TRADES, conflate=False, covered=6).fell_behind(ring)
    behind.await_history()
    assert not behind.fell_behind(ring)  # asked once


def test_a_conflated_stream_never_falls_behind() -> None:
    """The newest quote stands for those given up too, and its link is one the client has."""
    ring = a_ring(*range(10), capacity=3)
    subscription = Subscription(1, QUOTES, conflate=True, covered=4)
    assert not subscription.fell_behind(ring)
    delivery = subscription.take(ring, 1_000)
    assert delivery is not None
    message = messages_of(b"[" + delivery.message + b"]")[0]
    assert (message["prev"], message["m"]) == (4, [[9, {}]])
    assert message["conf"]["n"] >= 3


@given(st.integers(-1, 12), st.integers(-1, 15))
def test_a_heartbeat_never_covers_what_was_not_sent(covered: int, applied: int) -> None:
    """The cursor moves to the end of the partition only over records of others."""
    ring = a_ring(3, 7)
    subscription = Subscription(1, TRADES, conflate=False, covered=covered)
    moved = subscription.settle(ring, applied)
    assert subscription.covered == (max(covered, applied) if covered >= 7 else covered)
    assert moved == (subscription.covered != covered)


def test_a_snapshot_replaces_what_was_to_come() -> None:
    """After a refused resume nothing of the past is sent, and nothing before the snapshot."""
    subscription = Subscription(1, TRADES, conflate=False, covered=1)
    subscription.await_history()
    subscription.restart("recovery")
    assert subscription.busy
    assert not subscription.settle(a_ring(3), 9)
    subscription.snapshot_sent(9)
    assert (subscription.covered, subscription.busy) == (9, False)
