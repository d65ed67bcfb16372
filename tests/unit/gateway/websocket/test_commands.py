"""What clients may ask for, and how each thing they get wrong is answered."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.live.streams import parse_stream
from gateway.websocket.commands import Authenticate, ListAll, Reply, Unsubscribe, Update, interpret
from gateway.websocket.items import MAX_ITEMS, RejectedItem, Wanted

SPY, GOOG = parse_stream("quotes:best:SPY"), parse_stream("trades:best:GOOG")
HELD = {1: SPY, 2: GOOG}


def ask(command: Any, *, authorised: bool = True) -> Any:
    """Return what a command of a client with two subscriptions asks for."""
    return interpret(command, HELD, authorised=authorised)


def test_one_bad_item_spoils_no_other() -> None:
    """Results keep the order of the items."""
    items = [
        {"stream": "quotes:best:SPY"},
        7,
        {"stream": "nothing:best:SPY"},
        {"channel": "trades", "symbols": ["A", "B"]},
        {},
    ]
    event = ask({"t": "subscribe", "id": "x", "items": items})
    kinds = [type(item) for item in event.items]
    assert kinds == [Wanted, RejectedItem, RejectedItem, Wanted, Wanted, RejectedItem]
    assert event.items[2].result["error"]["slug"] == "unknown_channel"
    assert str(event.items[4].stream) == "trades:best:B"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ({"t": "unsubscribe", "all": True}, Unsubscribe(None, (1, 2))),
        ({"t": "unsubscribe", "subs": [2, 9, "x", 2]}, Unsubscribe(None, (2,))),
        ({"t": "unsubscribe", "streams": ["quotes:best:SPY"]}, Unsubscribe(None, (1,))),
        ({"t": "update", "id": 4, "sub": 1, "conflate": {"mode": "none"}}, Update(4, 1, conflate=False)),
        ({"t": "list", "id": "l"}, ListAll("l")),
        ({"t": "auth", "token": "secret"}, Authenticate(None, "secret")),
    ],
)
def test_commands_are_understood(command: Any, expected: Any) -> None:
    """One command, one request."""
    assert ask(command) == expected


@pytest.mark.parametrize(
    ("command", "slug"),
    [
        ([], "bad_message"),
        ({}, "bad_message"),
        ({"t": "hello"}, "bad_message"),
        ({"t": ["subscribe"]}, "bad_message"),
        ({"t": "ping", "id": {}}, "bad_message"),
        ({"t": "ping", "id": "x" * 65}, "bad_message"),
        ({"t": "subscribe"}, "bad_message"),
        ({"t": "subscribe", "items": []}, "bad_message"),
        ({"t": "subscribe", "items": [{"stream": "a"}] * (MAX_ITEMS + 1)}, "too_many_items"),
        (
            {"t": "subscribe", "items": [{"channel": "quotes", "symbols": ["A"] * (MAX_ITEMS + 1)}]},
            "too_many_items",
        ),
        ({"t": "unsubscribe"}, "bad_message"),
        ({"t": "unsubscribe", "subs": 1}, "bad_message"),
        ({"t": "update", "sub": 9}, "unknown_subscription"),
        ({"t": "update", "sub": 2, "conflate": {"mode": "latest"}}, "bad_message"),
        ({"t": "auth", "token": 5}, "bad_message"),
        ({"t": "auth", "token": "x" * 513}, "bad_message"),
    ],
)
def test_what_is_wrong_is_answered_with_a_typed_error(command: Any, slug: str) -> None:
    """The code is stable, and the message says what would be right."""
    event = ask(command)
    assert isinstance(event, Reply)
    parsed = orjson.loads(event.message)
    assert (parsed["t"], parsed["slug"]) == ("error", slug)


def test_nothing_is_heard_before_authorisation_but_auth_and_ping() -> None:
    """Everything else is answered with `unauthenticated`."""
    refused = ask({"t": "list", "id": 1}, authorised=False)
    assert orjson.loads(refused.message)["slug"] == "unauthenticated"
    assert isinstance(ask({"t": "auth", "token": "t"}, authorised=False), Authenticate)
    assert orjson.loads(ask({"t": "ping", "id": 3, "ts": 9}, authorised=False).message) == {
        "t": "pong",
        "id": 3,
        "ts": 9,
    }


def test_unknown_fields_are_ignored() -> None:
    """A newer client still talks to an older server."""
    item = {"stream": "quotes:best:SPY", "fields": ["bid"], "nonsense": {"a": [1]}}
    event = ask({"t": "subscribe", "items": [item], "fashion": 1})
    assert [type(entry) for entry in event.items] == [Wanted]
