"""Rows of factor files: what is read, and what is said of a row that is none."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.errors import InvalidRecord
from schemas.symbology.factor_files import FactorRow, parse_factor_file


def test_rows_are_the_files() -> None:
    """With the raw close of the last day, 0 where the file leaves it out."""
    first, last = parse_factor_file("20140606,0.9011818,0.03571430,645.57\n\n20501231,1,1\n", source="aapl")

    assert first == FactorRow(
        last_day=date(2014, 6, 6), price_factor=0.9011818, split_factor=0.0357143, close=645.57
    )
    assert (last.last_day, last.close) == (date(2050, 12, 31), 0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("20140606,0.9", "aapl:1: .* is no row; write YYYYMMDD,price factor"),
        ("20140606,1,1,1,9", "aapl:1: .* is no row"),
        ("20140632,1,1,1", "aapl:1: .* is no row"),
        ("20140606,0,1,1", "aapl:1: .* above 0"),
        ("20140606,1,-1,1", "aapl:1: .* above 0"),
        ("20140606,nan,1,1", "aapl:1: .* above 0"),
        ("20140606,1,1,-645.57", "aapl:1: .* above 0"),
        ("20140606,1,1,1\n20140606,1,1,1", "aapl:2: 2014-06-06 is not after 2014-06-06; sort"),
        ("", "aapl: 0 rows"),
    ],
)
def test_what_is_no_row_names_its_line(text: str, told: str) -> None:
    """And says what to write."""
    with pytest.raises(InvalidRecord, match=told):
        parse_factor_file(text, source="aapl")
