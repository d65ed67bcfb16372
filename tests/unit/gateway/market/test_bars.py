"""Rows of history."""

from __future__ import annotations

from dataclasses import replace

from gateway.database.versions import BarBasis
from gateway.market.bars import BAR_COLUMNS, TABLE_COLUMNS, one_or_mixed, row, table_row
from schemas.clocks import Day
from tests.support.bar_versions import a_version

ALWAYS = [
    "event_time", "open", "high", "low", "close", "volume", "final", "revision", "provider", "known_from", "session",
]  # fmt: skip


def test_a_plain_row_has_the_contracts_fields_in_order() -> None:
    """Optional fields are absent where they say nothing."""
    fields = row(a_version())
    assert list(fields) == ALWAYS
    assert fields["event_time"] == "2013-10-07T13:30:00.000000Z"


def test_optional_fields_appear_where_they_say_something() -> None:
    """Zero is something, None is not."""
    bar = a_version(
        vwap=0.0,
        trade_count=0,
        derived=True,
        base="1d",
        parts=3,
        expected=5,
        complete=False,
        simulated=True,
        route="shadow",
        providers=("a", "b"),
        adjusted_through=16_230,
    )
    fields = row(bar, with_adjustment=True)
    extra = {name: value for name, value in fields.items() if name not in ALWAYS}
    assert extra == {
        "vwap": 0.0, "trade_count": 0, "derived": True, "simulated": True, "route": "shadow", "adjustment": "raw",
        "providers": ["a", "b"], "base": "1d", "parts": 3, "expected": 5, "complete": False,
        "adjusted_through": "2014-06-09",
    }  # fmt: skip


def test_what_differs_is_called_mixed() -> None:
    """None where there is nothing."""
    assert one_or_mixed([]) is None
    assert one_or_mixed(["raw", "raw"]) == "raw"
    assert one_or_mixed(["raw", "split"]) == "mixed"


def test_a_row_whose_shares_are_in_doubt_says_so() -> None:
    """Trades of both sides of a split, or nobody knows; all others say nothing."""
    plain = BarBasis(days=(Day(1), Day(1)), shares_of=(Day(1), Day(1)))

    assert "basis" not in row(a_version(basis=plain))
    assert row(a_version(basis=replace(plain, mixed=True)))["basis"] == "mixed"
    assert row(a_version(basis=replace(plain, mixed=True, uncertain=True)))["basis"] == "uncertain"


def test_a_derived_row_says_nothing_of_what_nobody_knows() -> None:
    """How many minutes it has, and neither how many it should have nor whether that is all."""
    fields = row(a_version(derived=True, parts=3))

    assert fields["parts"] == 3
    assert not {"expected", "complete"} & fields.keys()
    assert row(a_version(derived=True, parts=3, expected=0))["expected"] == 0


def test_a_table_has_every_column_an_answer_has_and_says_in_each_row_what_meta_says_once() -> None:
    """Split-adjusted and raw prices in one column would look alike."""
    bar = a_version(derived=True, base="1m", parts=3, expected=4, complete=False, providers=("a", "b"))

    assert list(TABLE_COLUMNS) == [column.name for column in BAR_COLUMNS]
    assert set(row(bar, with_adjustment=True, with_currency=True)) <= set(TABLE_COLUMNS)
    said = table_row(bar)
    assert (said["adjustment"], said["currency"], said["route"], said["providers"]) == (
        "raw",
        "USD",
        "primary",
        "a b",
    )
    assert table_row(a_version())["providers"] == "yahoo"
    assert TABLE_COLUMNS[-2:] == ("adjusted_through", "rebased")
    assert table_row(a_version(adjusted_through=0))["adjusted_through"] == "1970-01-01"
