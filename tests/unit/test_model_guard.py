"""A value is a version only where it differs from the one known before it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.model.guard import new_versions

ROWS = st.dictionaries(st.tuples(st.integers(0, 20), st.integers(0, 2)), st.sampled_from("ABC"), max_size=15)


def versions(rows: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
    """Return what differs from the row before it, by position."""
    kept, previous = {}, None
    for place in sorted(rows):
        if rows[place] != previous:
            kept[place] = rows[place]
        previous = rows[place]
    return kept


def test_a_flip_back_is_a_version() -> None:
    """A(10) A(11) B(12) A(13) are the versions 10, 12 and 13."""
    assert new_versions({}, [((10, 0), "A"), ((11, 0), "A"), ((12, 0), "B"), ((13, 0), "A")]) == {
        (10, 0): "A", (12, 0): "B", (13, 0): "A",
    }  # fmt: skip


@given(rows=ROWS, cuts=st.lists(st.integers(0, 15), max_size=4))
def test_versions_do_not_depend_on_batches(rows: dict[tuple[int, int], str], cuts: list[int]) -> None:
    """However the log is cut into batches, the same versions are stored."""
    ordered, stored = sorted(rows.items()), dict[tuple[int, int], str]()
    edges = [0, *sorted(min(cut, len(ordered)) for cut in cuts), len(ordered)]
    for low, high in itertools.pairwise(edges):
        stored |= {place: str(content) for place, content in new_versions(stored, ordered[low:high]).items()}

    assert stored == versions(rows)


@given(rows=ROWS)
def test_rows_read_again_change_nothing(rows: dict[tuple[int, int], str]) -> None:
    """Delivery of the whole log a second time stores nothing."""
    stored = new_versions({}, rows.items())

    assert new_versions(stored, rows.items()) == {}
