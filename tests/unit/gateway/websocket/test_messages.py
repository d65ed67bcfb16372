"""The bytes of messages."""

from __future__ import annotations

import orjson
import pytest

from gateway.websocket import messages
from gateway.websocket.conflation import Chosen
from tests.support.live_feeds import an_entry


def test_a_frame_is_an_array_of_messages() -> None:
    """Any number of messages parses as one JSON array."""
    parts = [messages.message("hb", now=1, subs=[]), messages.error("bad_message", "no", request="a")]
    first, second = orjson.loads(messages.frame(parts))
    assert (first["t"], second["slug"], second["code"], second["id"]) == ("hb", "bad_message", 100, "a")


@pytest.mark.parametrize("conflated", [0, 3])
def test_data_carries_its_link_and_its_records(conflated: int) -> None:
    """Records are the shared bytes; `conf` is there only where something gave way."""
    chosen = Chosen(entries=(an_entry(7), an_entry(9)), previous=5, conflated=conflated, span_us=12)
    parsed = orjson.loads(messages.data(4, chosen))
    assert (parsed["t"], parsed["sub"], parsed["prev"], parsed["m"]) == ("d", 4, 5, [[7, {}], [9, {}]])
    assert parsed.get("conf") == ({"n": 3, "span": 12} if conflated else None)


def test_an_empty_snapshot_says_so() -> None:
    """No data yet is not data lost: the list is there, and empty."""
    parsed = orjson.loads(messages.snapshot(1, "e", 10, 4, "subscribe", []))
    assert (parsed["data"], parsed["offset"], parsed["floor_offset"], parsed["last"]) == ([], 10, 4, True)


def test_disconnect_says_whether_to_come_back_and_from_where() -> None:
    """A reconnect code carries resume tokens; a terminal one says not to come back."""
    slow = orjson.loads(messages.disconnect(4008, "slow", retry_after_ms=1, resume=[("s", "e", 3)]))
    assert (slow["reconnect"], slow["resume"]) == (True, [["s", "e", 3]])
    assert orjson.loads(messages.disconnect(4401, "who"))["reconnect"] is False


@pytest.mark.parametrize(
    ("state", "kind"), [("open", "gap"), ("filling", "gap"), ("filled", "gap_fill"), ("empty", "gap_fill")]
)
def test_a_gap_that_ended_is_a_gap_fill(state: str, kind: str) -> None:
    """A client learns of the hole and of its end in its data stream."""
    fields = {
        "state": state, "gap_id": "g", "stream": "bars.1m:yahoo:SPY", "from_time": 1, "to_time": 2, "expected": 0,
        "cause": "missing_bars", "confidence": "inferred", "generation": 0,
    }  # fmt: skip
    parsed = orjson.loads(messages.gap(2, fields))
    assert (parsed["t"], parsed["from"], parsed["to"], parsed["status"]) == (kind, 1, 2, state)


@pytest.mark.parametrize(
    ("changed", "code", "data"),
    [
        pytest.param("failover", "failover", "ok", id="failover"),
        pytest.param("exhausted", "provider_down", "suspect", id="nobody-left"),
        pytest.param("restored", "provider_up", "ok", id="somebody-again"),
    ],
)
def test_a_change_of_provider_is_one_state_message_for_all_streams_it_concerns(
    changed: str, code: str, data: str
) -> None:
    """Ten thousand streams on one connection get one message, with the reason in words."""
    fields = {
        "changed": changed, "capability": "quotes", "provider": "finnhub", "previous": "", "reason": "why",
        "observed_time": 7,
    }  # fmt: skip

    assert orjson.loads(messages.route([1, 2], fields)) == {
        "t": "state", "subs": [1, 2], "stream": "open", "data": data, "code": code, "capability": "quotes",
        "provider": "finnhub", "reason": "why", "since": 7,
    }  # fmt: skip
