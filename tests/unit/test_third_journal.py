"""A third journal needs its declaration, a producer of records and a view: checking and all SQL follow."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidRecord
from schemas.intervals import MINUTE_US
from schemas.journals import key_of
from schemas.log_buckets import bucket_of
from sinks.batch.journal import entry_of
from sinks.store.shell.journals import append_entry
from sinks.store.shell.retention import forget_entries
from tests.support.builders import NINE_THIRTY
from tests.support.third_journal import JOURNAL, VIEW, Sample


def words(sql: str) -> str:
    """Return SQL in one line."""
    return " ".join(sql.split())


def test_its_records_are_checked_field_by_field() -> None:
    """A sound one becomes a row in the order of its fields; each fault is named."""
    sample = Sample(objective="rest", ended_time=NINE_THIRTY, worst_ms=9.5, buckets=[1, 24], counts=[7, 1])

    assert entry_of(JOURNAL, sample, partition=0, origin=None).row == (
        "rest", NINE_THIRTY, 9.5, [1, 24], [7, 1],
    )  # fmt: skip
    assert key_of(JOURNAL, sample) == "rest"
    with pytest.raises(InvalidRecord, match="worst_ms"):
        entry_of(JOURNAL, Sample(objective="rest", ended_time=1, worst_ms=-1.0), partition=0, origin=None)
    with pytest.raises(InvalidRecord, match="buckets and counts"):
        entry_of(
            JOURNAL, Sample(objective="rest", ended_time=1, worst_ms=1.0, buckets=[1]), partition=0, origin=None
        )  # fmt: skip


def test_it_is_appended_and_forgotten_by_its_key() -> None:
    """The first record of a key stays; the oldest go, so many at a time."""
    assert words(append_entry(JOURNAL)) == (
        "INSERT INTO objectives (objective, ended_time, worst_ms, buckets, counts) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
    )
    assert words(forget_entries(JOURNAL)) == (
        "DELETE FROM objectives WHERE (objective, ended_time) IN ( "
        "SELECT objective, ended_time FROM objectives WHERE ended_time < $1 ORDER BY ended_time LIMIT $2)"
    )


def test_its_statistics_are_read_in_the_window_and_for_what_was_asked() -> None:
    """One statement for the histogram, one for the points of time."""
    asked = VIEW.endpoint.parse([("objective", "rest")])
    histogram, points = VIEW.statements

    assert words(histogram.text) == (
        "SELECT objective, entry.bucket, sum(entry.count) AS count FROM objectives "
        "CROSS JOIN LATERAL unnest(buckets, counts) AS entry(bucket, count) "
        "WHERE ended_time >= $2 AND ($1::text IS NULL OR objective = $1) GROUP BY objective, entry.bucket"
    )
    assert words(points.text) == (
        "SELECT objective, date_bin(make_interval(secs => $3::float8), ended_time, $2) AS time, "
        "max(worst_ms) AS worst_ms FROM objectives "
        "WHERE ended_time >= $2 AND ($1::text IS NULL OR objective = $1) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert histogram.values(asked, NINE_THIRTY) == ["rest", NINE_THIRTY]
    assert points.values(asked, NINE_THIRTY) == ["rest", NINE_THIRTY, 60.0]


def test_its_histograms_are_added_up_before_a_quantile_is_taken() -> None:
    """Rows of every point of time, one answer."""
    lateness = [
        {"objective": "rest", "bucket": bucket_of(milliseconds * 1_000), "count": count}
        for milliseconds, count in ((10, 6), (1_000, 5))
    ]
    history = [{"objective": "rest", "time": NINE_THIRTY - MINUTE_US, "worst_ms": 12.0}]
    (entry,) = VIEW.show(lateness, history, NINE_THIRTY)

    assert entry["p50_ms"] == pytest.approx(10, rel=0.05)
    assert (entry["worst_ms"], entry["ages_s"]) == ([12.0], [60])
    assert VIEW.endpoint.parse([]).window == "1h"
