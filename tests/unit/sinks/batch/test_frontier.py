"""Only rows that open a key skip the comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.batch.frontier import NEVER, above_frontier
from tests.support.row_groups import streams_of


@pytest.mark.parametrize("scale", [1, 1 << 45], ids=["near", "decades apart"])
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 8)), max_size=30),
    frontier=st.lists(st.integers(-5, 8) | st.just(NEVER), min_size=4, max_size=4),
)
def test_split_equals_a_walk_through_the_log(
    scale: int, rows: list[tuple[int, int]], frontier: list[int]
) -> None:
    """A row is new exactly where it lies above all stored and all earlier rows of its stream."""
    rows = [(stream, moment * scale) for stream, moment in rows]
    frontier = [moment if moment == NEVER else moment * scale for moment in frontier]
    expected, newest = [], list(frontier)
    for stream, moment in rows:
        expected.append(moment > newest[stream])
        newest[stream] = max(newest[stream], moment)
    streams = streams_of([stream for stream, _ in rows])

    fast = above_frontier(streams, np.array([m for _, m in rows], np.int64), np.array(frontier, np.int64))

    assert fast.tolist() == expected
