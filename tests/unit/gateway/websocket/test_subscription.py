"""Cursors: where a resume reads from, what a subscription sends, and when it knows that memory cannot serve it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.blocks import Block, LoggedRecord
from gateway.live.ring import Ring
from gateway.live.streams import LiveStream, parse_stream
from gateway.websocket.subscription import (
    RESUME_MAX_OFFSETS,
    RESUME_MAX_SLICES,
    Recovery,
    ResumeRefused,
    StreamPosition,
    Subscription,
    plan_resume,
    resume_offsets,
)
from schemas.partitions import TopicPartition
from schemas.topics import TRADES as TRADES_TOPIC
from schemas.wire.codec import encode
from tests.support.builders import a_trade
from tests.support.declared_messages import messages_of
from tests.support.live_feeds import an_entry

TRADES = parse_stream("trades:best:SPY")
QUOTES = parse_stream("quotes:best:SPY")
CHAIN = parse_stream("options:best:SPY")
FLOOR, APPLIED = RESUME_MAX_OFFSETS - 10, RESUME_MAX_OFFSETS


@pytest.mark.parametrize(
    ("epoch", "offset", "expected"),
    [
        pytest.param("other", 50, ResumeRefused(reason="epoch_changed"), id="another incarnation"),
        pytest.param("log", 50, Recovery(after=50), id="at the floor"),
        pytest.param("log", FLOOR - 1, Recovery(after=FLOOR - 1), id="below the floor"),
        pytest.param(
            "log", APPLIED + 20, Recovery(after=APPLIED + 20, doubtful=True), id="ahead of this process"
        ),
        pytest.param("log", -1, ResumeRefused(reason="too_many"), id="more than is read"),
    ],
)
def test_a_resume_is_planned_from_where_the_client_stands(epoch: str, offset: int, expected: object) -> None:
    """What would be too much is refused before any of it is read; another incarnation is refused."""
    floor = min(offset, FLOOR) if offset == 50 else FLOOR
    plan = plan_resume(StreamPosition(epoch=epoch, offset=offset), epoch="log", floor=floor, applied=APPLIED)
    assert plan == expected


def a_ring(*offsets: int, begun_after: int = -1, capacity: int = 100) -> Ring:
    """Return a ring of one stream with entries at `offsets`."""
    ring, previous = Ring(begun_after, capacity), begun_after
    for offset in offsets:
        ring.append(an_entry(offset, previous))
        previous = offset
    return ring


def a_block(*offsets: int, first: int, to: int, high: int = 1_000) -> Block:
    """Return a block of SPY's trades."""
    raws = [
        LoggedRecord(offset, 0, encode(TRADES_TOPIC, a_trade(raw_offset=offset, event_time=offset)))
        for offset in offsets
    ]
    return Block(TopicPartition(TRADES_TOPIC, 0), first, to, high=high, number=1, by_key={b"SPY": raws})


def taken(
    subscription: Subscription, ring: Ring, applied: int, block: Block | None = None
) -> list[dict[str, Any]]:
    """Return what is sent: from the block while memory does not reach back, then from the ring."""
    found = []
    while True:
        if subscription.fell_behind(ring):
            assert block is not None
            delivery = subscription.take_past(block, 1_000)
            if delivery is None:
                continue
        else:
            delivery = subscription.take(ring, applied, 1_000)
        if delivery is None:
            return found
        found += messages_of(b"[" + delivery.message + b"]")


def test_a_resume_gives_the_log_and_then_memory_without_a_seam() -> None:
    """History, what the ring holds above it, then `recovered`: no hole, no repeat."""
    ring = a_ring(6, 8, begun_after=5)
    subscription = Subscription(1, TRADES, conflate=False, covered=9)
    subscription.recover(Recovery(after=1))
    told = taken(subscription, ring, 9, a_block(2, 4, 6, first=0, to=7))

    assert [message["t"] for message in told] == ["d", "d", "recovered"]
    assert told[2] == {
        "t": "recovered",
        "sub": 1,
        "ok": True,
        "from": 1,
        "to": 9,
        "count": 4,
        "source": "kafka",
    }
    assert [offset for message in told[:2] for offset, _ in message["m"]] == [2, 4, 6, 8]
    assert [message["prev"] for message in told[:2]] == [1, 6]
    assert (subscription.covered, subscription.steady) == (9, True)


def test_a_resume_within_memory_holds_nothing_of_it() -> None:
    """Whatever it resumes, a client is a cursor: its size does not grow with what it missed."""
    ring = a_ring(*range(500), capacity=1_000)
    subscription = Subscription(1, TRADES, conflate=False, covered=499)
    subscription.recover(Recovery(after=3))
    assert not hasattr(subscription, "__dict__")
    told = taken(subscription, ring, 600)
    assert [told[-1][name] for name in ("t", "to", "count", "source")] == ["recovered", 600, 496, "memory"]


