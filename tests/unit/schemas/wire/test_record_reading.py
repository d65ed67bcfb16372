"""Records that hold lists, read in parts."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deriving import event_fields
from schemas.errors import MalformedPayload
from schemas.streams import OPTION_STREAM
from schemas.wire.codec import decode_value, encode, encode_value, parsed_schema, read_members, schema_text
from schemas.wire.record_reading import RecordReader
from tests.support.builders import META, a_leg, a_slice
from tests.support.stream_values import events_of

TOPIC = OPTION_STREAM.topic


@given(st.lists(events_of(OPTION_STREAM), max_size=3))
def test_a_record_is_read_as_the_general_reader_does(events: list[dict[str, Any]]) -> None:
    """Whatever a schema can spell."""
    reader = RecordReader(json.loads(schema_text(OPTION_STREAM.schema)))
    for event in events:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed_schema(OPTION_STREAM.schema), event | META)
        data = out.getvalue()
        stream = BytesIO(data)

        found = reader.read(stream, data)

        assert repr(found) == repr(
            fastavro.schemaless_reader(BytesIO(data), parsed_schema(OPTION_STREAM.schema), None)
        )
        assert list(found)[: len(event)] == [field.name for field in event_fields(OPTION_STREAM)]
        assert stream.tell() == len(data)


def test_a_value_that_is_cut_anywhere_is_malformed() -> None:
    """And says so, as every other."""
    data = encode(TOPIC, a_slice())
    assert decode_value(TOPIC, data)["legs"][1] == a_leg(right="P", bid=None, ask=0.05, vendor_iv=0.21)
    for end in range(5, len(data)):
        with pytest.raises(MalformedPayload):
            decode_value(TOPIC, data[:end])


def test_members_are_read_alone_and_left_behind() -> None:
    """What comes next is read from there on; unusual spellings are left to the general reader."""
    data = encode_value(TOPIC, decode_value(TOPIC, encode(TOPIC, a_slice(legs=[a_leg(strike=1.0)]))))
    begin = data.index(b"\2" + b"\0\0\0\0\0\0\xf0\x3f")
    stream = BytesIO(data)
    stream.seek(begin)

    (member,) = read_members(OPTION_STREAM.schema, "legs", stream, data)

    assert member[:4] == (1.0, "C", 1.2, 1.25)
    assert data[stream.tell() - 1] == 0
    torn = BytesIO(data[: begin + 20])
    torn.seek(begin)
    with pytest.raises(MalformedPayload, match="no legs of a chain_slice"):
        read_members(OPTION_STREAM.schema, "legs", torn, torn.getvalue())
