"""Backfills of a job feed: their place in the queue, what stands against them, and what their results say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producers.jobs.backfills import asked_by, last_result, order_of, refusal_of, tier_of
from schemas.backfill import ENDED, BackfillState
from schemas.clocks import MarketTime, WallTime
from schemas.configuration.backfill import Backfill
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import Job
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY

NOW = MarketTime(NINE_THIRTY + DAY_US)
JOB = Job(
    version=1, job_id="night", type="backfill", source="cron", priority=4, created_time=WallTime(5), deadline=WallTime(9),
    capability="bars:5m", symbols=("BRK.B",), start=MarketTime(NINE_THIRTY), end=MarketTime(NINE_THIRTY + 35 * MINUTE_US),
    gap_id="g7",
)  # fmt: skip


def test_a_priority_is_a_tier() -> None:
    """What says nothing (5) is of the last one, as a request over HTTP that says nothing."""
    assert "".join(tier_of(priority)[1] for priority in range(10)) == "0011122222"


def test_an_order_is_of_the_series_of_who_was_chosen_and_each_attempt_has_its_own() -> None:
    """It waits among what users ask for."""
    order = order_of(JOB, "alpaca", "a")

    assert order.series == StreamId("bars", "5m", "alpaca", "BRK.B")
    assert (order.from_time, order.to_time) == (JOB.start, JOB.end)
    assert (order.tier, order.origin, order.source, order.gap_id) == ("T1", "user", "jobs.v1 cron", "g7")
    assert len({order_of(JOB, "alpaca", key).job_id for key in "abb"}) == 2


@pytest.mark.parametrize(
    ("changes", "settings", "told"),
    [
        ({}, Backfill(), ""),
        ({"end": NOW}, Backfill(), ""),
        ({"end": MarketTime(NOW + 1)}, Backfill(), "future"),
        ({"start": MarketTime(NOW - 2 * DAY_US), "end": NOW}, Backfill(longest_days=2), ""),
        ({"start": MarketTime(NOW - 2 * DAY_US - 1), "end": NOW}, Backfill(longest_days=2), "2 days"),
        ({}, Backfill(enabled=False), "backfill.enabled"),
    ],
)
def test_what_nobody_could_fetch_is_refused_with_the_remedy(
    changes: dict[str, MarketTime], settings: Backfill, told: str
) -> None:
    """As over HTTP; one word of it."""
    refusal = refusal_of(replace(JOB, **changes), settings, NOW)

    assert (told in refusal) if told else not refusal


def test_an_id_stands_for_one_stretch_of_one_series_of_one_provider() -> None:
    """Whoever asks for it, and however urgent."""
    other = {
        asked_by(replace(JOB, **changes)).content  # type: ignore[arg-type]
        for changes in (
            {}, {"source": "me"}, {"priority": 0}, {"created_time": 6}, {"gap_id": ""},
            {"symbols": ("BRK.A",)}, {"capability": "bars:1m"}, {"start": 1}, {"end": 2 * NOW}, {"provider": "yahoo"},
        )
    }  # fmt: skip
    assert len(other) == 6


@pytest.mark.parametrize(
    ("state", "status"),
    [("done", "done"), ("empty", "done"), ("unrecoverable", "refused"), ("dead", "failed")],
)
def test_the_last_result_says_what_became_of_it(state: BackfillState, status: str) -> None:
    """In the words of all results; the job of the queue is named where somebody may have to look at it."""
    ended = replace(
        asked_by(JOB), job_id="77", state=state, attempts=3, rows=7, reason="nobody knows the symbol"
    )

    result = last_result(ended, instance="p1", finished_time=WallTime(8))

    assert (result.job_id, result.source, result.type, result.status) == ("night", "cron", "backfill", status)
    assert (result.capability, result.attempts, result.instance) == ("bars:5m", 3, "p1")
    (outcome,) = result.outcomes
    assert (outcome.symbol, outcome.status, outcome.events) == ("BRK.B", status, 7)
    told = "" if status == "done" else "nobody knows the symbol (backfill job 77)"
    assert result.reason == outcome.reason == told
    assert state in ENDED
