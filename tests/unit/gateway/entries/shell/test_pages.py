"""Rows of a page are let go of as they are made."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import orjson
import pytest

from gateway.entries.shell.pages import PassingRows


@dataclass(eq=False)
class Item:
    """An item whose end can be seen."""

    number: int


def test_a_row_is_made_when_it_is_looked_at_and_its_item_is_gone_then() -> None:
    """Slice by slice: nothing is left to be freed at once in the end."""
    items = [Item(number) for number in range(10)]
    alive = [weakref.ref(item) for item in items]
    rows = PassingRows(items, lambda item: item.number)
    items.clear()

    assert rows[0:4] == [0, 1, 2, 3]
    assert [seen() is None for seen in alive] == [True] * 4 + [False] * 6
    assert (len(rows), rows[4:20]) == (10, [4, 5, 6, 7, 8, 9])
    with pytest.raises(LookupError, match="row 3"):
        rows[3]


def test_few_rows_are_written_as_a_list() -> None:
    """As the envelope asks for them."""
    assert orjson.dumps(PassingRows([1, 2], str), default=list) == b'["1","2"]'
    assert orjson.dumps(PassingRows([], str), default=list) == b"[]"
