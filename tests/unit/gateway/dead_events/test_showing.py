"""Dead events as rows: bytes as far as they are understood, and JSON whatever they are."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dead_events.judging import Judged
from gateway.dead_events.requests import CAUSE_ROW, EVENT, JUDGED
from gateway.dead_events.showing import SHOWN_BYTES, cause_row, event_row, judged_row, shown_payload
from schemas.topics import QUOTES, RAW_BARS, RAW_QUOTES
from schemas.wire.codec import encode
from tests.support.builders import a_bar_event, a_block
from tests.support.dead_letters import judge, letter, of_event


def test_rows_have_every_declared_member() -> None:
    """An event, a cause with its newest, a verdict with and without a record."""
    event = of_event(RAW_BARS, a_bar_event())
    (kept,) = judge(event)
    none = Judged(event=letter(QUOTES, b"x", stage="sink"), verdict="not_replayable", detail="why")

    assert list(event_row(event)) == list(EVENT["properties"])
    assert list(cause_row(event, count=2, first=5, last=6)) == list(CAUSE_ROW["properties"])
    assert [list(judged_row(each, None)) for each in (kept, none)] == [list(JUDGED["properties"])] * 2
    assert judged_row(kept, "raw.bars.v1/0/9")["record"]["provider"] == "yahoo"
    assert judged_row(none, None)["record"] is None
    assert event_row(letter(RAW_BARS, b"", offset=-1))["origin"] is None


@pytest.mark.parametrize(
    ("payload", "length", "form"),
    [
        (b'{"c": [1.5, null]}', 18, "json"),
        (b'{"c": [1.5, nu', 9_000, "text"),
        (b"<html>\nsorry", 12, "text"),
        (b"a\0b", 3, "bytes"),
        (b"\xff\xfe", 2, "bytes"),
        ("é".encode()[:1], 9, "bytes"),
        (b'"\\ud800"', 8, "text"),
        (b"[" * 200 + b"]" * 200, 400, "text"),
        (b"9" * 4_000, 4_000, "json"),
        (b"", 0, "bytes"),
    ],
)
def test_bytes_are_shown_as_far_as_they_are_understood(payload: bytes, length: int, form: str) -> None:
    """Whole JSON as JSON, what is cut as text, the rest in hexadecimal; the length is that of all."""
    shown = shown_payload(RAW_BARS, payload, length)

    assert (shown["form"], shown["bytes"]) == (form, length)
    assert len(orjson.dumps(shown)) < 4 * SHOWN_BYTES + 4_200


def test_a_record_of_the_topic_is_decoded() -> None:
    """A whole block, and only by the schema of its own topic."""
    value = encode(RAW_BARS, a_block(a_bar_event()))

    assert (
        shown_payload(RAW_BARS, value, len(value))["value"]["events"][0]["symbol"] == a_bar_event()["symbol"]
    )
    assert shown_payload(RAW_QUOTES, value, len(value))["form"] == "bytes"


@given(
    st.binary(max_size=400)
    | st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_any_bytes_become_json(payload: bytes) -> None:
    """An answer is never an error."""
    orjson.dumps(shown_payload(RAW_BARS, payload, len(payload)))
