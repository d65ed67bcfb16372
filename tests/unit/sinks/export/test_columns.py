"""Columns and rows of topics in files."""

from __future__ import annotations

import csv
from dataclasses import fields
from io import StringIO

import pytest

from schemas.deriving import lists
from schemas.errors import MalformedPayload
from schemas.streams import OPTION_STREAM, STREAMS, Stream
from schemas.topics import BARS, RAW_BARS, TRADES
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord
from sinks.export.columns import RAW_COLUMNS, columns_of, csv_text, row_maker
from tests.support.builders import NINE_THIRTY, a_bar, a_leg, a_slice, a_trade


def streamed(topic: str, value: bytes) -> StreamedRecord:
    """Return a record at 2/41."""
    return StreamedRecord(topic=topic, partition=2, offset=41, append_time=1_500_000, key=b"SPY", value=value)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_file_of_a_stream_has_every_declared_field(stream: Stream) -> None:
    """Under its own name, none twice; of a list the fields of its members."""
    names = [column.name for column in columns_of(stream.topic)]

    own = {field.name for field in fields(stream.record)} - set(lists(stream))
    members = {f"leg_{field.name}" for held in lists(stream).values() for field in held}
    assert sorted(names) == sorted(own | members)


def test_a_list_is_one_cell_a_field_of_its_members() -> None:
    """JSON in CSV, spelt as everything else is; members without a value keep their place."""
    legs = [a_leg(), a_leg(right="P", bid=None, quote_time=None, oi_date=None)]
    row = row_maker(OPTION_STREAM.topic)(
        streamed(OPTION_STREAM.topic, encode(OPTION_STREAM.topic, a_slice(legs=legs)))
    )

    columns = columns_of(OPTION_STREAM.topic)
    (cells,) = csv.reader(StringIO(csv_text(columns, [row])))
    said = dict(zip([column.name for column in columns], cells, strict=True))

    assert said["leg_bid"] == "[1.2, null]"
    assert said["leg_right"] == '["C", "P"]'
    assert said["leg_quote_time"] == '["2013-10-07T13:30:00.000000Z", null]'
    assert said["leg_oi_date"] == '["2013-10-06", null]'


@pytest.mark.parametrize(("field", "value"), [("last_time", 2**62), ("oi_date", 2**31 - 1)])
def test_a_moment_of_no_year_in_a_list_is_told(field: str, value: int) -> None:
    """As everywhere else."""
    record = encode(OPTION_STREAM.topic, a_slice(legs=[a_leg(**{field: value})]))

    with pytest.raises(MalformedPayload, match=f"leg_{field} is {value}, which is in no year"):
        row_maker(OPTION_STREAM.topic)(streamed(OPTION_STREAM.topic, record))


def test_kinds_follow_the_declaration() -> None:
    """Clocks are moments, prices doubles, words text."""
    kinds = {column.name: (column.kind, column.nullable) for column in columns_of(BARS)}

    assert kinds["event_time"] == kinds["known_from"] == ("moment", False)
    assert kinds["close"] == ("double", False)
    assert kinds["vwap"] == ("double", True)
    assert kinds["trade_count"] == ("long", True)
    assert (kinds["raw_offset"], kinds["index"]) == (("long", False), ("int", False))
    assert (kinds["session"], kinds["final"]) == (("text", False), ("boolean", False))


def test_a_row_is_the_record_and_a_raw_one_its_bytes() -> None:
    """What is no record of its topic is told."""
    bar = a_bar(close=101.25)
    row = dict(
        zip(
            [c.name for c in columns_of(BARS)],
            row_maker(BARS)(streamed(BARS, encode(BARS, bar))),
            strict=True,
        )
    )

    assert row == {field.name: getattr(bar, field.name) for field in fields(bar)}
    assert row_maker(RAW_BARS)(streamed(RAW_BARS, b"\0x")) == (2, 41, 1_500_000, b"SPY", b"\0x", None)
    with pytest.raises(MalformedPayload):
        row_maker(BARS)(streamed(BARS, b"poison"))


def test_a_moment_of_no_year_is_no_record() -> None:
    """The last of all years is one; the microsecond after it has no spelling."""
    row, columns = row_maker(BARS), columns_of(BARS)
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999

    rows = [
        row(streamed(BARS, encode(BARS, a_bar(event_time=moment, known_from=NINE_THIRTY))))
        for moment in (first, last)
    ]
    text = csv_text(columns, rows)
    assert "0001-01-01T00:00:00.000000Z" in text
    assert "9999-12-31T23:59:59.999999Z" in text
    for moment in (first - 1, last + 1, 2**62):
        with pytest.raises(MalformedPayload, match=f"event_time is {moment}, which is in no year"):
            row(streamed(BARS, encode(BARS, a_bar(event_time=moment))))


def test_csv_spells_values_as_the_gateway_does() -> None:
    """Moments, flags and nulls; a text with a comma or a quote is read again as it was."""
    trade = a_trade(conditions='@,"T"', event_time=NINE_THIRTY, trade_id=None, price=0.1)
    columns = columns_of(TRADES)
    text = csv_text(columns, [row_maker(TRADES)(streamed(TRADES, encode(TRADES, trade)))])
    (cells,) = csv.reader(StringIO(text, newline=""))
    row = dict(zip([column.name for column in columns], cells, strict=True))

    assert text.endswith("\r\n")
    assert (row["conditions"], row["trade_id"], row["price"]) == ('@,"T"', "", "0.1")
    assert row["simulated"] == "false"
    assert row["event_time"].endswith("Z")
    assert len(row["event_time"]) == len("2026-03-02T14:30:00.000000Z")


def test_csv_of_raw_records_is_base64() -> None:
    """Bytes have no spelling of their own."""
    assert (
        csv_text(RAW_COLUMNS, [(2, 41, 1_500_000, None, b"\0\xff", None)])
        == "2,41,1970-01-01T00:00:01.500000Z,,AP8=,\r\n"
    )
