"""Lists of a record as PostgreSQL's arrays, read back by the format's own description."""

from __future__ import annotations

import struct
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.chain_slices import ChainSlice, Leg
from schemas.deriving import lists
from schemas.streams import OPTION_STREAM
from schemas.wire.codec import encode
from sinks.columns.arrays import TYPES, with_arrays
from sinks.columns.avro import read_columns
from sinks.columns.copy_columns import POSTGRES_EPOCH_US, CopyColumn
from sinks.columns.tables import TABLES
from tests.support.builders import a_slice

OPTIONS = OPTION_STREAM.topic
READ = {"float8": ">d", "timestamptz": ">q", "date": ">i", "char": ">c"}
DAYS_TO_2000 = 10_957
LAYOUT = [column for column in TABLES[OPTIONS].columns if column.type.endswith("[]")]
MAYBE = st.none() | st.floats(allow_nan=False)
STAMPS = st.none() | st.integers(-(1 << 54), (1 << 54) - 1)
NUMBERS = {
    each.name: MAYBE for each in fields(Leg) if each.name not in ("strike", "right", "quote_time", "last_time", "oi_date", "multiplier")
}  # fmt: skip
LEGS = st.builds(
    Leg,
    strike=st.floats(allow_nan=False),
    right=st.sampled_from(["C", "P"]),
    quote_time=STAMPS,
    last_time=STAMPS,
    oi_date=st.none() | st.integers(-40_000, 80_000),
    multiplier=st.floats(allow_nan=False),
    **NUMBERS,
)


def element(kind: str, field: bytes) -> Any:
    """Return a value as the log says it."""
    (value,) = struct.unpack(READ[kind], field)
    if kind == "char":
        return value.decode()
    return value + {"timestamptz": POSTGRES_EPOCH_US, "date": DAYS_TO_2000}.get(kind, 0)


def array(kind: str, data: bytes) -> list[Any]:
    """Return the elements of one array of one dimension, or of none; all bytes belong to it."""
    dimensions, has_nulls, oid = struct.unpack_from(">iii", data)
    assert oid == TYPES[kind]
    if dimensions == 0:
        assert (has_nulls, len(data)) == (0, 12)
        return []
    length, first = struct.unpack_from(">ii", data, 12)
    assert (dimensions, first) == (1, 1)
    found, at = list[Any](), 20
    for _ in range(length):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        found.append(None if size == -1 else element(kind, data[at : at + size]))
        at += max(size, 0)
    assert at == len(data)
    assert has_nulls == (None in found)
    return found


def arrays_of(records: list[ChainSlice]) -> dict[str, list[list[Any]]]:
    """Return the arrays of each field of the legs, one a record."""
    columns, odd = read_columns(OPTIONS, [encode(OPTIONS, record) for record in records])
    assert not odd.any()
    buffer, texts = with_arrays(OPTION_STREAM, LAYOUT, columns)
    data = buffer.tobytes()
    found = {}
    for column in LAYOUT:
        text, kind = texts[column.source], column.type.removesuffix("[]")
        spans = zip(text.starts.tolist(), text.lengths.tolist(), strict=True)
        found[column.source] = [array(kind, data[start : start + length]) for start, length in spans]
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LEGS, max_size=5), min_size=1, max_size=5))
def test_every_list_is_an_array_a_field_with_all_its_nulls(many: list[list[Leg]]) -> None:
    """Whatever the lengths, none among them."""
    records = [a_slice(legs=legs, raw_offset=number) for number, legs in enumerate(many)]
    found = arrays_of(records)
    for each in fields(Leg):
        wanted = [[asdict(leg)[each.name] for leg in legs] for legs in many]
        assert found[f"legs.{each.name}"] == wanted, each.name


def test_texts_that_were_there_stay_where_they_were() -> None:
    """Arrays lie behind them in the same buffer."""
    columns, _ = read_columns(OPTIONS, [encode(OPTIONS, a_slice()), encode(OPTIONS, a_slice(symbol="IBM"))])
    buffer, texts = with_arrays(OPTION_STREAM, LAYOUT, columns)
    assert buffer[: len(columns.buffer)].tobytes() == columns.buffer.tobytes()
    assert {name: texts[name] for name in columns.texts} == columns.texts
    assert set(texts) - set(columns.texts) == {column.source for column in LAYOUT}


def test_columns_that_are_no_lists_are_left_alone() -> None:
    """A layout without any gives the texts back."""
    columns, _ = read_columns(OPTIONS, [encode(OPTIONS, a_slice())])
    plain = [CopyColumn(name="root", source="root", type="text")]
    assert with_arrays(OPTION_STREAM, plain, columns)[1] == columns.texts


def test_no_records_are_no_arrays() -> None:
    """A batch of other topics has none."""
    columns, _ = read_columns(OPTIONS, [])
    _, texts = with_arrays(OPTION_STREAM, LAYOUT, columns)
    assert all(len(texts[column.source].starts) == 0 for column in LAYOUT)


@pytest.mark.parametrize("column", LAYOUT, ids=lambda column: column.name)
def test_each_array_is_of_a_type_that_is_known(column: CopyColumn) -> None:
    """And of a field that legs have."""
    assert column.type.removesuffix("[]") in TYPES
    assert column.source.partition(".")[2] in {each.name for each in lists(OPTION_STREAM)["legs"]}
    assert np.dtype(READ[column.type.removesuffix("[]")]).itemsize > 0
