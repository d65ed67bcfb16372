"""A dead letter says what was refused, why, where it lay, and holds it."""

from __future__ import annotations

import json

from schemas.errors import InvalidRecord, MalformedPayload
from stream_processors.refusals import dead_event, dead_record


def test_an_event_is_kept_as_json_whatever_its_numbers_are() -> None:
    """JSON has no name for what is no number."""
    event = {"symbol": "SPY", "price": float("nan"), "size": float("-inf"), "venue": "é"}
    letter = dead_event(
        InvalidRecord("no price"), event, topic="raw.trades.v1", partition=2, offset=9, index=4, known_from=7, provider="x"
    )  # fmt: skip

    assert json.loads(letter.payload) == {"symbol": "SPY", "price": "nan", "size": "-inf", "venue": "é"}
    assert (letter.stage, letter.reason, letter.symbol, letter.offset, letter.index) == (
        "processor",
        "invalid",
        "SPY",
        9,
        4,
    )


def test_a_record_is_kept_with_its_key_and_bytes() -> None:
    """Nothing of it is believed; a record without a value has none."""
    fields = {"topic": "raw.bars.v1", "partition": 2, "offset": 9, "known_from": 7}
    error = MalformedPayload("no block")

    assert dead_record(error, key=b"k", value=b"\xff", **fields).payload == b"\xff"  # type: ignore[arg-type]
    assert dead_record(error, key=None, value=None, **fields).payload == b""  # type: ignore[arg-type]