def test_a_conflated_resume_reads_the_log_only_where_memory_has_no_newer_value() -> None:
    """The newest quote stands for all before it, those below memory too."""
    subscription = Subscription(1, QUOTES, conflate=True, covered=9)
    subscription.recover(Recovery(after=1))
    assert subscription.fell_behind(a_ring(begun_after=5))
    ring = a_ring(7, 8, begun_after=5)
    assert not subscription.fell_behind(ring)
    (data, recovered) = taken(subscription, ring, 9)
    assert (data["prev"], [offset for offset, _ in data["m"]]) == (1, [8])
    assert (recovered["t"], recovered["count"]) == ("recovered", 1)


@pytest.mark.parametrize(("after", "fault"), [(3, "expired"), (4, None), (9, None), (10, "epoch_changed")])
def test_a_block_says_where_it_cannot_make_a_stream_whole(after: int, fault: str | None) -> None:
    """Records that expired, or a log that ends below the client's position, which was another one."""
    subscription = Subscription(1, TRADES, conflate=False, covered=after)
    assert subscription.fault(a_block(first=5, to=9, high=10)) == fault


def test_falling_behind_memory_is_noticed_and_never_skipped() -> None:
    """What the ring gave up before it was sent makes an unconflated cursor ask for Kafka."""
    ring = a_ring(*range(10), capacity=3)
    behind = Subscription(1, TRADES, conflate=False, covered=4)
    assert behind.fell_behind(ring)
    assert not Subscription(2, TRADES, conflate=False, covered=6).fell_behind(ring)
    (told,) = taken(behind, ring, 9, a_block(5, 6, first=0, to=6))[:1]
    assert ([offset for offset, _ in told["m"]], behind.fell_behind(ring)) == ([5, 6], False)


def test_a_conflated_stream_never_falls_behind() -> None:
    """The newest quote stands for those given up too, and its link is one the client has."""
    ring = a_ring(*range(10), capacity=3)
    subscription = Subscription(1, QUOTES, conflate=True, covered=4)
    assert not subscription.fell_behind(ring)
    delivery = subscription.take(ring, 9, 1_000)
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
    subscription.recover(Recovery(after=1))
    subscription.restart("recovery")
    assert subscription.busy
    assert not subscription.settle(a_ring(3), 9)
    subscription.snapshot_sent(9)
    assert (subscription.covered, subscription.busy) == (9, False)


def test_a_conflated_chain_that_falls_behind_begins_anew_at_a_snapshot() -> None:
    """The ring may not have the newest slice of an expiry that is polled less often any more."""
    ring = a_ring(*range(10), capacity=3)
    behind = Subscription(1, CHAIN, conflate=True, covered=4)
    assert behind.begins_anew(ring) == "behind"
    assert behind.busy
    near = Subscription(2, CHAIN, conflate=True, covered=6)
    quotes = Subscription(3, QUOTES, conflate=True, covered=4)
    every = Subscription(4, CHAIN, conflate=False, covered=4)
    assert [each.begins_anew(ring) for each in (near, quotes, every)] == [None, None, None]
    assert every.fell_behind(ring)  # it gets each slice, from the log


def test_a_conflated_resume_of_a_chain_reads_the_log_wherever_memory_does_not_reach_back() -> None:
    """A newer slice stands for none of another expiry: nothing is passed over, and no snapshot stands for it."""
    ring = a_ring(7, 8, begun_after=5)
    subscription = Subscription(1, CHAIN, conflate=True, covered=9)
    subscription.recover(Recovery(after=1))
    assert subscription.begins_anew(ring) is None
    assert subscription.fell_behind(ring)
    subscription.whole = 5
    assert not subscription.fell_behind(ring)


@pytest.mark.parametrize(
    ("stream", "most"),
    [(CHAIN, RESUME_MAX_SLICES), (QUOTES, RESUME_MAX_OFFSETS), (TRADES, RESUME_MAX_OFFSETS)],
)
def test_fewer_slices_than_other_records_are_read_for_one_resume(stream: LiveStream, most: int) -> None:
    """All or nothing: one offset more, and none of it is read."""
    assert resume_offsets(stream) == most
    for offset, whole in ((10, True), (9, False)):
        wanted = StreamPosition(epoch="log", offset=offset)
        plan = plan_resume(wanted, epoch="log", floor=most, applied=most + 10, most=most)
        assert isinstance(plan, Recovery) is whole
