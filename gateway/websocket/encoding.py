"""The making of every WebSocket message: members declared with type, unit and words, and one encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

import orjson

from gateway.http.columns import Column
from gateway.http.parameters import Schema


def member(schema: Schema, words: str, *, unit: str = "", name: str = "", always: bool = True) -> Any:
    """Return the field of a message; `name` is the member's where Python has no such word."""
    declared = Column(name, schema, words, unit, always)
    return field(default=MISSING if always else None, metadata={Column: declared})


def columns_of(message: type[Message]) -> tuple[tuple[str, Column], ...]:
    """Return (attribute, member) of a message, in the order they are sent."""
    found = ((each.name, each.metadata[Column]) for each in fields(message))
    return tuple(
        (name, Column(column.name or name, column.schema, column.words, column.unit, column.always))
        for name, column in found
    )


_NAMES: dict[type[Message], tuple[tuple[str, str], ...]] = {}


def names_of(message: type[Message]) -> tuple[tuple[str, str], ...]:
    """Return (attribute, name on the wire) of each member."""
    if message not in _NAMES:
        _NAMES[message] = tuple((attribute, column.name) for attribute, column in columns_of(message))
    return _NAMES[message]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message; `t` is its kind."""

    t: ClassVar[str]

    def encode(self) -> bytes:
        """Return the bytes of it."""
        members = ((name, getattr(self, attribute)) for attribute, name in names_of(type(self)))
        return orjson.dumps({"t": self.t, **{name: value for name, value in members if value is not None}})


def frame(messages: Iterable[bytes]) -> bytes:
    """Return the frame that carries encoded messages."""
    return b"[" + b",".join(messages) + b"]"


def wire(payload: bytes) -> bytes:
    """Return one unmasked text frame of RFC 6455 around `payload`: the same bytes for every client it goes to."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
