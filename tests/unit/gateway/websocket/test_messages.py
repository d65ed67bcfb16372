"""The bytes of messages."""

from __future__ import annotations

import orjson
import pytest

from gateway.websocket import answers, messages
from gateway.websocket.conflation import Chosen
from gateway.websocket.encoding import frame
from tests.support.live_feeds import an_entry


def test_a_frame_is_an_array_of_messages() -> None:
    """Any number of messages parses as one JSON array."""
    parts = [messages.Heartbeat(now=1, subs=[]), answers.error("bad_message", "no", request="a")]
    first, second = orjson.loads(frame(part.encode() for part in parts))
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
    parsed = orjson.loads(
        messages.LatestValues(
            sub=1, epoch="e", offset=10, floor_offset=4, reason="subscribe", last=True, data=[]
        ).encode()
    )
    assert (parsed["data"], parsed["offset"], parsed["floor_offset"], parsed["last"]) == ([], 10, 4, True)


def test_disconnect_says_whether_to_come_back_and_from_where() -> None:
    """A reconnect code carries resume tokens; a terminal one says not to come back."""
    slow = orjson.loads(messages.disconnect(4008, "slow", retry_after_ms=1, resume=[("s", "e", 3)]).encode())
    assert (slow["reconnect"], slow["resume"]) == (True, [["s", "e", 3]])
    assert orjson.loads(messages.disconnect(4401, "who").encode())["reconnect"] is False


@pytest.mark.parametrize(
    ("state", "kind"), [("open", "gap"), ("filling", "gap"), ("filled", "gap_fill"), ("empty", "gap_fill")]
)
def test_a_gap_that_ended_is_a_gap_fill(state: str, kind: str) -> None:
    """A client learns of the hole and of its end in its data stream."""
    fields = {
        "state": state, "gap_id": "g", "stream": "bars.1m:yahoo:SPY", "from_time": 1, "to_time": 2, "expected": 0,
        "cause": "missing_bars", "confidence": "inferred", "generation": 0,
    }  # fmt: skip
    parsed = orjson.loads(messages.gap(2, fields).encode())
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

    assert orjson.loads(messages.route([1, 2], fields).encode()) == {
        "t": "state", "subs": [1, 2], "stream": "open", "data": data, "code": code, "capability": "quotes",
        "provider": "finnhub", "reason": "why", "since": 7,
    }  # fmt: skip


CHOSEN = Chosen(entries=(an_entry(7), an_entry(9)), previous=5, conflated=2, span_us=12)
PUBLISHED: list[tuple[bytes, bytes]] = [
    (messages.data(4, CHOSEN), b'{"t":"d","sub":4,"prev":5,"conf":{"n":2,"span":12},"m":[[7,{}],[9,{}]]}'),
    (
        messages.LatestValues(
            sub=1, epoch="e", offset=10, floor_offset=4, reason="subscribe", last=True, data=[b"[7,{}]"]
        ).encode(),
        b'{"t":"snapshot","sub":1,"epoch":"e","offset":10,"floor_offset":4,"reason":"subscribe","last":true,"data":[[7,{}]]}',
    ),
    (
        messages.Recovered(sub=1, ok=True, after=3, to=9, count=2, source="kafka").encode(),
        b'{"t":"recovered","sub":1,"ok":true,"from":3,"to":9,"count":2,"source":"kafka"}',
    ),
    (
        messages.Recovered(sub=1, ok=False, reason="expired", floor_offset=4).encode(),
        b'{"t":"recovered","sub":1,"ok":false,"reason":"expired","floor_offset":4}',
    ),
    (
        messages.log_state(reachable=False, since=7).encode(),
        b'{"t":"state","stream":"recovering","data":"suspect","code":"log_unreachable","since":7}',
    ),
    (
        messages.Slow(sub=1, queued=3, limit=4, pct=75, action="warn").encode(),
        b'{"t":"slow","sub":1,"queued":3,"limit":4,"pct":75,"action":"warn"}',
    ),
    (
        messages.Heartbeat(now=1, subs=[[2, 3, 9], [4, 3, None]]).encode(),
        b'{"t":"hb","now":1,"subs":[[2,3,9],[4,3,null]]}',
    ),
    (
        messages.disconnect(1012, "restarting", retry_after_ms=9, resume=[("s", "e", 3)]).encode(),
        b'{"t":"disconnect","code":1012,"reason":"restarting","reconnect":true,"retry_after_ms":9,"resume":[["s","e",3]]}',
    ),
]


@pytest.mark.parametrize(("sent", "published"), PUBLISHED)
def test_bytes_on_the_wire_stay_as_published(sent: bytes, published: bytes) -> None:
    """Members, their names and their order."""
    assert sent == published


def test_data_is_encoded_as_its_declaration_has_it() -> None:
    """Made or not, a message of records has one encoder."""
    made = messages.Data(sub=4, prev=5, conf=(2, 12), m=[b"[7,{}]", b"[9,{}]"])
    assert made.encode() == messages.data(4, CHOSEN)
