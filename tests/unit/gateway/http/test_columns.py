"""Schemas of answers, made of columns."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator, ValidationError

from gateway.http.columns import (
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Column,
    Shown,
    by_name,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)

ROW = record(
    Column("price", NUMBER, "The price.", "currency"),
    Column("venue", TEXT, "Where.", always=False),
)


def valid(schema: object, value: object) -> bool:
    try:
        Draft202012Validator(schema).validate(value)
    except ValidationError:
        return False
    return True


def test_a_record_has_its_members_and_no_other() -> None:
    """One that is not always there may be absent."""
    assert valid(ROW, {"price": 1.5})
    assert valid(ROW, {"price": 1, "venue": "X"})
    assert not valid(ROW, {"venue": "X"})
    assert not valid(ROW, {"price": 1.5, "size": 1})


def test_a_column_says_its_unit() -> None:
    """In words, for whoever reads the schema."""
    assert ROW["properties"]["price"]["description"] == "The price. Unit: currency."


@pytest.mark.parametrize("schema", [NUMBER, words_of(("a", "b")), {"anyOf": [WHOLE, TIME]}])
def test_null_is_taken_only_where_it_is_said(schema: dict[str, object]) -> None:
    """Of a type, of choices and of alternatives."""
    assert not valid(schema, None)
    assert valid(or_null(schema), None)


def test_an_envelope_is_data_and_meta_with_the_request() -> None:
    """With members between, such as the token of the next page."""
    schema = envelope(rows(by_name(WHOLE)), Column("row_count", WHOLE, "Rows."))
    assert valid(schema, {"data": [{"a": 1}], "meta": {"request_id": "r", "row_count": 1}})
    assert not valid(schema, {"data": [{"a": "x"}], "meta": {"request_id": "r", "row_count": 1}})
    assert not valid(schema, {"data": [], "meta": {"row_count": 1}})


def test_only_what_is_looked_at_is_made() -> None:
    """One and those before it, a slice, or all of them, each once; how many there are costs nothing."""
    made = list[int]()

    def show(number: int) -> str:
        made.append(number)
        return str(number)

    rows = Shown(range(5), show)

    assert (len(rows), made) == (5, [])
    assert (rows[1], rows[2:4], made) == ("1", ["2", "3"], [0, 1, 2, 3])
    assert [*rows] == ["0", "1", "2", "3", "4"]
    assert (rows[-1], made) == ("4", [0, 1, 2, 3, 4])
    with pytest.raises(IndexError):
        rows[5]
