"""Limits of a client: units come back with time, a key has a bound, and whoever keeps silent gives way."""

from __future__ import annotations

import pytest

from gateway.websocket import limits
from gateway.websocket.limits import Callers, CostBucket, Waiting


def test_units_come_back_with_time_up_to_the_burst() -> None:
    """What is asked beyond them says how long to wait; more than a burst costs a burst."""
    bucket = CostBucket(2.0, 10.0, 0.0)
    assert bucket.wait_s(10, 0.0) == 0
    bucket.take(10)
    assert bucket.wait_s(3, 0.0) == 1.5
    assert bucket.wait_s(3, 1.5) == 0
    assert bucket.wait_s(1_000, 100.0) == 0


def test_a_key_has_so_many_connections_and_those_without_one_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One more is refused until one leaves; nothing is kept of a key that is gone."""
    monkeypatch.setattr(limits, "KEY_CONNECTIONS", 2)
    callers = Callers()
    first, second = callers.enter("alice", 0.0), callers.enter("alice", 0.0)
    assert first is second is not None
    assert callers.enter("alice", 0.0) is None
    assert callers.enter("bob", 0.0) is not None
    assert all(callers.enter("", 0.0) is not None for _ in range(3))
    callers.leave(first, 0)
    assert callers.enter("alice", 0.0) is first
    for _ in range(2):
        callers.leave(first, 0)
    assert "alice" not in callers.by_key


def test_the_oldest_silent_connection_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same address first, then of all; one that spoke is not among them."""
    monkeypatch.setattr(limits, "UNAUTHENTICATED", 4)
    monkeypatch.setattr(limits, "UNAUTHENTICATED_OF_ADDRESS", 2)
    waiting: Waiting[str] = Waiting()
    assert [waiting.enter(name, "a") for name in ("a1", "a2", "a3")] == [None, None, "a1"]
    waiting.leave("a1")
    assert [waiting.enter("b1", "b"), waiting.enter("c1", "c")] == [None, None]
    assert waiting.enter("d1", "d") == "a2"
    waiting.leave("a2")
    assert len(waiting) == 4
