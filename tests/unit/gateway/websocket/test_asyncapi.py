"""The AsyncAPI document: whole, consistent, and what is really sent and heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from gateway.live.streams import parse_stream
from gateway.websocket import answers, messages
from gateway.websocket.asyncapi import MESSAGES, asyncapi, command_schema, schema_of
from gateway.websocket.commands import COMMANDS, Reply, interpret
from gateway.websocket.encoding import Message

DOCUMENT = asyncapi("1.2.3")
COMMAND_EXAMPLES: dict[str, dict[str, Any]] = {
    "ping": {"ts": 7},
    "auth": {"token": "t"},
    "subscribe": {
        "items": [{"stream": "quotes:best:SPY", "from": {"start": 5}, "conflate": {"mode": "none"}}]
    },
    "unsubscribe": {"subs": [1]},
    "update": {"sub": 1, "conflate": {"mode": "none"}},
    "list": {},
}
GAP = {
    "gap_id": "g", "stream": "bars.1m:yahoo:SPY", "from_time": 1, "to_time": 2, "expected": 0, "cause": "missing_bars",
    "confidence": "inferred", "generation": 0,
}  # fmt: skip
ROUTE = {"capability": "quotes", "provider": "b_b", "previous": "a_a", "reason": "why", "observed_time": 7}
SENT: list[Message] = [
    answers.Pong(id=3),
    answers.AuthOk(id="a", subject=""),
    answers.Subscribed(results=[answers.refused("x", "bad_message", "no")], total=0),
    answers.Unsubscribed(id=1, subs=[4], total=0),
    answers.Updated(id=1, sub=2, effective={"conflate": "none"}),
    answers.Subscriptions(id=1, items=[{}]),
    answers.error("rate_limited", "slow down", retry_after_ms=100),
    messages.GreeksOfSlices(sub=1, m=[]),
    messages.Data(sub=1, prev=0, m=[b"[1,{}]"]),
    messages.Data(sub=1, prev=0, conf=(1, 2), m=[b"[1,{}]"]),
    messages.LatestValues(sub=1, epoch="e", offset=1, floor_offset=0, reason="subscribe", last=True, data=[]),
    messages.Recovered(sub=1, ok=True, after=3, to=9, count=2, source="memory"),
    messages.gap(1, GAP | {"state": "open"}),
    messages.gap(1, GAP | {"state": "filled", "expected": 3}),
    *(messages.route([1], ROUTE | {"changed": changed}) for changed in messages.ROUTE_CODES),
    messages.log_state(reachable=True, since=1),
    messages.Slow(sub=1, queued=3, limit=4, pct=75, action="warn"),
    messages.Heartbeat(now=1, subs=[[2, 3]]),
    messages.disconnect(4008, "slow", resume=[("s", "e", 3)]),
    messages.Welcome(
        version=1,
        protocol="p",
        now=1,
        time_unit="us",
        auth_required=False,
        heartbeat={"every_ms": 1},
        limits={"streams": 1, "commands_per_s": 10.0},
        features=("resume",),
    ),
]


def references(part: Any) -> Iterator[str]:
    """Yield every $ref below a part of the document."""
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    """Channels to messages, operations to both."""
    found = list(references(DOCUMENT))
    assert len(found) > len(MESSAGES) + len(COMMANDS)
    for reference in found:
        part = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
            part = (
                DOCUMENT["components"]["messages"][step]
                if "$ref" in part and step in DOCUMENT["components"]["messages"]
                else part
            )


@pytest.mark.parametrize("message", SENT, ids=lambda message: message.t)
def test_what_is_sent_is_as_declared(message: Message) -> None:
    """Every kind of message, by its schema in the document."""
    Draft202012Validator(DOCUMENT["components"]["messages"][message.t]["payload"]).validate(
        orjson.loads(message.encode())
    )


def test_every_kind_of_message_is_declared_and_shown_here() -> None:
    """So a new one cannot be forgotten."""
    assert {message.t for message in SENT} == {message.t for message in MESSAGES}
    declared = {
        each for module in (answers, messages) for each in vars(module).values() if isinstance(each, type)
    }
    assert {each for each in declared if issubclass(each, Message)} - {Message} == set(MESSAGES)
    assert all(schema_of(message)["properties"]["t"]["const"] == message.t for message in MESSAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_as_declared_is_understood(name: str) -> None:
    """None of them is answered with an error."""
    command = {"t": name, "id": 1, **COMMAND_EXAMPLES[name]}
    Draft202012Validator(command_schema(name)).validate(command)
    event = interpret(command, {1: parse_stream("quotes:best:SPY")}, authorised=True)
    assert not isinstance(event, Reply) or orjson.loads(event.message)["t"] == "pong"
