"""What gives way to what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.ring import Ring
from gateway.live.streams import BEST
from gateway.websocket.conflation import every, newest
from tests.support.live_feeds import an_entry


@given(st.lists(st.integers(0, 3), max_size=50))
def test_a_conflated_reader_ends_on_the_last_quote(pulls: list[int]) -> None:
    """Whenever it reads, it holds the newest quote, and what it was told gave way accounts for all others."""
    ring, covered, heard, offset = Ring(-1), -1, 0, -1
    for arrivals in [*pulls, 1]:
        for _ in range(arrivals):
            previous, offset = offset, offset + 1
            ring.append(an_entry(offset, previous))
        chosen = newest(ring.after(covered, BEST), BEST)
        assert (chosen is None) == (arrivals == 0)
        if chosen is not None:
            assert chosen.previous <= covered  # whole, although quotes are missing
            covered = chosen.entries[-1].offset
            heard += 1 + chosen.conflated
        assert covered == offset
    assert heard == offset + 1


def test_an_unconflated_reader_gets_every_record_within_the_limit() -> None:
    """Frames are bounded by bytes; a record larger than the bound still goes, alone."""
    entries = [an_entry(offset, offset - 1) for offset in range(10)]
    size = len(entries[0].body) + 1
    chosen = every(entries, BEST, 3 * size)
    assert chosen is not None
    assert [entry.offset for entry in chosen.entries] == [0, 1, 2]
    assert chosen.more
    assert chosen.previous == -1
    alone = every(entries, BEST, 1)
    assert alone is not None
    assert len(alone.entries) == 1
    assert every([], BEST, 100) is None


def test_conflation_says_how_much_gave_way_and_over_how_long() -> None:
    """`conf` carries the count and the span between the oldest and the newest."""
    chosen = newest([an_entry(3, 1), an_entry(5, 3), an_entry(9, 5)], BEST)
    assert chosen is not None
    assert (chosen.previous, chosen.conflated, chosen.span_us) == (1, 2, 6)
