"""Tables in CSV: a bad row costs itself, half a table costs the whole."""

from __future__ import annotations

import pytest

from producers.vendors.csv_rows import CsvTable, cells_rejected, table
from schemas.errors import MalformedPayload


def read(payload: bytes, *needed: str) -> CsvTable:
    return table(payload, "toy table", needed=needed, symbol="UST:10Y")


def test_a_row_with_a_missing_comma_is_dead_and_the_others_are_kept() -> None:
    """Its number, its cells and its bytes are told."""
    found = read(b"a,b\r\n1,2\r\n34\r\n5,6\r\n", "a")

    assert [dict(row) for row in found.rows] == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    assert [(dead.payload, dead.message) for dead in found.rejected] == [
        (b"34", "toy table: row 3 has 1 cells, the header 2")
    ]


def test_a_stray_quote_costs_its_row_alone() -> None:
    """No cell reaches over lines."""
    found = read(b'a,b\n"1,2\n3,4\n')

    assert [row["a"] for row in found.rows] == ["3"]
    assert len(found.rejected) == 1


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "nothing came"),
        (b"\n \n", "nothing came"),
        (b"b,c\n1,2\n", "lacks the column a"),
        (b"a,a\n1,2\n", "has a column twice"),
        (b'a,"b\n1,2\n', "quotes do not match"),
        (b"\xff\xfea,b\n", "no text"),
        (b"a,b\n1,2\n3", "in the middle of row 3"),
        (b'a,b\n1,2\n3,"4', "in the middle of row 3"),
        (b"a," + b"b" * 5_000, "more than 4096 characters"),
    ],
)
def test_what_is_no_whole_table_is_refused(payload: bytes, why: str) -> None:
    """With the place it was read for."""
    with pytest.raises(MalformedPayload, match=f"toy table.*{why}"):
        read(payload, "a")


def test_a_last_row_may_end_without_a_line_break() -> None:
    """The Treasury's does; a byte order mark and quoted cells are taken as well."""
    found = read(b'\xef\xbb\xbfa,"b"\n1,"2, and 3"', "a", "b")

    assert [dict(row) for row in found.rows] == [{"a": "1", "b": "2, and 3"}]
    assert read(b"a,b", "a").rows == []


def test_a_value_that_cannot_be_is_dead_lettered_with_its_row() -> None:
    """As far as it fits."""
    dead = cells_rejected("UST:10Y", "why", {"a": "1", "b": "x" * 10_000})

    assert (dead.symbol, dead.message, len(dead.payload)) == ("UST:10Y", "why", 4_096)
