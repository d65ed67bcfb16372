"""Spliced canonical bytes are the encoded ones, whatever the values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import MalformedPayload
from schemas.topics import BARS, QUOTES, RAW_BARS, RAW_QUOTES, RAW_TRADES, TRADES, catalogue
from schemas.wire.codec import HEADER_BYTES, encode, encode_value, parsed_schema, schema_text
from schemas.wire.splicing import SUFFIX, canonical_values, decode_block_events, event_bytes, without_day
from tests.support.builders import a_bar_event, a_block, a_quote_event, a_trade_event

PAIRS: list[tuple[str, str, Callable[..., dict[str, Any]]]] = [
    (RAW_QUOTES, QUOTES, a_quote_event),
    (RAW_TRADES, TRADES, a_trade_event),
    (RAW_BARS, BARS, a_bar_event),
]
COMMON = {
    "provider": "finnhub",
    "route": "backfill",
    "received_time": 5,
    "known_from": 6,
    "raw_offset": 70_000,
}
LONGS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def spliced(raw: str, canonical: str, data: bytes) -> list[bytes]:
    """Return every event of a block as a canonical record."""
    _, heads = decode_block_events(raw, data)
    return canonical_values(canonical, enumerate(heads), COMMON)


@pytest.mark.parametrize(("raw", "canonical", "event"), PAIRS, ids=[raw for raw, *_ in PAIRS])
def test_a_canonical_schema_is_the_event_then_the_suffix(raw: str, canonical: str, event: object) -> None:
    """Whoever adds a field to one of the two must add it to the other, before the suffix."""
    fields = json.loads(schema_text(catalogue().topics[raw].schema))["fields"][-1]["type"]["items"]["fields"]
    held = json.loads(schema_text(catalogue().topics[canonical].schema))["fields"]
    own = [field for field in fields if field["name"] not in {known["name"] for known in held}]

    assert fields[len(fields) - len(own) :] == own
    shared = fields[: len(fields) - len(own)]
    assert [(f["name"], _type_name(f["type"])) for f in shared] == [
        (f["name"], _type_name(f["type"])) for f in held[: -1 - len(SUFFIX)]
    ]
    assert [f["name"] for f in held[-1 - len(SUFFIX) :]] == [*SUFFIX, "index"]
    assert all(f["type"] == "long" for f in own)


def _type_name(declared: Any) -> Any:
    return (declared["name"], declared["symbols"]) if isinstance(declared, dict) else declared


@pytest.mark.parametrize(("raw", "canonical", "event"), PAIRS, ids=[raw for raw, *_ in PAIRS])
def test_spliced_bytes_are_the_encoded_ones(
    raw: str, canonical: str, event: Callable[..., dict[str, Any]]
) -> None:
    """A reader cannot tell the difference."""
    block = a_block(*(event(symbol=f"S{number}") for number in range(3_000)), hints={"guaranteed": "1"})

    values = spliced(raw, canonical, encode(raw, block))

    assert values == [
        encode_value(canonical, {**plain, **COMMON, "index": index})
        for index, plain in enumerate(block.events)
    ]


@given(sequence=LONGS, frame_hash=LONGS, price=st.floats(allow_nan=False), trade_id=st.none() | st.text())
def test_the_frame_is_cut_off_at_any_length(
    sequence: int, frame_hash: int, price: float, trade_id: str | None
) -> None:
    """The two trailing longs of a trade take 1 to 10 bytes each."""
    event = a_trade_event(frame_sequence=sequence, frame_hash=frame_hash, price=price, trade_id=trade_id)

    values = spliced(RAW_TRADES, TRADES, encode(RAW_TRADES, a_block(event)))

    assert values == [encode_value(TRADES, {**event, **COMMON, "index": 0})]


def test_a_long_spelt_longer_than_need_be_is_still_cut_off() -> None:
    """Avro readers accept 0x80 0x00 for zero; the canonical record must not inherit its rest."""
    event = a_trade_event(frame_sequence=0, frame_hash=0)
    data = encode(RAW_TRADES, a_block(event))
    assert data.endswith(b"\0\0\0")  # sequence, hash, end of the array

    values = spliced(RAW_TRADES, TRADES, data[:-3] + b"\0\x80\x80\0\0")

    assert values == [encode_value(TRADES, {**event, **COMMON, "index": 0})]


@given(day=st.none() | st.integers(-(2**31), 2**31 - 1))
def test_a_day_is_cut_off_at_any_length(day: int | None) -> None:
    """What is left says the same whatever the day, and is not a byte more or less than the event of version 1 had."""
    event = a_bar_event(adjustment_state="split", adjusted_through=day)
    earlier = parsed_schema("raw_bars.v1")
    assert isinstance(earlier, dict)
    out = BytesIO()
    fastavro.schemaless_writer(out, earlier["fields"][-1]["type"]["items"], event)

    assert without_day(event_bytes(RAW_BARS, event), day) == out.getvalue()


def test_a_day_spelt_longer_than_need_be_leaves_more_than_the_event() -> None:
    """It passes for something new, never for what it is not."""
    plain = event_bytes(RAW_BARS, a_bar_event())
    spelt = plain[:-1] + b"\x02\x80\x80\x80\x80\x00"

    assert without_day(spelt, 0).startswith(without_day(plain, None))
    assert without_day(spelt, 0) != without_day(plain, None)


def test_an_array_in_runs_with_sizes_is_read() -> None:
    """Other Avro writers put the size in bytes before each run of events."""
    event = a_quote_event()
    data = encode(RAW_QUOTES, a_block(event))
    head = encode(RAW_QUOTES, a_block())[:-1]
    body = data[len(head) + 1 : -1]
    assert data[len(head)] == 2  # one event, zigzag

    runs = head + b"\x01" + _long(len(body)) + body + b"\x02" + body + b"\0"
    block, heads = decode_block_events(RAW_QUOTES, runs)

    assert list(block.events) == [event, event]
    assert heads == [body, body]


def _long(value: int) -> bytes:
    value <<= 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@given(
    data=st.binary(max_size=200),
    framed=st.booleans(),
    topic=st.sampled_from([RAW_QUOTES, RAW_TRADES, RAW_BARS]),
)
def test_any_bytes_give_a_block_or_a_malformed_payload(data: bytes, framed: bool, topic: str) -> None:
    """Nothing else ever escapes, whatever the bytes."""
    header = encode(topic, a_block())[:HEADER_BYTES] if framed else b""
    try:
        block, heads = decode_block_events(topic, header + data)
    except MalformedPayload:
        return
    assert len(block.events) == len(heads)


def test_trailing_bytes_are_refused() -> None:
    """One record a message."""
    with pytest.raises(MalformedPayload, match="follow the record"):
        decode_block_events(RAW_BARS, encode(RAW_BARS, a_block(a_bar_event())) + b"x")


def test_foreign_schema_and_empty_value_are_explained() -> None:
    """The reason is the one a dead letter carries."""
    with pytest.raises(MalformedPayload, match="no value"):
        decode_block_events(RAW_BARS, None)
    with pytest.raises(MalformedPayload, match="schema id"):
        decode_block_events(RAW_BARS, encode(RAW_QUOTES, replace(a_block(), events=())))
