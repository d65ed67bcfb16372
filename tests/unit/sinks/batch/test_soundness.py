"""Rows no table takes are found by column, each with its field and its remedy, and never a row that is sound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Progress
from schemas.streams import (
    ACTION_STREAM,
    BAR_STREAM,
    MACRO_STREAM,
    OPTION_STREAM,
    QUOTE_STREAM,
    STREAMS,
    TRADE_STREAM,
    Stream,
)
from schemas.topics import BARS, PROGRESS, RAW_BARS
from schemas.wire.codec import decode, encode
from sinks.batch.batch import Batch, assemble
from sinks.batch.soundness import END_US, FIRST_US, MAX_KEY_BYTES, MAX_RAW_OFFSET, MAX_TEXT_BYTES, unsound
from sinks.columns.avro import read_columns
from tests.support.builders import (
    a_bar,
    a_leg,
    a_quote,
    a_slice,
    a_trade,
    an_action,
    an_evidence,
    an_observation,
)
from tests.support.received import Message, a_part, home

MAKE = {
    BAR_STREAM: a_bar,
    QUOTE_STREAM: a_quote,
    TRADE_STREAM: a_trade,
    ACTION_STREAM: an_action,
    MACRO_STREAM: an_observation,
    OPTION_STREAM: a_slice,
}
NO_UTF8 = b"\xff\xfe"


def problems(stream: Stream, *records: Any, instead: dict[bytes, bytes] | None = None) -> dict[int, str]:
    """Return what is wrong with records, by row; `instead` replaces bytes of equal length in what is encoded."""
    values = [encode(stream.topic, record) for record in records]
    for old, new in (instead or {}).items():
        values = [value.replace(old, new) for value in values]
    columns, odd = read_columns(stream.topic, values)
    assert not odd.any()
    return {row: str(error) for row, error in unsound(stream, columns).items()}


@pytest.mark.parametrize(
    ("stream", "changes", "said"),
    [
        (TRADE_STREAM, {"venue": "a\0"}, "venue holds a NUL; send text without it"),
        (TRADE_STREAM, {"conditions": "x" * 40 + "\0"}, "conditions holds a NUL"),
        (TRADE_STREAM, {"trade_id": "\0"}, "trade_id holds a NUL"),
        (BAR_STREAM, {"currency": "\0USD"}, "currency holds a NUL"),
        (BAR_STREAM, {"interval": "1m\0"}, "interval holds a NUL"),
        (QUOTE_STREAM, {"provider": "y\0"}, "provider holds a NUL"),
        (QUOTE_STREAM, {"symbol": "S" * 257}, "symbol is 257 bytes long, of at most 256; shorten it"),
        (BAR_STREAM, {"provider": "é" * 129}, "provider is 258 bytes long"),
        (TRADE_STREAM, {"conditions": "c" * 4_097}, "conditions is 4,097 bytes long, of at most 4,096"),
        (TRADE_STREAM, {"index": 65_536}, "index is 65,536, outside 0 to 65,535; number the events"),
        (TRADE_STREAM, {"index": -1}, "index is -1"),
        (TRADE_STREAM, {"raw_offset": 1 << 47}, "raw_offset is 140,737,488,355,328, outside"),
        (TRADE_STREAM, {"raw_offset": -1}, "raw_offset is -1"),
        (QUOTE_STREAM, {"event_time": FIRST_US - 1}, "event_time is outside the years 1900 to 2199"),
        (BAR_STREAM, {"event_time": END_US}, "event_time is outside"),
        (
            ACTION_STREAM,
            {"ex_date": -135_141},
            "ex_date is outside the years 1600 to 2199; it is in days since",
        ),
        (MACRO_STREAM, {"vintage_end": 84_006}, "vintage_end is outside"),
        (TRADE_STREAM, {"price": float("inf")}, "price is not a finite number; drop or correct it"),
        (OPTION_STREAM, {"legs": [a_leg(), a_leg(bid=float("nan"))]}, "legs.bid is not a finite number"),
        (
            OPTION_STREAM,
            {"legs": [a_leg(quote_time=END_US)]},
            "legs.quote_time is out of range; times are µs",
        ),
        (
            OPTION_STREAM,
            {"legs": [a_leg(oi_date=84_006)]},
            "legs.oi_date is out of range; days count from 1970",
        ),
    ],
)
def test_what_no_table_takes_is_named_with_its_remedy(
    stream: Stream, changes: dict[str, Any], said: str
) -> None:
    """PostgreSQL refused these, row by row: a hundred of them stopped a partition for ever. Neighbours are sound."""
    make = MAKE[stream]

    found = problems(stream, make(), make(**changes), make(index=1))

    assert list(found) == [1]
    assert said in found[1]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_is_just_allowed_is_sound(stream: Stream) -> None:
    """The bounds themselves belong to what is stored."""
    make = MAKE[stream]
    edges = [
        make(symbol="S" * MAX_KEY_BYTES, index=65_535, raw_offset=MAX_RAW_OFFSET),
        make(provider="naïve€😀", event_time=FIRST_US),
        make(event_time=END_US - 1),
    ]
    texts = [a_trade(conditions="€" * (MAX_TEXT_BYTES // 3), trade_id=None)]

    assert problems(stream, *edges) == {}
    assert problems(TRADE_STREAM, *texts) == {}


@pytest.mark.parametrize("field", ["symbol", "provider", "venue", "conditions"])
def test_bytes_that_are_no_utf8_are_found(field: str) -> None:
    """Foreign writers send what they like."""
    found = problems(TRADE_STREAM, a_trade(), a_trade(**{field: "$$"}), instead={b"$$": NO_UTF8})

    assert found == {1: f"{field} is not UTF-8; encode it so"}


@settings(max_examples=200)
@given(texts=st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_bytes_are_judged_as_the_codec_and_postgresql_do(texts: list[bytes]) -> None:
    """Whatever their length and wherever they lie: sound is what is UTF-8 without a NUL."""
    marks = [f"${number:02d}" + "~" * max(0, len(text) - 3) for number, text in enumerate(texts)]
    values = [encode(TRADE_STREAM.topic, a_trade(venue=mark)) for mark in marks]
    padded = [text.ljust(3, b"~") for text in texts]
    values = [
        value.replace(mark.encode(), text) for value, mark, text in zip(values, marks, padded, strict=True)
    ]

    def is_sound(text: bytes) -> bool:
        try:
            return "\0" not in text.decode()
        except UnicodeDecodeError:
            return False

    columns, _ = read_columns(TRADE_STREAM.topic, values)

    assert set(unsound(TRADE_STREAM, columns)) == {n for n, text in enumerate(padded) if not is_sound(text)}


def test_refused_rows_leave_the_batch_and_the_rest_takes_the_fast_path() -> None:
    """A dead letter each, in order, with their bytes; what is stored is encoded as one."""
    bad = {3: a_trade(venue="\0"), 7: a_trade(index=70_000), 8: a_trade(provider="p" * 300)}
    records = [bad.get(n, a_trade(index=n)) for n in range(12)]

    batch, _ = assemble([a_part(records)])

    assert [refusal.letter.offset for refusal in batch.refusals] == list(bad)
    assert [refusal.letter.payload for refusal in batch.refusals] == [
        encode(TRADE_STREAM.topic, record) for record in bad.values()
    ]
    (rows,) = batch.rows
    assert rows.columns.size == 9


def a_batch_of(topic: str, *values: bytes) -> Batch:
    """Return the batch of bytes read from a topic."""
    part = a_part([an_evidence()], partition=home("SPY"))
    part.topic, part.end = topic, len(values)
    part.records[:] = [Message(value, at) for at, value in enumerate(values)]
    return assemble([part])[0]


@pytest.mark.parametrize("changes", [{"known_from": 1 << 60}, {"complete_before": -(1 << 60)}])
def test_progress_no_watermark_can_follow_is_dead_lettered(changes: dict[str, int]) -> None:
    """Kept in memory it would fail every later batch."""
    fields: dict[str, Any] = {
        "raw_topic": RAW_BARS, "partition": home("SPY"), "raw_offset": 0, "known_from": 1, "canonical_topic": BARS,
        "canonical_end_offset": 0, "processing_version": 1,
    }  # fmt: skip
    good, bad = encode(PROGRESS, Progress(**fields)), encode(PROGRESS, Progress(**(fields | changes)))

    batch = a_batch_of(PROGRESS, good, bad)

    assert [claim.complete_before for claim in batch.claims] == [1]
    assert [refusal.letter.offset for refusal in batch.refusals] == [1]
    assert decode(PROGRESS, batch.refusals[0].letter.payload, Progress) == Progress(**(fields | changes))
