"""Durations in logarithmic buckets."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.log_buckets import LAST_BUCKET, bucket_of, duration_us, quantile_us

HOUR_US = 3_600_000_000


@given(st.floats(1_000, HOUR_US))
def test_a_bucket_stands_for_its_durations_within_five_percent(duration: float) -> None:
    """From a millisecond to an hour, whatever the duration."""
    assert abs(duration_us(bucket_of(duration)) - duration) <= 0.05 * duration


@given(st.lists(st.floats(1_000, HOUR_US), min_size=1, max_size=300), st.floats(0.0, 1.0))
def test_a_quantile_is_within_five_percent_of_the_true_one(durations: list[float], share: float) -> None:
    """Of the values themselves, sorted."""
    rank = max(1, -int(-share * len(durations) // 1))
    true = sorted(durations)[rank - 1]

    found = quantile_us(Counter(map(bucket_of, durations)), share)

    assert found is not None
    assert abs(found - true) <= 0.05 * true


def test_buckets_are_bounded_and_nothing_counted_has_no_quantile() -> None:
    """A day late is as late as can be said; early is on time."""
    assert bucket_of(24 * HOUR_US) == LAST_BUCKET
    assert bucket_of(-5) == bucket_of(999) == 0
    assert quantile_us({}, 0.5) is None
