"""Requests are counted in windows that begin with the first of them."""

from __future__ import annotations

import pytest

from infra.simulator.faults.habits import CountedLimit
from infra.simulator.faults.limits import MAX_COUNTED, LimitCounts


def limit(requests: int, window_s: float = 60.0, block_s: float = 0.0) -> CountedLimit:
    """Return a limit of so many requests."""
    return CountedLimit(type="limit", requests=requests, window_s=window_s, block_s=block_s)


@pytest.mark.parametrize(("requests", "window_s"), [(1, 0.5), (5, 60.0), (200, 60.0)])
def test_so_many_pass_and_the_next_one_does_not(requests: int, window_s: float) -> None:
    """Until the window is over, which began with its first request; then all of it is back."""
    counts, counted = LimitCounts(), limit(requests, window_s)
    taken = [counts.take(counted, "k", 7.0) for _ in range(requests + 3)]
    assert [count.refused for count in taken] == [False] * requests + [True] * 3
    assert [count.left for count in taken] == [*range(requests - 1, -1, -1), 0, 0, 0]
    assert counts.take(counted, "k", 7.0 + window_s * 0.99).refused
    again = counts.take(counted, "k", 7.0 + window_s)
    assert (again.refused, again.left, again.reset_s) == (False, requests - 1, window_s)


def test_a_block_outlasts_the_window_and_begins_with_the_first_refusal() -> None:
    """What is asked meanwhile does not make it longer."""
    counts, counted = LimitCounts(), limit(2, 60.0, block_s=900.0)
    verdicts = [counts.take(counted, "address", now).refused for now in (0, 1, 30, 500, 929.9, 930)]
    assert verdicts == [False, False, True, True, True, False]


def test_each_has_a_count_of_its_own_and_there_are_only_so_many() -> None:
    """Keys are the client's to choose: the oldest is forgotten, nobody runs out of memory."""
    counts, counted = LimitCounts(), limit(1)
    assert not counts.take(counted, "a", 0.0).refused
    assert not counts.take(counted, "b", 0.0).refused
    assert counts.take(counted, "a", 0.0).refused
    assert not counts.take(limit(2), "a", 0.0).refused
    for number in range(MAX_COUNTED):
        counts.take(counted, number, 0.0)
    assert not counts.take(counted, "a", 0.0).refused
