"""Watermarks and as_of."""

from __future__ import annotations

import pytest

from gateway.database.knowledge import (
    check_not_future,
    complete_through,
    latest_event,
    no_watermark,
    not_yet_complete,
)
from gateway.http.moments import LATEST_US
from gateway.http.problems import Problem
from schemas.validation import MAX_AHEAD_US


def test_the_least_watermark_decides_and_is_exclusive() -> None:
    """complete_before 10 means complete through 9."""
    assert complete_through([30, 10, 20]) == 9
    assert complete_through([30, None]) is None
    assert complete_through([]) is None


def test_an_as_of_in_the_future_is_refused() -> None:
    """The clock's own moment is not."""
    check_not_future(10, 10)
    with pytest.raises(Problem) as problem:
        check_not_future(11, 10)
    assert (problem.value.status, problem.value.errors[0].param) == (422, "as_of")


@pytest.mark.parametrize("problem", [not_yet_complete(20, 10), not_yet_complete(20, None), no_watermark()])
def test_what_is_not_complete_says_when_to_come_again(problem: Problem) -> None:
    """503 with Retry-After, never a lowered as_of."""
    assert problem.status == 503
    assert problem.retry_after_s


def test_only_on_the_wall_clock_does_knowledge_bound_events() -> None:
    """A simulated past is known now."""
    assert latest_event(100, wall_market=True) == 100 + MAX_AHEAD_US
    assert latest_event(LATEST_US, wall_market=True) == LATEST_US
    assert latest_event(100, wall_market=False) == LATEST_US
