"""What may be asked of jobs that ended."""

from __future__ import annotations

import pytest

from gateway.backfill.ended_request import ENDED_JOBS, PURGE
from gateway.http.problems import Problem


def test_without_parameters_the_dead_are_meant_and_nothing_is_deleted() -> None:
    """Those of more than thirty days."""
    assert ENDED_JOBS.parse([]).status == PURGE.parse([]).status == ("dead",)
    assert (PURGE.parse([]).dry_run, PURGE.parse([]).older_than_s) == ("true", 30 * 86_400)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m", 60), ("12h", 43_200), ("7d", 604_800), ("99999d", 8_639_913_600)]
)
def test_an_age_is_of_days_hours_or_minutes(text: str, seconds: int) -> None:
    """Of one of them."""
    assert PURGE.parse([("older_than", text)]).older_than_s == seconds


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("status", "queued", "not_a_choice"), ("status", "dead,running", "not_a_choice"), ("status", "", "not_a_choice"),
        ("older_than", "0d", "not_an_age"), ("older_than", "1w", "not_an_age"), ("older_than", "-1d", "not_an_age"),
        ("older_than", "100000m", "not_an_age"), ("dry_run", "yes", "not_a_choice"), ("limit", "100001", "out_of_range"),
        ("symbol", "SPY", "unknown_parameter"),
    ],
)  # fmt: skip
def test_no_job_under_way_can_be_named_for_a_purge(name: str, text: str, word: str) -> None:
    """And what is unclear is refused rather than taken for yes."""
    with pytest.raises(Problem) as problem:
        PURGE.parse([(name, text)])
    assert [(each.param, each.code) for each in problem.value.errors] == [(name, word)]
