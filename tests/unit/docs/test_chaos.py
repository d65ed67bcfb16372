"""The report of faults: what it says is what was measured, of the faults there are, and a run that fails says so."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.support.chaos_report import (
    REPORT,
    RESULTS,
    ROOT,
    UNTOUCHED,
    Run,
    Struck,
    Verdict,
    document,
    keep,
    runs_of,
)
from tests.support.faults import BY_NAME, EITHER, FAULTS

DOCS = ROOT / "docs"


def results() -> dict[str, Any]:
    """Return what was measured."""
    found: dict[str, Any] = json.loads((DOCS / RESULTS).read_text("utf-8"))
    return found


def test_the_report_is_written_from_the_results() -> None:
    """Nobody edits a number, or a bound without a run."""
    assert (DOCS / REPORT).read_text("utf-8") == document(results())


def test_every_run_struck_with_every_fault_once() -> None:
    """A fault that is declared was measured, or it is said why not; each seed has an order of its own."""
    runs = runs_of(results())
    orders = [[each.name for each in run.struck if each.name != UNTOUCHED] for run in runs]

    for order in orders:
        assert sorted(order) == sorted(BY_NAME)
    assert len(set(map(tuple, orders))) == len(runs)
    assert all(run.commit for run in runs)


def test_a_fault_has_one_name_and_the_short_run_names_faults_there_are() -> None:
    """Names are what a report and a schedule have in common."""
    assert len(BY_NAME) == len(FAULTS)
    assert set(EITHER) <= set(BY_NAME)
    assert all(fault.bound_s > 0 for fault in FAULTS)


@pytest.mark.parametrize(
    "failing",
    [
        Run(seed=7, struck=[Struck("kill sink", recovered_s=BY_NAME["kill sink"].bound_s + 0.1)]),
        Run(seed=7, struck=[Struck("kill sink", recovered_s=1.0, failed="it ended with 1")]),
        Run(seed=7, struck=[Struck("kill sink", recovered_s=1.0)], failure="AssertionError: 1 lost"),
    ],
    ids=["late", "not as it must be meanwhile", "a promise is broken"],
)
def test_a_run_that_fails_says_so(failing: Run) -> None:
    """The report is written of such a run, too, with what failed."""
    (failure,) = failing.failures()
    text = document({"machine": "one", "runs": {"7": asdict(failing)}})

    assert "**FAILED**" in text
    assert f"- FAILED: {failure}" in text
    assert "not reached" in text


def test_a_run_takes_the_place_of_the_one_of_its_seed(tmp_path: Any) -> None:
    """Others stay; a run within all bounds has not failed."""
    first = Run(seed=1, struck=[Struck("kill sink", "sinks was killed", 1.0)])
    second = Run(seed=2, verdicts=[Verdict("lost", 3)])
    for run in (first, second, Run(seed=1, commit="abc")):
        keep(run, tmp_path)

    kept = json.loads((tmp_path / RESULTS).read_text("utf-8"))
    assert [(run.seed, run.commit) for run in runs_of(kept)] == [(1, "abc"), (2, "")]
    assert runs_of(kept)[1] == second
    assert first.failures() == []
    assert "passed" in (tmp_path / REPORT).read_text("utf-8")
