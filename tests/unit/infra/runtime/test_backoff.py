"""Pauses double up to a bound, and jitter keeps within them."""

from __future__ import annotations

import pytest

from infra.runtime.backoff import Backoff

PAUSES = Backoff(first_s=0.5, longest_s=30.0)


@pytest.mark.parametrize(
    ("failures", "pause_s"),
    [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (8, 30.0), (100_000, 30.0)],
)
def test_a_pause_doubles_with_each_failure_and_has_a_bound(failures: int, pause_s: float) -> None:
    """Nothing failed, nothing to wait for; no number of failures overflows."""
    assert PAUSES.pause_s(failures) == pause_s


def test_jitter_spreads_over_the_pause_and_stays_within_it() -> None:
    """Of a thousand clients some come early, and none later than the pause."""
    anywhere = sorted(PAUSES.anywhere_s(3) for _ in range(1_000))
    upper_half = sorted(PAUSES.upper_half_s(3) for _ in range(1_000))

    assert (anywhere[0] >= 0.0, anywhere[0] < 0.2, anywhere[-1] > 1.8, anywhere[-1] <= 2.0) == (True,) * 4
    assert (upper_half[0] >= 1.0, upper_half[-1] > 1.9, upper_half[-1] <= 2.0) == (True,) * 3
