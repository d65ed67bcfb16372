"""Alpaca's option snapshots: contracts by name, of a feed without underlying and open interest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producers.vendors.alpaca.options import parse_chain
from producers.vendors.answers import Answer
from schemas.errors import MalformedPayload
from schemas.intervals import SECOND_US
from tests.support.chains import CALL, PUT, QUOTED, an_alpaca_snapshot, events_of, strikes_of


def parse(snapshots: object, delay_s: int = 0) -> Answer:
    """Return what is made of a page."""
    payload = json.dumps({"snapshots": snapshots, "next_page_token": None}).encode()
    return events_of(parse_chain(payload, symbol="AAPL", delay_s=delay_s))


def test_a_snapshot_says_what_it_says() -> None:
    """Field by field; nanoseconds are cut off, the delay is the feed's."""
    (event,) = parse({CALL: an_alpaca_snapshot()}, delay_s=900).events
    (leg,) = event["legs"]

    assert {name: value for name, value in leg.items() if value is not None} == {
        "strike": 645.0, "right": "C", "bid": 9.0, "ask": 9.2, "bid_size": 5.0, "ask_size": 7.0, "quote_time": QUOTED,
        "last": 9.1, "last_size": 2.0, "last_time": QUOTED - 60 * SECOND_US, "volume": 12.0, "multiplier": 100.0,
        "vendor_iv": 0.21, "vendor_delta": 0.5, "vendor_gamma": 0.01, "vendor_theta": -0.2, "vendor_vega": 0.6,
        "vendor_rho": 0.1,
    }  # fmt: skip
    assert (event["delay_s"], event["underlying_price"], event["event_time"]) == (900, None, QUOTED)


def test_a_time_that_was_never_set_is_none() -> None:
    """As Go spells it; and so are parts that are null or absent."""
    quiet = {"latestQuote": None, "latestTrade": {"t": "0001-01-01T00:00:00Z", "p": 0, "s": 0}, "greeks": {}}
    answer = parse({CALL: an_alpaca_snapshot(), PUT: quiet})
    put = answer.events[0]["legs"][1]

    assert {name: value for name, value in put.items() if value is not None} == {
        "strike": 645.0, "right": "P", "multiplier": 100.0,
    }  # fmt: skip
    assert not answer.rejected


@pytest.mark.parametrize(
    ("name", "snapshot", "why"),
    [
        (PUT, None, "no object"),
        (PUT, [], "no object"),
        (PUT, {"latestQuote": []}, "latestQuote is []"),
        (PUT, an_alpaca_snapshot(latestQuote={"t": 7}), "latestQuote.t is 7"),
        (PUT, an_alpaca_snapshot(latestTrade={"t": "yesterday"}), "latestTrade.t is 'yesterday'"),
        (PUT, an_alpaca_snapshot(latestQuote={"bp": -1}), "bid is -1"),
        ("AAPL", an_alpaca_snapshot(), "length is wrong"),
        ("AAPL140530P00645000", an_alpaca_snapshot(), "expired before 2014-06-06"),
    ],
)
def test_a_contract_that_cannot_be_is_rejected_alone(name: str, snapshot: Any, why: str) -> None:
    """With its name, which stands outside of it."""
    answer = parse({CALL: an_alpaca_snapshot(), name: snapshot})

    assert [strikes_of(event) for event in answer.events] == [[(645.0, "C")]]
    assert [(why in refused.message, name.encode() in refused.payload) for refused in answer.rejected] == [
        (True, True)
    ]


def test_a_page_without_snapshots_is_malformed_and_an_empty_one_is_none() -> None:
    """Null is how it says that there are none, too."""
    for nothing in ({}, None):
        assert parse(nothing) == Answer(events=[], rejected=[])
    for payload in (b"{}", b'{"snapshots": []}', b'{"snapshots": {"A'):
        with pytest.raises(MalformedPayload, match="alpaca options"):
            parse_chain(payload, symbol="AAPL")


def test_a_page_leads_to_the_next_by_its_token() -> None:
    """Empty on the last."""
    tokens = [
        parse_chain(json.dumps({"snapshots": {}, "next_page_token": token}).encode(), symbol="AAPL").following
        for token in ("more", None, "")
    ]

    assert tokens == ["more", "", ""]
