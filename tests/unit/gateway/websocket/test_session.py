"""The session: whatever a client sends, it is answered or sent away, and never breaks the server."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.streams import parse_stream
from gateway.websocket.codes import CLOSE_RATE
from gateway.websocket.commands import Close, Event, Reply, Subscribe
from gateway.websocket.session import COMMANDS_BURST, MAX_REFUSALS, Session

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


def a_session(**changes: Any) -> Session:
    """Return an authorised session with one subscription."""
    session = Session(authorised=True, now_s=0.0, **changes)
    session.open(parse_stream("quotes:best:SPY"))
    return session


@given(st.binary(max_size=200) | JSON.map(lambda value: repr(value).encode()), st.booleans())
def test_any_bytes_are_answered(data: bytes, authorised: bool) -> None:
    """Only protocol events come out, never an exception."""
    assert isinstance(Session(authorised=authorised, now_s=0.0).receive(data, 0.0), Event)


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
    refused = session.receive(b'{"t":"ping"}', 0.0)
    assert isinstance(refused, Reply)
    assert orjson.loads(refused.message)["retry_after_ms"] > 0
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
    del session.streams[1]
    assert session.open(parse_stream("quotes:best:SPY")) == 2


def test_a_subscribe_command_reaches_the_service_parsed() -> None:
    """The id comes back with the answer."""
    event = a_session().receive(b'{"t":"subscribe","id":9,"items":[{"stream":"gaps:best:SPY"}]}', 0.0)
    assert isinstance(event, Subscribe)
    assert event.request == 9
