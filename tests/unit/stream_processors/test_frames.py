"""Trades are occurrences: only a frame's own bytes on its own connection make a repeat."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processors.frames import MAX_CONNECTIONS, REMEMBERED_FRAMES, FrameHistory


def test_equal_bytes_in_another_frame_of_the_connection_are_a_repeat() -> None:
    """The vendor sent the frame twice."""
    history = FrameHistory()

    assert [history.repeats("c", sequence, 7) for sequence in (1, 2, 3)] == [False, True, True]


def test_a_frame_split_over_blocks_is_one_frame() -> None:
    """All events of one sequence share its fate."""
    history = FrameHistory()

    assert [history.repeats("c", 1, 7), history.repeats("c", 1, 7)] == [False, False]
    assert [history.repeats("c", 2, 7), history.repeats("c", 2, 7)] == [True, True]
    assert not history.repeats("c", 1, 7)


def test_another_connection_or_none_repeats_nothing() -> None:
    """Two sockets deliver the same market twice only if the vendor says so; a request has no frames."""
    history = FrameHistory()
    history.repeats("c", 1, 7)

    assert not history.repeats("d", 2, 7)
    assert [history.repeats("", sequence, 7) for sequence in (1, 2)] == [False, False]


def test_a_repeat_further_back_passes() -> None:
    """Beyond the last 64 frames equal bytes are taken for a new event."""
    near, far = FrameHistory(), FrameHistory()
    for history, others in ((near, REMEMBERED_FRAMES - 1), (far, REMEMBERED_FRAMES)):
        history.repeats("c", 0, 7)
        for sequence in range(1, others + 1):
            history.repeats("c", sequence, 100 + sequence)

    assert near.repeats("c", 1_000, 7)
    assert not far.repeats("c", 1_000, 7)


def test_the_connection_silent_longest_is_forgotten() -> None:
    """Memory is bounded however often a socket reconnects."""
    history = FrameHistory()
    history.repeats("first", 1, 7)
    for number in range(MAX_CONNECTIONS):
        history.repeats(f"c{number}", 1, 7)

    assert not history.repeats("first", 2, 7)
    assert history.repeats(f"c{MAX_CONNECTIONS - 1}", 2, 7)


@given(st.lists(st.integers(min_value=0, max_value=5), max_size=100))
def test_distinct_frames_all_pass_and_repeats_of_them_do_not(hashes: list[int]) -> None:
    """Among fewer frames than are remembered, each hash passes exactly once."""
    history, known = FrameHistory(), set[int]()
    for sequence, frame_hash in enumerate(hashes[:REMEMBERED_FRAMES]):
        assert history.repeats("c", sequence, frame_hash) == (frame_hash in known)
        known.add(frame_hash)
