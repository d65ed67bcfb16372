"""The tables of docs/SCALING.md: written where their markers stand, from rows that are there, by formulas that can be checked by hand."""

from __future__ import annotations

import re

import pytest

from benchmarks import scaling
from benchmarks.cost_model import fit
from scripts.scaling_page import NOTHING, ROOT, TABLES, page, results, scaling_page
from scripts.scaling_plan import PARTITIONS, SMALL_PACED, Results, figure, processors

COSTS = {"events": 5.0, "blocks": 100.0, "transactions": 1_000.0, "partition_s": 0.1, "worker_s": 10.0}


def rows(**changes: float) -> Results:
    """Return rows in which an event takes 5 µs, a block 100, a transaction 1,000, a partition 0.1 % and a worker 10 %."""
    costs = COSTS | changes
    named = {f"cost, {who}: {term}": cost for who in ("workers", "broker") for term, cost in costs.items()}
    named[f"{SMALL_PACED}: transactions"] = 50.0
    return Results({"scaling": [{"name": name, "value": value} for name, value in named.items()]})


def test_a_table_is_written_between_its_markers_and_nowhere_else() -> None:
    """What is written by hand stays, and a second time changes nothing."""
    text = "# a\n\n<!-- shares of benchmarks/results.json -->\nold\n<!-- end of shares -->\n\nby hand\n"
    written = page(text, results())

    assert written.startswith("# a\n\n<!-- shares") and written.endswith(
        "<!-- end of shares -->\n\nby hand\n"
    )
    assert "old" not in written
    assert written.count("\n| ") == 2 + len(PARTITIONS)
    assert page(written, results()) == written


def test_a_marker_that_no_table_has_is_refused() -> None:
    """Instead of leaving old numbers where somebody misspelt its name."""
    with pytest.raises(KeyError, match="costz"):
        page("<!-- costz of benchmarks/results.json -->\n<!-- end of costz -->\n", results())


def test_every_table_stands_in_the_document_once() -> None:
    """And nothing of it is older than the rows."""
    text = scaling_page()

    assert sorted(re.findall(r"<!-- (\w+) of benchmarks/results\.json -->", text)) == sorted(TABLES)
    assert (ROOT / "docs" / "SCALING.md").read_text("utf-8") == text, "run `make docs`"


def test_a_row_that_is_gone_is_an_error() -> None:
    """A renamed row must not leave a table behind."""
    with pytest.raises(KeyError):
        TABLES["shares"](Results({}))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.001234, "0.00123"), (1.0, "1"), (12.34, "12.3"), (999.4, "999"), (1_234.0, "1,230"),
        (123_456.0, "123,000"), (-2.5, "-2.5"),
    ],
)  # fmt: skip
def test_a_figure_has_three_digits(value: float, shown: str) -> None:
    """More would claim more than two cores can say."""
    assert figure(value) == shown


def test_processes_and_partitions_follow_from_the_costs() -> None:
    """100,000 events/s in blocks of 200: 0.5 cores of events, 0.05 of blocks, 0.2 of commits, and what is there."""
    need = processors(rows(), 100_000, 200)

    # a process has 0.7 - 0.1 cores for work, two of them are needed, and four partitions each
    assert need is not None
    assert (need.partitions, need.processes) == (16, 2)
    assert need.cores == pytest.approx(0.5 + 0.05 + 0.5 + 0.016 + 0.2)
    assert need.broker == pytest.approx(need.cores)


def test_a_lane_commits_no_more_often_than_it_can() -> None:
    """10,000 blocks a second on 16 partitions are 16 times 50 commits, each of several blocks."""
    need = processors(rows(), 100_000, 10)

    assert need is not None
    assert need.partitions == 16
    assert need.cores == pytest.approx(0.5 + 1.0 + 16 * 50 * 1e-3 + 0.016 + need.processes * 0.1)


def test_without_fitted_costs_the_pace_of_a_process_is_the_bound() -> None:
    """A process takes a core for 50,000 events/s here, and 0.7 of it at most; of small blocks nothing is known."""
    unfitted = Results({"processor": [{"name": "processor, blocks of 200", "value": 50_000.0}]})

    assert processors(unfitted, 100_000, 200) == (16, 3, 2.0, None)
    assert processors(unfitted, 100_000, 10) is None


def test_the_costs_are_those_of_the_windows_that_are_stored() -> None:
    """Whoever measures anew and forgets to fit is caught, and so is a coefficient written by hand."""
    measured = results()
    if not measured.fitted:
        assert NOTHING in scaling_page()
        return
    fitted = (*scaling.GROWN, scaling.SMALL, *scaling.PACED)
    typical = {case: scaling.Run(**measured.row(f"{case}: processors")["run"]) for case in fitted}
    for who in ("workers", "broker"):
        costs = fit(scaling.TERMS, scaling.windows(typical, who, fitted)).coefficients
        for term in scaling.TERMS:
            stored = measured.value(f"cost, {who}: {term}")
            assert costs[term] * scaling.UNITS[term][1] == pytest.approx(stored, abs=0.001), (who, term)
