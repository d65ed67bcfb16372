"""Computed values of the newest records: who is sent which, by one offset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.computed import NOTHING, ComputedValues

NOTED = st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(1, 3), st.booleans()), max_size=40)


@given(NOTED, st.integers(-1, 60), st.integers(-1, 60))
def test_a_client_is_sent_what_it_has_not_had_of_records_it_has(
    noted: list[tuple[str, int, bool]], has: int, covered: int
) -> None:
    """Of each item the newest, in the order of the log, above what it had and up to the records it was sent."""
    values, newest, offset = ComputedValues(), dict[str, tuple[int, bytes]](), 0
    for item, step, possible in noted:
        offset += step
        values.note(item, offset, b"%d" % offset if possible else None)
        newest.pop(item, None)
        if possible:
            newest[item] = offset, b"%d" % offset
    wanted = sorted((at, body) for at, body in newest.values() if has < at <= covered)

    assert [tuple(each) for each in values.after(has, covered)] == wanted
    assert values.through == (offset if noted else NOTHING)


def test_what_is_no_newest_record_any_more_is_forgotten() -> None:
    """Else the greeks of expired contracts would take memory, and be sent to whoever comes."""
    values = ComputedValues()
    for offset, item in enumerate("ABC"):
        values.note(item, offset, b"x")
    values.keep({"B"})

    assert [each.offset for each in values.after(NOTHING, 9)] == [1]
    assert values.through == 2
