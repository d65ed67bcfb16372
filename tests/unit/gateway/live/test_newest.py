"""The newest slices of a chain against a plain list of all there were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.newest import SLICE_OVERHEAD_BYTES, NewestRecord, NewestSlices
from schemas.intervals import DAY_US
from tests.support.memory import held_bytes

TOLD = st.tuples(st.sampled_from("AB"), st.integers(3, 9), st.integers(0, 40))


def a_slice_of(root: str, expiry: int, moment: int, offset: int, body: bytes = b"") -> NewestRecord:
    """Return a slice stamped at `moment` µs."""
    fields = {"root": root, "expiry": expiry, "event_time": moment}
    return NewestRecord(fields, 0, offset, body or b"[%d,{}]" % offset)


@given(st.lists(TOLD, max_size=60))
def test_held_is_the_newest_slice_of_each_item_that_is_not_expired(told: list[tuple[str, int, int]]) -> None:
    """By event time, of equal ones the later; expired is whose day the newest stamp has left behind."""
    slices, everything, newest_day = NewestSlices(), [], 0
    for offset, (root, expiry, quarters) in enumerate(told):
        known = a_slice_of(root, expiry, quarters * DAY_US // 4, offset)
        everything.append(known)
        slices.note((root, expiry), known)
        newest_day = max(newest_day, quarters // 4)
        by_item: dict[tuple[int, str], NewestRecord] = {}
        for each in sorted(everything, key=lambda one: (one.moment, one.offset)):
            by_item[each.fields["expiry"], each.fields["root"]] = each
        wanted = [by_item[name].body for name in sorted(by_item) if name[0] >= newest_day]
        assert slices.bodies() == wanted
        assert slices.held_bytes == sum(len(body) + SLICE_OVERHEAD_BYTES for body in wanted)


def test_contracts_stand_until_their_day_is_over() -> None:
    """A slice of the day of expiry itself is shown to its last microsecond."""
    slices = NewestSlices()
    slices.note(("A", 5), a_slice_of("A", 5, 6 * DAY_US - 1, 1))
    slices.note(("A", 6), a_slice_of("A", 6, 6 * DAY_US - 1, 2))
    assert len(slices) == 2
    slices.note(("A", 9), a_slice_of("A", 9, 6 * DAY_US, 3))
    assert slices.bodies() == [b"[2,{}]", b"[3,{}]"]


def test_a_slice_that_comes_after_its_expiry_is_not_held() -> None:
    """A late record of the past brings no chain back."""
    slices = NewestSlices()
    slices.note(("A", 9), a_slice_of("A", 9, 6 * DAY_US, 1))
    slices.note(("A", 5), a_slice_of("A", 5, 5 * DAY_US, 2))
    assert slices.bodies() == [b"[1,{}]"]


def test_beyond_the_bound_the_slice_stamped_longest_ago_gives_way() -> None:
    """One that is larger than the bound still stands: alone."""
    slices = NewestSlices(budget_bytes=3 * (SLICE_OVERHEAD_BYTES + 100))
    for moment, expiry in enumerate((20, 10, 30, 40)):
        slices.note(("A", expiry), a_slice_of("A", expiry, moment, moment, b"%100d" % moment))
    assert [int(body) for body in slices.bodies()] == [1, 2, 3]
    slices.note(("A", 50), a_slice_of("A", 50, 9, 9, b"x" * 1_000_000))
    assert len(slices) == 1


def test_memory_of_older_slices_is_returned() -> None:
    """A chain takes what its newest slices take, however many were polled."""

    def after(polls: int) -> NewestSlices:
        slices = NewestSlices()
        for poll in range(polls):
            for expiry in range(100, 110):
                slices.note(("A", expiry), a_slice_of("A", expiry, poll, poll, b"x" * 1_000 + b"%d" % poll))
        return slices

    assert held_bytes(lambda: after(200)) < 1.2 * held_bytes(lambda: after(2)) + 5_000
