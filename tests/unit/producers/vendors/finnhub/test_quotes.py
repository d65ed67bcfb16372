"""Finnhub's quotes, and the zeros that are none."""

from __future__ import annotations

import json

import pytest

from producers.vendors.finnhub.quotes import parse_quote
from schemas.errors import NoData

QUOTE = {
    "c": 261.74,
    "d": 2.29,
    "dp": 0.88,
    "h": 263.31,
    "l": 260.68,
    "o": 261.07,
    "pc": 259.45,
    "t": 1_582_641_000,
}


def test_a_quote_is_stamped_by_the_vendor() -> None:
    """The documented example gives last, previous close and the vendor's time."""
    (event,) = parse_quote(json.dumps(QUOTE).encode(), symbol="AAPL", simulated=False).events

    assert (event["last"], event["previous_close"], event["event_time"]) == (
        261.74,
        259.45,
        1_582_641_000_000_000,
    )
    assert event["bid"] is None
    spelt = json.dumps(QUOTE).replace("1582641000", "1.582641e9").encode()
    assert parse_quote(spelt, symbol="AAPL", simulated=False).events == [event]


@pytest.mark.parametrize("nothing", [0, None])
def test_the_all_zero_quote_is_no_data(nothing: int | None) -> None:
    """An unknown symbol answers 200 with zeros, and must never become a price."""
    zeros = {"c": 0, "d": nothing, "dp": nothing, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}

    with pytest.raises(NoData):
        parse_quote(json.dumps(zeros).encode(), symbol="NOPE", simulated=False)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]", b" {} ", b"null",
        b'{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":12.5,"t":1740063000}',
        b'{"c":null,"pc":null,"t":null}', b'{"c":5,"pc":4,"t":0}',
    ],
)  # fmt: skip
def test_nothing_is_no_data_however_it_is_spelt(payload: bytes) -> None:
    """Finnhub-API issue 179 has the empty list, of a symbol it does not carry; a price needs a stamp."""
    with pytest.raises(NoData):
        parse_quote(payload, symbol="CBA.AX", simulated=False)


def test_a_negative_quote_is_rejected_with_its_bytes() -> None:
    """A price nobody can have paid is a dead letter, not an event."""
    payload = json.dumps(QUOTE | {"c": -1}).encode()

    answer = parse_quote(payload, symbol="AAPL", simulated=False)

    assert not answer.events
    assert answer.rejected[0].payload == payload
