"""Gaps as REST shows them."""

from __future__ import annotations

from typing import Any

from gateway.database.cursors import SeriesCursor
from gateway.http.moments import rfc3339
from gateway.market.gaps import GAP_COLUMNS, MAX_RANGES, cursor_row, gap_row
from schemas.clocks import EventTime
from tests.support.builders import a_gap


def test_times_become_text_and_the_rest_stays() -> None:
    """All three times of a gap, and no more than the columns declared."""
    row = gap_row(a_gap(gap_id="a", from_time=0, to_time=1, known_from=2, expected=3, raw_offset=9))
    assert list(row) == [column.name for column in GAP_COLUMNS]
    assert [row[name] for name in ("gap_id", "from_time", "to_time", "known_from", "expected")] == [
        "a",
        "1970-01-01T00:00:00.000000Z",
        "1970-01-01T00:00:00.000001Z",
        "1970-01-01T00:00:00.000002Z",
        3,
    ]


def test_a_cursor_of_very_many_ranges_tells_the_newest() -> None:
    """And that there are more."""
    ranges = [(EventTime(2 * n), EventTime(2 * n + 1)) for n in range(MAX_RANGES + 1)]

    def row(count: int) -> dict[str, Any]:
        return cursor_row(
            SeriesCursor(
                start_time=EventTime(0), last_seen=EventTime(9), collected=ranges[:count], hole=EventTime(4)
            )
        )

    assert row(1) == {
        "start_time": rfc3339(0), "last_seen": rfc3339(9), "last_contiguous": rfc3339(4),
        "collected": [{"from_time": rfc3339(0), "to_time": rfc3339(1)}],
    }  # fmt: skip
    assert "collected_truncated" not in row(MAX_RANGES)
    many = row(MAX_RANGES + 1)
    assert many["collected_truncated"]
    assert many["collected"][0]["from_time"] == rfc3339(2)
