"""Up to where jobs.v1 may be committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.jobs.offsets import JobOffsets


def test_a_commit_waits_for_the_oldest_open_job() -> None:
    """Whatever was done behind it is found to be done when it is read again."""
    offsets = JobOffsets()
    offsets.own({0: 5})
    for offset in (5, 6, 9):
        offsets.begin(0, offset)
    offsets.end(0, 9)
    offsets.end(0, 6)

    assert offsets.committable() == {}
    offsets.end(0, 5)
    assert offsets.committable() == {0: 10}
    assert offsets.committable() == {}


def test_a_partition_given_up_is_committed_no_more() -> None:
    """A job that ends late belongs to the next owner."""
    offsets = JobOffsets()
    offsets.own({0: 5, 1: 0})
    offsets.begin(0, 5)
    offsets.begin(1, 0)
    offsets.give_up({0})
    offsets.end(0, 5)
    offsets.end(1, 0)

    assert offsets.committable() == {1: 1}
    offsets.own({0: 5})
    assert offsets.committable() == {}


@given(st.permutations(range(12)))
def test_the_position_is_always_the_oldest_open_offset(order: list[int]) -> None:
    """In whatever order jobs end."""
    offsets, position, left = JobOffsets(), 0, set(range(12))
    offsets.own({3: 0})
    for offset in range(12):
        offsets.begin(3, offset)
    for offset in order:
        offsets.end(3, offset)
        left.discard(offset)
        position = offsets.committable().get(3, position)

        assert position == min(left, default=12)
