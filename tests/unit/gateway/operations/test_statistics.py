"""What every view of a journal has in common: its window, its parameters, and sums of histograms."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations import cadence, providers
from gateway.operations.statistics import (
    POINTS,
    WINDOWS_US,
    Statement,
    by_series,
    merged,
    newest_value,
    step_us,
)
from schemas.journals import CADENCE_JOURNAL
from schemas.log_buckets import bucket_of, quantile_us

VIEWS = (providers.VIEW, cadence.VIEW)
STATEMENTS = [statement for view in VIEWS for statement in view.statements]


@pytest.mark.parametrize("window", WINDOWS_US)
def test_a_window_is_cut_into_whole_points(window: str) -> None:
    """No window leaves a rest, so a series has sixty points and one more that has just begun."""
    assert step_us(window) * POINTS == WINDOWS_US[window]


@pytest.mark.parametrize("statement", STATEMENTS, ids=range(len(STATEMENTS)))
def test_a_statement_names_every_parameter_it_uses(statement: Statement) -> None:
    """The driver refuses one too many as it does one too few."""
    used = {int(number) for number in re.findall(r"\$(\d+)", statement.text)}

    assert used == set(range(1, len(statement.parameters) + 1))


def test_parameters_are_what_was_asked_and_the_window() -> None:
    """Null stands for all."""
    ask = providers.VIEW.endpoint.parse([("provider", "yahoo"), ("window", "6h"), ("limit", "5")])
    newest, points, switches = providers.VIEW.statements

    assert newest.values(ask, 7) == [None, "yahoo"]
    assert points.values(ask, 7) == [None, "yahoo", 7, 360.0]
    assert switches.values(ask, 7) == [None, "yahoo", 7, 5]


def test_nothing_of_a_request_is_in_a_statement() -> None:
    """Texts are made once, of declarations; a caller's words are parameters only."""
    assert all("$1" in statement.text and "%" not in statement.text for statement in STATEMENTS)
    assert newest_value(CADENCE_JOURNAL, "symbols") == "(array_agg(symbols ORDER BY ended_time DESC))[1]"


def test_rows_are_sorted_into_their_series_in_order() -> None:
    """Each keeps the order of the database."""
    rows = [{"provider": "a", "n": 1}, {"provider": "b", "n": 2}, {"provider": "a", "n": 3}]

    assert by_series(rows, ("provider",)) == {("a",): [rows[0], rows[2]], ("b",): [rows[1]]}


@given(st.lists(st.lists(st.integers(0, 10_000_000), max_size=30), max_size=5), st.floats(0.01, 1.0))
def test_merged_histograms_are_the_histogram_of_all(parts: list[list[int]], share: float) -> None:
    """However the durations (µs) were spread over processes and windows, the quantile is that of all."""
    rows = [
        {"bucket": bucket, "count": count}
        for part in parts
        for bucket, count in Counter(map(bucket_of, part)).items()
    ]
    whole = Counter(bucket_of(duration) for part in parts for duration in part)

    assert merged(rows) == whole
    assert quantile_us(merged(rows), share) == quantile_us(whole, share)
