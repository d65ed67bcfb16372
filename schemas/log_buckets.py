"""Durations in logarithmic buckets: any number of them in bounded memory, quantiles within 5 % of the true value.

Buckets of several processes or windows are added up by number; that is why the numbering is part of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.1  # of one bucket to the next: the middle is at most 4.8 % away from either end
SMALLEST_US = 1_000  # 1 ms: all below is bucket 0
LAST_BUCKET = 160  # holds all from about an hour on

_SCALE = math.log(GROWTH)
_MIDDLE = 2 * GROWTH / (1 + GROWTH)  # of a bucket, as a multiple of its lower end


def bucket_of(duration_us: float) -> int:
    """Return the number of the bucket that holds a duration (µs); below a millisecond, or negative, 0."""
    if duration_us < SMALLEST_US:
        return 0
    return min(LAST_BUCKET, 1 + int(math.log(duration_us / SMALLEST_US) / _SCALE))


def duration_us(bucket: int) -> float:
    """Return the duration (µs) a bucket stands for."""
    return SMALLEST_US / 2 if bucket <= 0 else SMALLEST_US * GROWTH ** (bucket - 1) * _MIDDLE


def quantile_us(counts: Mapping[int, int], share: float) -> float | None:
    """Return the duration (µs) that `share` (0 to 1) of all counted ones do not exceed; None where none is counted."""
    total = sum(counts.values())
    if not total:
        return None
    rank, seen = max(1, math.ceil(share * total)), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return duration_us(bucket)
    raise AssertionError("unreachable: the last bucket reaches every rank")
