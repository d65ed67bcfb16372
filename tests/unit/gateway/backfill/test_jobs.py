"""Backfill jobs as they are shown, and how long they may have to wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.backfill.jobs import (
    JOB_COLUMNS,
    QueuePlace,
    day_cap,
    estimated,
    job_row,
    placed_row,
)
from schemas.backfill import STATE_WORDS, BackfillJob, BackfillOrder
from schemas.clocks import EventTime, WallTime
from schemas.configuration.model import parse_configuration
from schemas.providers.built_in import BUILT_IN
from schemas.streams import StreamId
from tests.support.backfill_jobs import CONFIGURATION

NOW = WallTime(1_400_000_000_000_000)
ORDER = BackfillOrder(
    job_id="0123456789abcdef", series=StreamId("bars", "1m", "alpaca", "BRK.B"), from_time=EventTime(0),
    to_time=EventTime(60_000_000), tier="T1", origin="gap", source="sink", gap_id="g1",
)  # fmt: skip
JOB = BackfillJob(order=ORDER, state="queued", attempts=2, enqueued_time=NOW)


def test_a_row_has_every_column_and_says_its_state_in_words() -> None:
    """What is empty is null."""
    row = job_row(JOB)
    assert list(row) == [column.name for column in JOB_COLUMNS]
    assert (row["meaning"], row["reason"], row["gap_id"], row["stream"]) == (
        STATE_WORDS["queued"], None, "g1", "bars.1m:alpaca:BRK.B",
    )  # fmt: skip
    assert (row["start"], row["end"]) == ("1970-01-01T00:00:00.000000Z", "1970-01-01T00:01:00.000000Z")


@pytest.mark.parametrize(
    ("position", "ended", "over_s", "eta_s"),
    [(0, 90, 900.0, 10.0), (8, 90, 900.0, 90.0), (3, 0, 900.0, None), (0, 7, 0.7, 0.1)],
)
def test_the_estimate_follows_from_those_that_ended(
    position: int, ended: int, over_s: float, eta_s: float | None
) -> None:
    """Those before it and itself, at the pace of late."""
    found, basis = estimated(JOB, QueuePlace(position=position, ended=ended, over_s=over_s, used=None), NOW)
    assert found == eta_s and ("nothing" in basis) == (ended == 0)


def test_one_that_waits_does_so_first_and_one_that_ended_has() -> None:
    """Another try is not before its time."""
    place = QueuePlace(position=0, ended=90, over_s=900.0, used=None)
    waiting = replace(JOB, state="waiting", ready_time=WallTime(NOW + 30_000_000))
    assert estimated(waiting, place, NOW)[0] == 40.0
    assert estimated(waiting, place, WallTime(NOW + 60_000_000))[0] == 10.0
    assert estimated(replace(JOB, state="dead", finished_time=NOW), place, NOW)[0] == 0.0


def test_the_cap_of_a_day_is_configured_or_published() -> None:
    """And on the simulator none but the configured."""
    in_force = parse_configuration(CONFIGURATION.replace("HEALING", "true"), source="test")
    assert day_cap(in_force, BUILT_IN, "yahoo", simulated=True) == 5_000
    published = replace(BUILT_IN["alpaca"], plans=(), ours=replace(BUILT_IN["alpaca"].ours, per_day=77))
    assert day_cap(in_force, {"alpaca": published}, "alpaca", simulated=False) == 77
    assert day_cap(in_force, {"alpaca": published}, "alpaca", simulated=True) is None
    assert day_cap(in_force, {}, "vendor_of_a_package", simulated=False) is None


def test_a_placed_row_names_the_budget_of_its_provider() -> None:
    """What is not known is null."""
    row = placed_row(JOB, QueuePlace(position=4, ended=0, over_s=900.0, used=None), None, NOW)
    assert (row["position"], row["budget"]) == (4, {"provider": "alpaca", "used": None, "cap": None})
