"""Columns of COPY: which of them are bytes of any length, and how wide the others are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import get_args

import numpy as np
import pytest

from schemas.deriving import SqlType
from schemas.streams import STREAMS
from schemas.tables import stored_columns
from sinks.columns.copy_columns import EPOCHS, FORMATS, POSTGRES_EPOCH_US, CopyColumn

# bytes of a value, of PostgreSQL's manual (Data Types)
WIDTHS = {"int8": 8, "int4": 4, "int2": 2, "float8": 8, "bool": 1, "timestamptz": 8, "date": 4, "char": 1}


def test_every_type_that_is_no_text_has_its_width() -> None:
    """Big-endian, as PostgreSQL sends them."""
    assert {name: np.dtype(code).itemsize for name, code in FORMATS.items()} == WIDTHS
    assert all(code.startswith(">") for name, code in FORMATS.items() if WIDTHS[name] > 1)


def test_stamps_and_days_count_from_the_first_of_2000() -> None:
    """One in µs, the other in days."""
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    assert begin.timestamp() * 1_000_000 == POSTGRES_EPOCH_US
    assert {"timestamptz": POSTGRES_EPOCH_US, "date": (begin.date() - date(1970, 1, 1)).days} == EPOCHS


@pytest.mark.parametrize("type_", get_args(SqlType))
def test_texts_and_arrays_are_bytes_of_any_length_and_nothing_else_is(type_: SqlType) -> None:
    """Whatever is not has a width."""
    column = CopyColumn(name="x", source="x", type=type_)
    assert column.is_bytes is (type_ == "text" or type_.endswith("[]"))
    assert column.is_bytes is (type_ not in FORMATS)


def test_every_column_that_is_stored_can_be_sent() -> None:
    """Of all streams; elements of arrays, too."""
    types = {column.type for stream in STREAMS for column in stored_columns(stream)}
    assert {name.removesuffix("[]") for name in types} <= {*FORMATS, "text"}
