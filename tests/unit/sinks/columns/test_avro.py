"""Columns hold what the codec reads, and what it refuses is odd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import PermanentError
from schemas.topics import BARS, QUOTES, TRADES, catalogue
from schemas.wire.codec import decode_value, encode, encode_value
from sinks.columns.avro import Columns, fields_of, read_columns
from tests.support.builders import a_bar, a_quote, a_trade
from tests.support.record_strategies import RECORDS


def row(topic: str, columns: Columns, number: int) -> dict[str, Any]:
    """Return one row as the codec would."""
    symbols = {field.name: field.symbols for field in fields_of(catalogue().topics[topic].schema)}
    values: dict[str, Any] = {}
    for name, text in columns.texts.items():
        start, length = int(text.starts[number]), int(text.lengths[number])
        known = text.valid is None or text.valid[number]
        values[name] = columns.buffer[start : start + length].tobytes().decode() if known else None
    for name, numbers in columns.numbers.items():
        known = numbers.valid is None or numbers.valid[number]
        value = numbers.values[number].item() if known else None
        values[name] = symbols[name][value].decode() if symbols[name] else value
    return values


@pytest.mark.parametrize("topic", [QUOTES, TRADES, BARS])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_columns_equal_the_codec(topic: str, data: st.DataObject) -> None:
    """Every field of every record reads as the codec reads it."""
    values = [encode(topic, record) for record in data.draw(st.lists(RECORDS[topic], max_size=6))]

    columns, odd = read_columns(topic, values)

    assert not odd.any()
    assert [row(topic, columns, number) for number in range(len(values))] == [
        decode_value(topic, v) for v in values
    ]


@settings(max_examples=300, deadline=None)
@given(
    record=RECORDS[BARS],
    cut=st.integers(0, 200),
    flips=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 255)), max_size=4),
    tail=st.binary(max_size=3),
)
def test_damage_never_reads_as_something_else(
    record: Any, cut: int, flips: list[tuple[int, int]], tail: bytes
) -> None:
    """Bytes the codec refuses are odd, its neighbours are unharmed, and what is not odd equals the codec's reading."""
    damaged = bytearray(encode(BARS, record)[: cut or None] + tail)
    for place, mask in flips:
        if place < len(damaged):
            damaged[place] ^= mask
    good = encode(BARS, a_bar())

    columns, odd = read_columns(BARS, [good, bytes(damaged), good])

    assert [bool(odd[0]), bool(odd[2])] == [False, False]
    assert row(BARS, columns, 0) == row(BARS, columns, 2) == decode_value(BARS, good)
    try:
        expected = decode_value(BARS, bytes(damaged))
    except PermanentError as error:
        # Only text that is not UTF-8 passes here; PostgreSQL refuses it by name.
        assert odd[1] or "UnicodeDecodeError" in str(error)
        return
    if not odd[1]:
        assert repr(row(BARS, columns, 1)) == repr({name: expected[name] for name in row(BARS, columns, 1)})


def test_random_bytes_are_odd() -> None:
    """Neither emptiness nor noise is a record."""
    _, odd = read_columns(TRADES, [b"", b"\0", b"\xff" * 300, bytes(40), encode(BARS, a_bar())])

    assert odd.all()


@pytest.mark.parametrize(
    "changes", [{"known_from": 1 << 55}, {"raw_offset": -(1 << 56)}], ids=["time", "offset"]
)
def test_an_integer_beyond_55_bits_is_odd(changes: dict[str, int]) -> None:
    """The reader follows eight bytes of an integer; more is left to the codec."""
    _, odd = read_columns(TRADES, [encode(TRADES, a_trade(**changes))])

    assert odd.all()


def test_an_int_that_does_not_fit_its_column_is_odd() -> None:
    """An Avro int is 32 bits wide, whatever the bytes claim."""
    value = encode_value(QUOTES, decode_value(QUOTES, encode(QUOTES, a_quote())) | {"delay_s": 1 << 40})

    _, odd = read_columns(QUOTES, [value])

    assert odd.all()


def test_no_rows_are_no_columns() -> None:
    """An empty batch reads as an empty batch."""
    columns, odd = read_columns(BARS, [])

    assert columns.size == 0 == len(odd)
