"""What a job means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.jobs.outcome import (
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    MAX_AHEAD_US,
    backoff_s,
    overall,
    refusal,
    result_of,
    unfinished,
)
from producers.polling.slots import Outcome
from schemas.jobs import job_of, poll_job_id
from schemas.partitions import partition_of
from schemas.records import Job
from tests.support.outside_feed import Cadence, jobs_between

DONE, FAILED = Outcome(status="done", events=2), Outcome(status="failed", reason="vendor down")


def a_job(**changes: object) -> Job:
    """Return a poll of two symbols."""
    fields: dict[str, object] = {
        "version": 1, "job_id": "j", "type": "poll", "source": "t", "created_time": 1, "deadline": 2,
        "capability": "quotes", "symbols": ("A", "B"), "slot": 60,
    }  # fmt: skip
    return Job(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["done", "failed", "refused"], "failed"),
        (["done", "refused"], "refused"),
        (["duplicate", "done"], "done"),
        (["duplicate"], "duplicate"),
        (["expired", "done"], "expired"),
        (["queued"], "queued"),
    ],
)
def test_a_job_came_to_the_worst_of_its_symbols(statuses: list[str], expected: str) -> None:
    """A client looks at one word first."""
    assert overall(statuses) == expected  # type: ignore[arg-type]


def test_only_what_failed_is_asked_for_again() -> None:
    """What one symbol got is kept while another is tried again."""
    assert unfinished(a_job(), {}) == ["A", "B"]
    assert unfinished(a_job(), {"A": DONE, "B": FAILED}) == ["B"]
    assert unfinished(a_job(), {"A": DONE, "B": Outcome(status="refused")}) == []


def test_a_result_names_every_symbol_and_the_worst_reason() -> None:
    """Also of a symbol nobody said anything about."""
    result = result_of(a_job(), {"A": DONE}, instance="one", finished_time=9, expired=True)

    assert (result.status, result.job_id, result.slot) == ("expired", "j", 60)
    assert [(each.symbol, each.status, each.events) for each in result.outcomes] == [
        ("A", "done", 2),
        ("B", "expired", 0),
    ]
    assert result.reason == result.outcomes[1].reason
    assert (
        result_of(a_job(), {"A": DONE, "B": FAILED}, instance="one", finished_time=9).reason == "vendor down"
    )


def test_a_slot_in_the_future_is_refused() -> None:
    """Having polled it, its streams would be silent until then; a little is the difference of clocks."""
    assert refusal(a_job(slot=100 + MAX_AHEAD_US), 100) == ""
    assert "future" in refusal(a_job(slot=101 + MAX_AHEAD_US), 100)
    assert refusal(a_job(type="backfill", slot=0), 0) == ""


@given(st.integers(0, 50), st.floats(0, 0.999), st.none() | st.floats(0, 600))
def test_a_failed_job_waits_longer_each_time_and_never_less_than_asked(
    attempts: int, jitter: float, asked: float | None
) -> None:
    """Bounded where the vendor said nothing."""
    wait = backoff_s(attempts, {"A": Outcome(status="failed", retry_after_s=asked), "B": DONE}, jitter)

    assert wait >= max(FIRST_BACKOFF_S / 2, asked or 0.0)
    assert wait <= max(LONGEST_BACKOFF_S, (asked or 0.0) + FIRST_BACKOFF_S)


@given(st.integers(1, 500), st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_a_cadence_cut_anywhere_asks_for_every_slot_once(start: int, steps: list[int]) -> None:
    """A feed that generates by the clock, however unevenly it wakes, misses no slot and repeats none."""
    symbols = ("SPY", "AAPL", "MSFT", "IBM")
    cadences = [
        Cadence(capability="quotes", symbols=symbols, every_us=15),
        Cadence(capability="bars:1m", symbols=("SPY",), every_us=60),
    ]
    found, at = list[Job](), start
    for step in steps:
        found += jobs_between(
            cadences, at, at + step, source="t", created_time=1, lifetime_us=10, partitions=4
        )
        at += step

    assert len({job.job_id for job in found}) == len(found)
    for job in found:
        assert len({partition_of(symbol, 4) for symbol in job.symbols}) == 1
        assert job_of({"source": "t", **_plain(job)}) == job
        assert job.job_id == poll_job_id(job.capability, job.symbols, job.slot)
    polled = sorted((job.capability, symbol, job.slot) for job in found for symbol in job.symbols)
    assert polled == sorted(
        (each.capability, symbol, slot)
        for each in cadences
        for symbol in each.symbols
        for slot in range(start, at)
        if slot % each.every_us == 0
    )


def _plain(job: Job) -> dict[str, object]:
    names = ("version", "job_id", "type", "created_time", "deadline", "capability", "slot")
    return {**{name: getattr(job, name) for name in names}, "symbols": list(job.symbols)}
