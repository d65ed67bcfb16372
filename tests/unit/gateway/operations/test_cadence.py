"""`GET /stats/cadence`: what may be asked, and how rows become an answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.operations.cadence import CURRENT_US, cadence_stats
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.log_buckets import bucket_of
from tests.support.builders import NINE_THIRTY

NOW = NINE_THIRTY


def a_total(replica: str, **changes: Any) -> dict[str, Any]:
    return {
        "capability": "bars:1m", "provider": "yahoo", "tier": "", "replica": replica, "ended_time": NOW - SECOND_US,
        "due": 10, "begun": 10, "succeeded": 9, "failed": 1, "skipped": 0, "missed": 0, "symbol_polls": 9,
        "symbol_s": 600.0, "error_max_ms": 40.0, "every_s": 60.0, "symbols": 10, "stale_s": 0.0, "stale_symbols": 0,
    } | changes  # fmt: skip


def an_error(replica: str, milliseconds: int, count: int) -> dict[str, Any]:
    group = {"capability": "bars:1m", "provider": "yahoo", "tier": "", "replica": replica}
    return group | {"bucket": bucket_of(milliseconds * 1_000), "count": count}


def test_lateness_of_all_replicas_is_merged_before_its_quantiles() -> None:
    """A p99 of two processes is not the mean of their p99s."""
    errors = [an_error("a", 10, 90), an_error("b", 1_000, 10)]
    (group,) = cadence_stats([a_total("a"), a_total("b", error_max_ms=1_020.0)], errors, [], NOW)

    assert group["error_ms"]["p50"] == pytest.approx(10, rel=0.05)
    assert group["error_ms"]["p99"] == pytest.approx(1_000, rel=0.05)
    assert group["error_ms"]["max"] == 1_020.0
    assert [each["error_ms"]["p99"] for each in group["replicas"]] == pytest.approx([10, 1_000], rel=0.05)
    assert (group["symbols"], group["polls"]["due"], group["achieved_every_s"]) == (20, 20, 66.667)


def test_a_replica_that_is_gone_counts_for_the_past_only() -> None:
    """Its polls were made; its symbols are another's now."""
    gone = a_total("a", ended_time=NOW - CURRENT_US, stale_s=99.0, stale_symbols=7)
    (group,) = cadence_stats([gone, a_total("b")], [], [], NOW)

    assert (group["symbols"], group["stale"]) == (10, {"symbols": 0, "longest_s": 0.0})
    assert group["polls"]["succeeded"] == 18
    assert [each["current"] for each in group["replicas"]] == [False, True]


def test_without_a_poll_nothing_is_claimed() -> None:
    """No lateness and no interval, rather than zero."""
    (group,) = cadence_stats([a_total("a", symbol_polls=0)], [], [], NOW)

    assert (group["achieved_every_s"], group["error_ms"]["p99"], group["tier"]) == (None, None, None)


def test_history_is_of_its_group_only() -> None:
    """Points carry what was due, missed and how late."""
    point = {
        "capability": "bars:1m", "provider": "yahoo", "tier": "", "time": NOW - MINUTE_US, "due": 5, "missed": 1,
        "failed": 0, "symbol_polls": 4, "symbol_s": 300.0, "error_p99_ms": 3.0, "error_max_ms": 4.0, "stale_s": 0.0,
    }  # fmt: skip
    (group,) = cadence_stats([a_total("a")], [], [point, point | {"tier": "T0"}], NOW)

    assert [(each["due"], each["missed"], each["achieved_every_s"]) for each in group["history"]] == [
        (5, 1, 75.0)
    ]
