"""Letters are counted one by one, whatever lies between them."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from sinks.reading.shell.dead_letters import CHUNK, HeldLetters

OFFSETS = st.integers(0, 5 * CHUNK)


@given(st.lists(st.tuples(st.booleans(), OFFSETS), max_size=60))
def test_the_count_is_that_of_a_set(steps: list[tuple[bool, int]]) -> None:
    """In any order, read twice or not, while the log loses its beginning."""
    held, expected, start = HeldLetters("one"), set[int](), 0
    for is_letter, offset in steps:
        if is_letter:
            held.add(max(offset, start))
            expected.add(max(offset, start))
        else:
            start = max(start, offset)
            held.begin_at(start)
            expected = {each for each in expected if each >= start}

        assert len(held) == len(expected)


def test_counting_goes_on_where_it_stopped_or_where_the_log_begins() -> None:
    """Behind the newest letter, and never before the start."""
    held = HeldLetters("one")
    positions = [held.position]
    held.add(7)
    positions.append(held.position)
    held.begin_at(3)
    positions.append(held.position)
    held.begin_at(5_000)
    positions.append(held.position)

    assert positions == [0, 8, 8, 5_000]
    assert len(held) == 0


def test_a_million_letters_take_little_memory() -> None:
    """A bit each, since a broken feed may leave many."""
    tracemalloc.start()
    held = HeldLetters("one")
    for offset in range(1_000_000):
        held.add(offset)
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(held) == 1_000_000
    assert kept_bytes < 1_000_000
