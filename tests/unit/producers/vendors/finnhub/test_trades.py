"""Finnhub's socket frames become trades, in the vendor's order."""

from __future__ import annotations

import json

import pytest

from producers.vendors.finnhub.trades import parse_frame
from producers.vendors.trade_rows import frame_hash
from schemas.errors import MalformedPayload
from schemas.intervals import SECOND_US
from tests.support.vendor_payloads import NINE_THIRTY_S, a_frame

ASKED = {"SPY": "SPY", "IBM": "IBM", "SIM001": "SIM001", "BINANCE:BTCUSDT": "BTC-USDT"}
START = NINE_THIRTY_S * SECOND_US
TRADE = {"c": ["1", "12"], "p": 167.4, "s": "SPY", "t": NINE_THIRTY_S * 1000 + 7, "v": 100}


def test_a_frame_keeps_the_vendor_order_and_equal_trades() -> None:
    """Equal trades in one frame are two trades; every one carries the frame's ordinal and hash."""
    payload = a_frame(TRADE, TRADE, TRADE | {"s": "IBM", "c": None, "v": 0.5})

    events = parse_frame(payload, sequence=41, asked=ASKED, simulated=()).answer.events

    assert [event["symbol"] for event in events] == ["SPY", "SPY", "IBM"]
    assert events[0] == events[1]
    assert {event["frame_sequence"] for event in events} == {41}
    assert {event["frame_hash"] for event in events} == {frame_hash(payload)}
    assert events[0] | {"conditions": "1,12", "price": 167.4, "size": 100.0} == events[0]
    assert events[0]["event_time"] == START + 7_000
    assert events[2]["conditions"] == ""


def test_the_hash_tells_frames_apart_and_repeats_together() -> None:
    """Equal bytes have equal 64-bit hashes, other bytes another."""
    first, second = a_frame(TRADE), a_frame(TRADE | {"v": 101})

    assert frame_hash(first) == frame_hash(bytes(first)) != frame_hash(second)
    assert -(2**63) <= frame_hash(first) < 2**63


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(TRADE | {"p": -1}, id="negative-price"),
        pytest.param(TRADE | {"p": 0}, id="no-price"),
        pytest.param(TRADE | {"p": "167"}, id="price-is-text"),
        pytest.param(TRADE | {"v": True}, id="size-is-a-truth"),
        pytest.param(TRADE | {"p": True}, id="price-is-a-truth"),
        pytest.param(TRADE | {"t": 1.5}, id="stamp-is-a-fraction"),
        pytest.param(TRADE | {"t": 10**19}, id="stamp-in-another-unit"),
        pytest.param(TRADE | {"s": ""}, id="no-symbol"),
        pytest.param(TRADE | {"s": "A\u0000"}, id="symbol-with-a-nul"),
        pytest.param(TRADE | {"c": "1"}, id="codes-are-no-list"),
        pytest.param(TRADE | {"c": [1]}, id="codes-are-numbers"),
        pytest.param({"p": 1}, id="fields-missing"),
        pytest.param(None, id="null"),
        pytest.param([1], id="a-list"),
    ],
)
def test_one_bad_trade_costs_one_trade(broken: object) -> None:
    """A trade that cannot be used is rejected with its row; the rest of the frame is kept."""
    answer = parse_frame(a_frame(TRADE, broken, TRADE), sequence=1, asked=ASKED, simulated=()).answer

    assert len(answer.events) == 2
    assert json.loads(answer.rejected[0].payload) == broken


def test_an_update_of_the_price_is_no_trade() -> None:
    """A size of 0 says so of shares; of a pair nobody counts sizes. Stamps are whole however they are spelt."""
    asked = ASKED | {"OANDA:EUR_USD": "EURUSD=X"}
    pair = TRADE | {"s": "OANDA:EUR_USD", "p": 1.1, "v": 0, "t": float(TRADE["t"])}

    answer = parse_frame(a_frame(TRADE | {"v": 0}, pair), sequence=1, asked=asked, simulated=()).answer

    assert [(event["symbol"], event["size"]) for event in answer.events] == [("EURUSD=X", 0.0)]
    assert (answer.events[0]["event_time"], list(answer.rejected)) == (START + 7_000, [])


def test_pings_and_complaints_are_no_trades() -> None:
    """A heartbeat says nothing, an error frame says why."""
    assert parse_frame(b'{"type":"ping"}', sequence=1, asked=ASKED, simulated=()).kind == "ping"
    assert (
        parse_frame(b'{"type":"error","msg":"Invalid symbol"}', sequence=1, asked=ASKED, simulated=()).words
        == "Invalid symbol"
    )


def test_a_trade_is_stored_under_our_symbol() -> None:
    """BINANCE:BTCUSDT is the vendor's name of BTC-USDT, and what nobody subscribed is not taken in."""
    answer = parse_frame(
        a_frame(TRADE | {"s": "BINANCE:BTCUSDT"}, TRADE | {"s": "QQQ"}), sequence=1, asked=ASKED, simulated=()
    ).answer

    assert [event["symbol"] for event in answer.events] == ["BTC-USDT"]
    assert answer.rejected[0].symbol == "QQQ"
    assert "was not subscribed" in answer.rejected[0].message


def test_simulated_symbols_are_marked() -> None:
    """The vendor's frames cannot say that a market is simulated, so the plan does."""
    events = parse_frame(
        a_frame(TRADE, TRADE | {"s": "SIM001"}), sequence=1, asked=ASKED, simulated={"SIM001"}
    ).answer.events

    assert [event["simulated"] for event in events] == [False, True]


@pytest.mark.parametrize("payload", [b"", b"\x00", b"[]", b"{}", b'{"type":"trade"}', b'{"type":"trade","data":{}}', b'{"type":3}'])  # fmt: skip
def test_a_malformed_frame_says_so(payload: bytes) -> None:
    """A frame that cannot be used as a whole is malformed."""
    with pytest.raises(MalformedPayload, match="finnhub frame"):
        parse_frame(payload, sequence=1, asked=ASKED, simulated=())
