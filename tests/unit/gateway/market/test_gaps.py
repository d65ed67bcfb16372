"""Gaps as REST shows them."""

from __future__ import annotations

from gateway.market.gaps import gap_row, last_contiguous


def test_times_become_text_and_the_rest_stays() -> None:
    """All three times of a gap."""
    row = gap_row({"gap_id": "a", "from_time": 0, "to_time": 1, "known_from": 2, "expected": 3})
    assert row == {
        "gap_id": "a", "from_time": "1970-01-01T00:00:00.000000Z", "to_time": "1970-01-01T00:00:00.000001Z",
        "known_from": "1970-01-01T00:00:00.000002Z", "expected": 3,
    }  # fmt: skip


def test_a_stream_is_whole_to_its_first_hole() -> None:
    """Or as far as it was seen."""
    assert last_contiguous(10, None) == 10
    assert last_contiguous(10, 4) == 4
    assert last_contiguous(10, 12) == 10
