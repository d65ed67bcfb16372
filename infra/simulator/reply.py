"""An answer of a vendor: status, body, headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json;charset=utf-8"
TEXT = "text/plain;charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReply:
    """Status, body and headers of one response."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> SimulatedReply:
    """Return `content` as a JSON reply; floats print as the shortest decimal that reads back the same."""
    return SimulatedReply(body=orjson.dumps(content), status=status, headers=headers or {})
