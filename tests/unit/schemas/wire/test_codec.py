"""Framed Avro: what goes in comes out, and whatever else comes in is refused with one of our errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidRecord, MalformedPayload
from schemas.records import DeadLetter, Discontinuity, Gap, Progress
from schemas.streams import Bar, Quote, Trade
from schemas.topics import BARS, GAPS, PROGRESS, QUOTES, RAW_BARS, RAW_TRADES, TRADES, dead
from schemas.wire import codec
from schemas.wire.codec import OversizedRecord, UnknownSchema
from tests.support.builders import META, a_bar, a_bar_event, a_block, a_gap, a_quote, a_trade, a_trade_event


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (BARS, a_bar(vwap=167.31, trade_count=9)),
        (QUOTES, a_quote(bid=None)),
        (TRADES, a_trade(trade_id="x1")),
        (GAPS, a_gap()),
        (
            PROGRESS,
            Progress(
                raw_topic=RAW_BARS, partition=3, raw_offset=9, known_from=5, canonical_topic=BARS,
                canonical_end_offset=4, processing_version=1,
            ),
        ),
        (
            dead(BARS),
            DeadLetter(stage="sink", reason="malformed", message="m", topic=BARS, known_from=1, payload=b"\0\xff"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_record_survives_the_wire(
    topic: str, record: Bar | Quote | Trade | Gap | Progress | DeadLetter
) -> None:
    """Encoding and decoding gives an equal record."""
    assert codec.decode(topic, codec.encode(topic, record), type(record)) == record  # type: ignore[type-var]


def test_progress_of_earlier_versions_is_still_read() -> None:
    """Version 1 had no time of its own for what it claims, version 2 said nothing of evidence."""
    written = Progress(
        raw_topic=RAW_BARS, partition=3, raw_offset=9, known_from=5, canonical_topic=BARS, canonical_end_offset=4,
        processing_version=1,
    )  # fmt: skip
    newest = codec.encode(PROGRESS, written)
    null, added = newest[-5:-4], newest[-4:]  # what version 2 added at its end, and what version 3

    assert (null, added) == (b"\0", b"\x01\0\x01\0")
    assert codec.decode(PROGRESS, b"\0" + (8).to_bytes(4, "big") + newest[5:-5], Progress) == written
    assert codec.decode(PROGRESS, b"\0" + (14).to_bytes(4, "big") + newest[5:-4], Progress) == written


def test_a_block_survives_the_wire() -> None:
    """A raw block keeps its events, hints and discontinuities."""
    hole = Discontinuity(symbol="SPY", interval="1m", from_time=None, to_time=5, cause="producer_down")
    block = a_block(
        a_bar_event(), a_bar_event(final=False), discontinuities=(hole,), hints={"guaranteed": "1"}
    )

    decoded = codec.decode_block(RAW_BARS, codec.encode(RAW_BARS, block))

    assert decoded.discontinuities == (hole,)
    assert list(decoded.events) == list(block.events)
    assert decoded.hints == {"guaranteed": "1"}


def test_events_encoded_together_equal_events_encoded_alone() -> None:
    """The hot path writes the same bytes as the plain one."""
    bars = [a_bar(index=number, close=100.0 + number) for number in range(5)]
    common = {name: META[name] for name in META if name != "index"}
    events = [a_bar_event(close=100.0 + number) | {"index": number} for number in range(5)]

    assert codec.encode_events(BARS, events, common) == [codec.encode(BARS, bar) for bar in bars]


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_with_our_error_or_decode(data: bytes) -> None:
    """Nothing but MalformedPayload comes out of hostile bytes."""
    for prefix in (b"", b"\0\0\0\0\6", b"\0\0\0\0\2"):
        for topic in (BARS, RAW_TRADES):
            try:
                codec.decode_value(topic, prefix + data)
            except MalformedPayload as error:
                assert topic in str(error)


@given(st.integers(min_value=0, max_value=10_000))
def test_a_truncated_record_is_malformed(cut: int) -> None:
    """Every proper prefix of a record is refused."""
    whole = codec.encode(RAW_TRADES, a_block(a_trade_event(), a_trade_event(price=1.0)))

    with pytest.raises(MalformedPayload):
        codec.decode_value(RAW_TRADES, whole[: cut % len(whole)])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(None, MalformedPayload, id="no value"),
        pytest.param(b"x" * (codec.MAX_RECORD_BYTES + 1), OversizedRecord, id="oversized"),
        pytest.param(b"\0\0\0\0\x63abc", UnknownSchema, id="id nobody gave"),
        pytest.param(codec.encode(TRADES, a_trade()), UnknownSchema, id="another topic's record"),
        pytest.param(codec.encode(BARS, a_bar()) + b"\0", MalformedPayload, id="trailing bytes"),
    ],
)
def test_what_is_not_a_bar_is_named(data: bytes | None, error: type[MalformedPayload]) -> None:
    """Each kind of wrong input has its own reason."""
    with pytest.raises(error):
        codec.decode_value(BARS, data)


def test_a_value_that_does_not_fit_its_schema_is_invalid() -> None:
    """The border refuses a record it cannot write."""
    with pytest.raises(InvalidRecord, match=r"bars\.v1"):
        codec.encode_value(BARS, {"symbol": "SPY"})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_survives_unchanged(value: float) -> None:
    """A price is the same double on both sides, to the last bit."""
    assert repr(codec.decode(BARS, codec.encode(BARS, a_bar(close=value)), Bar).close) == repr(value)
