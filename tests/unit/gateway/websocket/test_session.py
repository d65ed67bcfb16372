"""The session: whatever a client sends, it is answered or sent away, and never breaks the server."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.streams import parse_stream
from gateway.websocket.codes import CLOSE_RATE, CLOSE_TOO_LARGE
from gateway.websocket.commands import Close, Event, Reply, Subscribe
from gateway.websocket.items import MAX_ITEMS
from gateway.websocket.limits import COMMANDS_BURST, KEY_STREAMS, Caller, CostBucket
from gateway.websocket.session import MAX_COMMAND_BYTES, MAX_REFUSALS, READ_BYTES, Session

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
COMMAND = st.fixed_dictionaries(
    {"t": st.sampled_from(["subscribe", "unsubscribe", "update", "list", "auth", "ping", "fly"])},
    optional=dict.fromkeys(("id", "items", "subs", "streams", "all", "sub", "conflate", "token", "ts"), JSON),
)
ITEMS = st.fixed_dictionaries(
    {"t": st.just("subscribe")},
    optional={
        "items": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "stream": JSON | st.sampled_from(["quotes:best:SPY", "bars.1m:yahoo:^GSPC"]),
                    "channel": JSON,
                    "symbols": JSON | st.lists(JSON, max_size=3),
                    "from": JSON,
                    "conflate": JSON,
                },
            ),
            max_size=3,
        )
    },
)


def a_caller(key_id: str = "alice", *, burst: float = 1_000.0) -> Caller:
    """Return the caller of a key with one connection."""
    return Caller(key_id, CostBucket(1.0, burst, 0.0), connections=1)


def a_session(**changes: Any) -> Session:
    """Return an authorised session with one subscription."""
    session = Session(**{"caller": a_caller(), "now_s": 0.0, **changes})
    session.open(parse_stream("quotes:best:SPY"))
    return session


@given(st.binary(max_size=200) | JSON.map(lambda value: repr(value).encode()), st.booleans())
def test_any_bytes_are_answered(data: bytes, authorised: bool) -> None:
    """Only protocol events come out, never an exception."""
    session = Session(caller=a_caller() if authorised else None, now_s=0.0)
    assert isinstance(session.receive(data, 0.0), Event)


@given(COMMAND | ITEMS | JSON)
def test_any_json_is_answered(command: Any) -> None:
    """Known commands with hostile fields included; replies are JSON."""
    try:
        data = orjson.dumps(command)
    except TypeError:  # integers beyond 64 bits
        data = str(command).encode()
    event = a_session().receive(data, 0.0)
    assert isinstance(event, Event)
    if isinstance(event, Reply):
        assert orjson.loads(event.message)["t"] in ("error", "pong")


def test_commands_beyond_the_rate_are_refused_and_then_cost_the_connection() -> None:
    """A burst is fine; a flood is answered, then closed with 4029; patience restores the right to ask."""
    session = a_session()
    answers = [session.receive(b'{"t":"ping"}', 0.0) for _ in range(COMMANDS_BURST)]
    assert all(b'"pong"' in answer.message for answer in answers if isinstance(answer, Reply))
    refused = session.receive(b'{"t":"ping","id":"mine"}', 0.0)
    assert isinstance(refused, Reply)
    error = orjson.loads(refused.message)
    assert (error["id"], error["slug"], error["retry_after_ms"]) == ("mine", "rate_limited", 100)
    again = session.receive(b'{"t":"ping"}', 1.0)
    assert isinstance(again, Reply)
    assert b'"pong"' in again.message
    flood = [session.receive(b"{}", 1.0) for _ in range(MAX_REFUSALS + COMMANDS_BURST)]
    assert isinstance(flood[-1], Close)
    assert flood[-1].code == CLOSE_RATE


def test_a_stream_is_subscribed_once_and_only_so_many_are() -> None:
    """The refusal names the subscription that is there, or the limit."""
    session = a_session(max_streams=2)
    held = session.problem(parse_stream("quotes:best:SPY"))
    assert held is not None
    assert (held["error"]["slug"], held["sub"]) == ("already_subscribed", 1)
    assert session.problem(parse_stream("trades:best:SPY")) is None
    assert session.open(parse_stream("trades:best:SPY")) == 2
    full = session.problem(parse_stream("gaps:best:SPY"))
    assert full is not None
    assert full["error"]["slug"] == "symbol_limit"


def test_a_number_is_never_used_twice() -> None:
    """A late message of an ended subscription cannot be taken for another's."""
    session = a_session()
    session.close(1)
    assert session.problem(parse_stream("quotes:best:SPY")) is None
    assert session.open(parse_stream("quotes:best:SPY")) == 2


