"""The AsyncAPI 3 document of the WebSocket, from the declarations of commands and messages alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.http.columns import Column, record
from gateway.http.parameters import Schema
from gateway.websocket import answers, messages
from gateway.websocket.codes import CLOSES, ERRORS
from gateway.websocket.commands import COMMANDS
from gateway.websocket.encoding import Message, columns_of
from gateway.websocket.items import MAX_ID_CHARS

ASYNCAPI = "3.0.0"
ABOUT = (
    "A frame from the server is a JSON array of messages, one to the server a single command; `t` says which one it is. "
    "Times are integer microseconds since the Unix epoch."
)
MESSAGES: tuple[type[Message], ...] = (
    messages.Welcome, answers.AuthOk, answers.Subscribed, answers.Unsubscribed, answers.Updated, answers.Subscriptions,
    answers.Pong, answers.Error, messages.LatestValues, messages.Data, messages.GreeksOfSlices, messages.Recovered, messages.GapNotice, messages.GapFill,
    messages.State, messages.Slow, messages.Heartbeat, messages.Disconnect,
)  # fmt: skip
ID = Column(
    "id",
    {"type": ["string", "integer"], "maxLength": MAX_ID_CHARS},
    "Comes back with the answer.",
    always=False,
)
ADDRESSES = {
    "multiplexed": ("/ws", "Any streams, subscribed by commands."),
    "symbol": ("/ws/{symbol}", "Begins with quotes, trades, 1-minute bars and gaps of the symbol."),
    "options": (
        "/ws/options/{symbol}",
        "Begins with the option chain of the symbol: the newest slice of each root and expiry.",
    ),
}


def schema_of(message: type[Message]) -> Schema:
    """Return the JSON schema of a message."""
    return record(_kind(message.t), *(column for _, column in columns_of(message)))


def command_schema(name: str) -> Schema:
    """Return the JSON schema of a command; members nobody knows are ignored."""
    return record(_kind(name), ID, *COMMANDS[name].members) | {"additionalProperties": True}


def asyncapi(version: str) -> dict[str, Any]:
    """Return the document; `version` is the service's."""
    sent = {
        message.t: _message(message.t, (message.__doc__ or "").strip(), schema_of(message))
        for message in MESSAGES
    }
    heard = {
        f"{name}_command": _message(name, command.words, command_schema(name))
        for name, command in COMMANDS.items()
    }
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "Market Data Service", "version": version, "description": f"{ABOUT}\n\n{_codes()}"},
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "description": words,
                "messages": {each: _reference("components", "messages", each) for each in (*heard, *sent)},
                **(
                    {"parameters": {"symbol": {"description": "The symbol, percent-encoded."}}}
                    if "{" in address
                    else {}
                ),
            }
            for name, (address, words) in ADDRESSES.items()
        },
        "operations": {
            f"{action}_{name}": {
                "action": action,
                "channel": _reference("channels", name),
                "messages": [_reference("channels", name, "messages", each) for each in wanted],
            }
            for name in ADDRESSES
            for action, wanted in (("receive", heard), ("send", sent))
        },
        "components": {"messages": {**heard, **sent}},
    }


def _kind(name: str) -> Column:
    return Column("t", {"type": "string", "const": name}, "Which one it is.")


def _message(name: str, words: str, schema: Schema) -> Mapping[str, Any]:
    return {"name": name, "summary": words.partition("\n")[0], "payload": schema}


def _reference(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _codes() -> str:
    errors = [f"- {code.number} `{slug}`: {code.cause} {code.remedy}" for slug, code in ERRORS.items()]
    closes = [f"- {number}: {code.cause} {code.remedy}" for number, code in CLOSES.items()]
    return "\n".join(["Errors:", *errors, "", "Close codes:", *closes])
