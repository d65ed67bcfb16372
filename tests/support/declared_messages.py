"""What a WebSocket server sends, held against what its messages declare."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from gateway.websocket.asyncapi import MESSAGES, schema_of


@lru_cache(maxsize=1)
def validators() -> dict[str, Draft202012Validator]:
    """Return the validator of each kind of message."""
    return {message.t: Draft202012Validator(schema_of(message)) for message in MESSAGES}


def messages_of(frame: bytes | str) -> list[dict[str, Any]]:
    """Return the messages of a frame; each is one that is declared."""
    messages: list[dict[str, Any]] = orjson.loads(frame)
    for message in messages:
        errors = [
            f"{error.json_path}: {error.message}" for error in validators()[message["t"]].iter_errors(message)
        ]
        assert not errors, f"{message}: {errors[:3]}"
    return messages
