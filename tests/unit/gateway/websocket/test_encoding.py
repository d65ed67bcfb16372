"""What every message is."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from gateway.http.columns import TEXT, WHOLE
from gateway.websocket.asyncapi import MESSAGES
from gateway.websocket.encoding import Message, columns_of, frame, member, names_of, wire


@dataclass(frozen=True, kw_only=True)
class Toy(Message):
    """A message with a member Python has no word for."""

    t = "toy"
    begin: int = member(WHOLE, "Begin.", name="from")
    why: str | None = member(TEXT, "Why.", always=False)


def test_members_are_sent_in_order_under_their_names() -> None:
    """None is left out, nothing else."""
    assert Toy(begin=0).encode() == b'{"t":"toy","from":0}'
    assert Toy(begin=1, why="").encode() == b'{"t":"toy","from":1,"why":""}'
    assert names_of(Toy) == (("begin", "from"), ("why", "why"))


def test_a_frame_joins_what_is_encoded() -> None:
    """As one JSON array."""
    assert frame([b"{}", b"{}"]) == b"[{},{}]"
    assert frame([]) == b"[]"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.t)
def test_every_member_of_every_message_is_declared(message: type[Message]) -> None:
    """With words, and a default only where it may be absent."""
    declared = dict(columns_of(message))
    assert set(declared) == {each.name for each in fields(message)}
    assert all(column.words.endswith(".") for column in declared.values())


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_a_frame_on_the_wire_is_what_rfc_6455_says(size: int, head: str) -> None:
    """Final, text, unmasked (section 5.2), its length in as few bytes as there are."""
    assert wire(b"x" * size) == bytes.fromhex(head) + b"x" * size
