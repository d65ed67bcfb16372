"""COPY input holds every row, each field in PostgreSQL's binary form."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import stream_id_of
from schemas.streams import StreamId
from schemas.topics import BARS, QUOTES, TRADES
from schemas.wire.codec import decode_value, encode
from sinks.columns.avro import Columns, read_columns
from sinks.columns.copy import HEADER, TRAILER, encode_rows
from sinks.columns.copy_columns import POSTGRES_EPOCH_US, CopyColumn
from sinks.columns.tables import TABLES, with_stored
from tests.support.builders import a_bar, a_trade
from tests.support.record_strategies import RECORDS
from tests.support.stored_rows import stored_row

READ = {"int8": ">q", "int4": ">i", "int2": ">h", "float8": ">d", "bool": ">?", "timestamptz": ">q"}


def columns_of(topic: str, values: list[bytes]) -> Columns:
    """Return the columns of records, those that are made of others among them."""
    columns, odd = read_columns(topic, values)
    assert not odd.any()
    names = [StreamId(*series(topic, decode_value(topic, value))) for value in values]
    return with_stored(TABLES[topic], columns, np.array([stream_id_of(name) for name in names], np.int64))


def series(topic: str, record: dict[str, Any]) -> tuple[Any, ...]:
    """Return the series of a record."""
    return TABLES[topic].name, record.get("interval", ""), record["provider"], record["symbol"]


def rows_of(data: bytes, layout: tuple[CopyColumn, ...]) -> list[dict[str, Any]]:
    """Return the rows of COPY input, read by the format's own description."""
    assert data.startswith(HEADER)
    at, rows = len(HEADER), []
    while data[at : at + 2] != TRAILER:
        assert struct.unpack_from(">h", data, at) == (len(layout),)
        at, row = at + 2, dict[str, Any]()
        for column in layout:
            (size,) = struct.unpack_from(">i", data, at)
            field, at = data[at + 4 : at + 4 + max(size, 0)], at + 4 + max(size, 0)
            row[column.name] = None if size < 0 else _value(column, field)
        rows.append(row)
    assert data[at:] == TRAILER
    return rows


def _value(column: CopyColumn, field: bytes) -> Any:
    if column.type == "text":
        return field.decode()
    (value,) = struct.unpack(READ[column.type], field)
    return value + POSTGRES_EPOCH_US if column.type == "timestamptz" else value


@settings(max_examples=60, deadline=None)
@given(data=st.data(), topic=st.sampled_from([QUOTES, TRADES, BARS]))
def test_every_row_is_there_once_with_every_value(data: st.DataObject, topic: str) -> None:
    """Whatever the lengths and nulls, decoding the COPY input gives the records back, as a set."""
    placed = RECORDS[topic].filter(
        lambda record: 0 <= record.raw_offset < 1 << 47 and 0 <= record.index <= 65_535
    )
    values = [encode(topic, record) for record in data.draw(st.lists(placed, min_size=1, max_size=8))]
    layout = TABLES[topic].columns
    columns = columns_of(topic, values)

    stored = rows_of(encode_rows(layout, columns, np.arange(len(values))), layout)

    expected = [stored_row(TABLES[topic].stream, decode_value(topic, value)) for value in values]
    assert sorted(map(repr, stored)) == sorted(map(repr, expected))


def test_only_the_chosen_rows_are_encoded() -> None:
    """Rows are named by number, a constant column needs no source."""
    columns = columns_of(BARS, [encode(BARS, a_bar(raw_offset=number)) for number in range(5)])
    layout = TABLES[BARS].columns

    stored = rows_of(encode_rows(layout, columns, np.array([1, 4])), layout)

    assert [(row["position"], row["revision"]) for row in stored] == [(65_536, 0), (262_144, 0)]


def test_shapes_are_told_apart_however_large_they_are() -> None:
    """Lengths whose product overflows a 64-bit code still give one group per shape."""
    sizes = (0, 1, 40_000, 99_999)
    trades = [
        a_trade(symbol="S" * a, conditions="c" * b, venue="v" * a, provider="p" * b, trade_id="t" * a)
        for a in sizes
        for b in sizes
    ]
    columns = columns_of(TRADES, [encode(TRADES, trade) for trade in trades])

    stored = rows_of(
        encode_rows(TABLES[TRADES].columns, columns, np.arange(len(trades))), TABLES[TRADES].columns
    )

    assert sorted(row["venue"] + row["conditions"] for row in stored) == sorted(
        t.venue + t.conditions for t in trades
    )
