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
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 8), st.booleans()), max_size=30),
    frontier=st.lists(st.integers(-5, 8) | st.just(NEVER), min_size=4, max_size=4),
)
def test_split_equals_a_walk_through_the_log(
    scale: int, rows: list[tuple[int, int, bool]], frontier: list[int]
) -> None:
    """A row that counts is new exactly where it lies above all stored and all earlier such rows of its stream."""
    rows = [(stream, moment * scale, counts) for stream, moment, counts in rows]
    frontier = [moment if moment == NEVER else moment * scale for moment in frontier]
    expected, newest = [], list(frontier)
    for stream, moment, counts in rows:
        expected.append(counts and moment > newest[stream])
        newest[stream] = max(newest[stream], moment) if counts else newest[stream]
    streams = streams_of([stream for stream, _, _ in rows])
    moments, counted = (
        np.array([row[at] for row in rows], kind) for at, kind in ((1, np.int64), (2, np.bool_))
    )

    fast = above_frontier(streams, moments, np.array(frontier, np.int64), counted)

    assert fast.tolist() == expected
