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
        chosen = newest(ring.after(covered, BEST), BEST, 1_000)
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
    chosen = newest([an_entry(3, 1), an_entry(5, 3), an_entry(9, 5)], BEST, 1_000)
    assert chosen is not None
    assert (chosen.previous, chosen.conflated, chosen.span_us) == (1, 2, 6)


ITEMS = (("SPY", 1), ("SPY", 2), ("SPYW", 2))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 40)), max_size=30), st.data())
def test_a_conflated_reader_of_a_chain_ends_on_the_newest_slice_of_each_item(
    pulls: list[tuple[int, int]], data: st.DataObject
) -> None:
    """However little fits a frame: in order, no slice after a newer one of its item, every record accounted for."""
    ring, offset, covered, heard = Ring(-1), -1, -1, 0
    said: dict[object, int] = {}
    last: dict[object, int] = {}
    for arrivals, limit_bytes in pulls:
        for _ in range(arrivals):
            previous, offset = offset, offset + 1
            item = data.draw(st.sampled_from(ITEMS))
            last[item] = offset
            ring.append(an_entry(offset, previous, item=item))
        more = True
        while more and (chosen := newest(ring.after(covered, BEST), BEST, limit_bytes)) is not None:
            assert chosen.previous <= covered
            for entry in chosen.entries:
                assert entry.offset > max(covered, said.get(entry.item, -1))
                said[entry.item] = covered = entry.offset
            assert (
                sum(len(entry.body) + 1 for entry in chosen.entries) <= limit_bytes
                or len(chosen.entries) == 1
            )
            heard, more = heard + len(chosen.entries) + chosen.conflated, chosen.more
        assert said == last
    assert (covered, heard) == (offset, offset + 1)


def test_an_older_slice_gives_way_to_one_that_is_left_for_the_next_frame() -> None:
    """The client is told of it with the message that passes over it."""
    near, far = ITEMS[0], ITEMS[1]
    waiting = [an_entry(1, 0, item=near), an_entry(2, 1, item=far), an_entry(3, 2, item=near)]
    first = newest(waiting, BEST, 1)
    assert first is not None
    assert ([entry.offset for entry in first.entries], first.conflated, first.more) == ([2], 1, True)
    second = newest(waiting[2:], BEST, 1)
    assert second is not None
    assert ([entry.offset for entry in second.entries], second.conflated, second.previous) == ([3], 0, 2)
    assert not second.more
