"""The fast reader and the general one agree on every byte, whatever the values and whatever the damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from schemas.errors import MalformedPayload
from schemas.streams import OPTION_STREAM, Stream
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES, canonical_of, catalogue
from schemas.wire.codec import decode_block, encode, encode_value
from schemas.wire.event_reading import Unusual
from schemas.wire.generated_readers import READERS
from schemas.wire.splicing import canonical_values, decode_block_events
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event
from tests.support.stream_values import BLOCKS

COMMON = {"provider": "finnhub", "route": "primary", "received_time": 5, "known_from": 6, "raw_offset": 7}
PLAIN: list[tuple[str, Callable[..., dict[str, Any]]]] = [
    (RAW_QUOTES, a_quote_event),
    (RAW_BARS, a_bar_event),
    (RAW_TRADES, a_trade_event),
]


@given(BLOCKS)
def test_any_block_reads_as_the_general_reader_reads_it(drawn: tuple[Stream, list[dict[str, Any]]]) -> None:
    """Events, and the canonical records spliced from their bytes."""
    stream, events = drawn
    topic = stream.raw_topic
    data = encode(topic, a_block(*events))
    block, heads = decode_block_events(topic, data)
    canonical = canonical_of(topic)

    assert repr(block) == repr(decode_block(topic, data))  # repr: NaN equals itself there
    assert canonical_values(canonical, enumerate(heads), COMMON) == [
        encode_value(canonical, {**event, **COMMON, "index": index}) for index, event in enumerate(events)
    ]


@pytest.mark.parametrize(("topic", "event"), PLAIN, ids=[topic for topic, _ in PLAIN])
def test_any_damage_is_read_as_the_general_reader_reads_it(
    topic: str, event: Callable[..., dict[str, Any]]
) -> None:
    """Every byte of a record, replaced by each telling value and cut off at each place."""
    data = encode(topic, a_block(event(), event(symbol="A" * 64)))
    for place in range(5, len(data)):
        spoilt = [
            data[:place] + bytes([byte]) + data[place + 1 :] for byte in (0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF)
        ]
        for other in (*spoilt, data[:place], data[:place] + b"\0" + data[place:]):
            assert read(decode_block_events, topic, other) == read(decode_block, topic, other)


def read(reader: Callable[[str, bytes], Any], topic: str, data: bytes) -> str:
    """Return what a reader makes of the bytes."""
    try:
        found = reader(topic, data)
    except MalformedPayload as error:
        return type(error).__name__
    return repr(found[0] if isinstance(found, tuple) else found)


@pytest.mark.parametrize(("topic", "event"), PLAIN, ids=[topic for topic, _ in PLAIN])
def test_what_our_producers_write_needs_no_general_reader(
    topic: str, event: Callable[..., dict[str, Any]]
) -> None:
    """Otherwise the processor would be slow and nobody would know why."""
    events = [event(symbol="BRK.B"), event(), event(event_time=NINE_THIRTY * 12 // 10)]
    data = encode(topic, a_block(*events))
    begin = len(encode(topic, a_block())) - 1

    found, heads, end = READERS[catalogue().topics[topic].schema](data, begin + 1, len(events))

    assert found == events
    assert (end, data[end:]) == (len(data) - 1, b"\0")
    assert len(heads) == len(events)


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        (RAW_QUOTES, a_quote_event(symbol="A" * 64)),
        (RAW_QUOTES, a_quote_event(event_time=5)),
        (RAW_QUOTES, a_quote_event(event_time=-NINE_THIRTY)),
        (RAW_QUOTES, a_quote_event(delay_s=-1)),
        (RAW_BARS, a_bar_event(trade_count=100_000)),
    ],
    ids=["long text", "early", "negative", "negative number", "large number"],
)
def test_the_unusual_is_left_to_the_general_reader(topic: str, event: dict[str, Any]) -> None:
    """Rather slow than wrong."""
    data = encode(topic, a_block(event))
    begin = len(encode(topic, a_block())) - 1

    with pytest.raises(Unusual):
        READERS[catalogue().topics[topic].schema](data, begin + 1, 1)
    assert list(decode_block_events(topic, data)[0].events) == [event]


def test_every_raw_schema_has_a_reader() -> None:
    """A new version needs one of its own, or is read by the general reader knowingly, as what holds lists is."""
    raw = {topic.schema for topic in catalogue().topics.values() if topic.kind == "raw"}

    assert raw - {OPTION_STREAM.raw_schema} == set(READERS)
