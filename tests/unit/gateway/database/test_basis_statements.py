"""The SQL of adjustment as text; what it answers is tested on a real database."""

from __future__ import annotations

import re

from gateway.database.basis_statements import EDGES_OF_DAYS, TOLD_BEFORE


def test_every_value_is_a_parameter_and_none_is_skipped() -> None:
    """$1 to $8 in both."""
    for text in (EDGES_OF_DAYS, TOLD_BEFORE):
        assert {int(number) for number in re.findall(r"\$(\d+)", text)} == set(range(1, 9))


def test_days_are_read_as_integers_once() -> None:
    """Where they leave the statement; within it they are dates."""
    for text in (EDGES_OF_DAYS, TOLD_BEFORE):
        assert text.count("bar.adjusted_through - DATE '1970-01-01'") == 1
        assert text.count("- DATE") == 1


def test_each_day_costs_the_edges_of_it() -> None:
    """Four reads, each in the order of the key and of one row: a day with a hundred versions of its bars costs no more."""
    assert EDGES_OF_DAYS.count("LIMIT 1") == 4
    assert TOLD_BEFORE.count("ORDER BY o.position DESC LIMIT 1") == 1