def test_a_subscribe_command_reaches_the_service_parsed() -> None:
    """The id comes back with the answer."""
    event = a_session().receive(b'{"t":"subscribe","id":9,"items":[{"stream":"gaps:best:SPY"}]}', 0.0)
    assert isinstance(event, Subscribe)
    assert event.request == 9


def subscribing(count: int, *, request: str = "s") -> bytes:
    """Return a command that names `count` streams by channel and symbols."""
    items = [{"channel": "quotes", "symbols": [f"A{n}" for n in range(count)]}]
    return orjson.dumps({"t": "subscribe", "id": request, "items": items})


def test_more_streams_than_a_command_may_name_are_refused_unread() -> None:
    """Ten thousand cost no more than one command, and the refusal has its own code and the id."""
    session = a_session()
    refusals = [session.receive(subscribing(10_000), 0.0) for _ in range(10)]

    for refusal in refusals:
        assert isinstance(refusal, Reply)
        error = orjson.loads(refusal.message)
        assert (error["code"], error["id"], str(MAX_ITEMS) in error["message"]) == (117, "s", True)


def test_a_command_costs_by_the_streams_it_names() -> None:
    """Four commands of 500 streams are a burst, the fifth waits for what it costs; a ping is cheap."""
    session = a_session()
    served = [session.receive(subscribing(MAX_ITEMS), 0.0) for _ in range(5)]

    assert [type(event) for event in served] == [Subscribe] * 4 + [Reply]
    refusal = served[-1]
    assert isinstance(refusal, Reply)
    assert orjson.loads(refusal.message)["retry_after_ms"] == 500
    ping = session.receive(b'{"t":"ping"}', 0.0)
    assert isinstance(ping, Reply)
    assert b'"pong"' in ping.message


def test_connections_of_a_key_share_what_it_may_ask_for() -> None:
    """A second connection buys nothing; the machine's own user without a key is bounded by connection alone."""
    caller = a_caller(burst=3.0)
    first, second = a_session(caller=caller), a_session(caller=caller)
    said = [session.receive(b'{"t":"ping"}', 0.0) for session in (first, second, first, second)]

    assert [b"rate_limited" in event.message for event in said if isinstance(event, Reply)] == [
        False,
        False,
        False,
        True,
    ]
    local = a_session(caller=a_caller("", burst=0.0))
    assert b'"pong"' in getattr(local.receive(b'{"t":"ping"}', 0.0), "message", b"")


def test_streams_of_a_key_are_counted_over_its_connections() -> None:
    """The limit is the key's; what is closed counts no more."""
    caller = a_caller()
    caller.streams = KEY_STREAMS - 1
    session = a_session(caller=caller)
    full = session.problem(parse_stream("trades:best:SPY"))
    assert full is not None
    assert full["error"]["slug"] == "symbol_limit"
    session.close(1)
    assert session.problem(parse_stream("trades:best:SPY")) is None


def test_a_command_that_is_too_large_is_answered_or_ends_the_connection() -> None:
    """A longer one is answered with its id, as far as it is read; one that is not read ends the connection."""
    session = a_session()
    longer = orjson.dumps({"t": "ping", "id": 7, "pad": "x" * MAX_COMMAND_BYTES})
    answer = session.receive(longer, 0.0)
    assert isinstance(answer, Reply)
    error = orjson.loads(answer.message)
    assert (error["slug"], error["id"], str(MAX_COMMAND_BYTES) in error["message"]) == (
        "bad_message",
        7,
        True,
    )
    event = session.receive(b"x" * (READ_BYTES + 1), 0.0)
    assert isinstance(event, Close)
    assert event.code == CLOSE_TOO_LARGE
