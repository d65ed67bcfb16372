"""The fast reader and the general one agree on every byte, whatever the values and whatever the damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import MalformedPayload
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES, canonical_of, catalogue
from schemas.wire.codec import decode_block, encode, encode_value
from schemas.wire.event_reading import READERS, Unusual
from schemas.wire.splicing import canonical_values, decode_block_events
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event

COMMON = {"provider": "finnhub", "route": "primary", "received_time": 5, "known_from": 6, "raw_offset": 7}
DOUBLES = st.floats(width=64)
MAYBE = st.none() | DOUBLES
TEXTS = st.text(max_size=70)
TIMES = st.integers(min_value=NINE_THIRTY, max_value=NINE_THIRTY * 2) | st.integers(-(2**63), 2**63 - 1)
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)

QUOTES_ = st.fixed_dictionaries(
    {
        "symbol": TEXTS, "event_time": TIMES, "bid": MAYBE, "ask": MAYBE, "bid_size": MAYBE, "ask_size": MAYBE,
        "last": MAYBE, "last_size": MAYBE, "volume": MAYBE, "previous_close": MAYBE, "currency": TEXTS,
        "market_state": TEXTS, "delay_s": st.integers(-5, 20_000), "simulated": st.booleans(),
    }
)  # fmt: skip
BARS_ = st.fixed_dictionaries(
    {
        "symbol": TEXTS, "interval": st.sampled_from(["1m", "1d"]), "event_time": TIMES, "open": DOUBLES,
        "high": DOUBLES, "low": DOUBLES, "close": DOUBLES, "volume": DOUBLES, "vwap": MAYBE,
        "trade_count": st.none() | st.integers(-5, 2**40), "final": st.booleans(),
        "session": st.sampled_from(["pre", "regular", "post", "closed"]),
        "adjustment_state": st.sampled_from(["raw", "split", "all"]), "currency": TEXTS, "simulated": st.booleans(),
    }
)  # fmt: skip
TRADES_ = st.fixed_dictionaries(
    {
        "symbol": TEXTS, "event_time": TIMES, "price": DOUBLES, "size": DOUBLES, "trade_id": st.none() | TEXTS,
        "conditions": TEXTS, "venue": TEXTS, "simulated": st.booleans(), "frame_sequence": LONGS, "frame_hash": LONGS,
    }
)  # fmt: skip
BLOCKS = st.one_of(
    st.tuples(st.just(RAW_QUOTES), st.lists(QUOTES_, max_size=4)),
    st.tuples(st.just(RAW_BARS), st.lists(BARS_, max_size=4)),
    st.tuples(st.just(RAW_TRADES), st.lists(TRADES_, max_size=4)),
)
PLAIN: list[tuple[str, Callable[..., dict[str, Any]]]] = [
    (RAW_QUOTES, a_quote_event),
    (RAW_BARS, a_bar_event),
    (RAW_TRADES, a_trade_event),
]


@given(BLOCKS)
def test_any_block_reads_as_the_general_reader_reads_it(drawn: tuple[str, list[dict[str, Any]]]) -> None:
    """Events, and the canonical records spliced from their bytes."""
    topic, events = drawn
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
    """A new version needs one of its own, or is read by the general reader knowingly."""
    raw = {topic.schema for topic in catalogue().topics.values() if topic.kind == "raw"}

    assert raw == set(READERS)
