"""Answers to commands, byte by byte."""

from __future__ import annotations

import orjson
import pytest

from gateway.websocket import answers
from gateway.websocket.codes import ERRORS
from gateway.websocket.encoding import Message

PUBLISHED: list[tuple[Message, bytes]] = [
    (answers.Pong(id=3, ts=9), b'{"t":"pong","id":3,"ts":9}'),
    (answers.Pong(), b'{"t":"pong"}'),
    (answers.AuthOk(id="a", subject="alice"), b'{"t":"auth_ok","id":"a","subject":"alice"}'),
    (answers.Subscribed(id=1, results=[], total=2), b'{"t":"subscribed","id":1,"results":[],"total":2}'),
    (answers.Unsubscribed(subs=[4], total=0), b'{"t":"unsubscribed","subs":[4],"total":0}'),
    (
        answers.Updated(id=1, sub=2, effective={"conflate": "none"}),
        b'{"t":"updated","id":1,"sub":2,"effective":{"conflate":"none"}}',
    ),
    (answers.Subscriptions(id=1, items=[]), b'{"t":"subscriptions","id":1,"items":[]}'),
    (
        answers.error("rate_limited", "slow down", retry_after_ms=100),
        b'{"t":"error","code":130,"slug":"rate_limited","message":"slow down","temporary":true,"retry_after_ms":100}',
    ),
]


@pytest.mark.parametrize(("message", "published"), PUBLISHED, ids=lambda value: getattr(value, "t", ""))
def test_bytes_on_the_wire_stay_as_published(message: Message, published: bytes) -> None:
    """Members, their names and their order; what is None is left out."""
    assert message.encode() == published


@pytest.mark.parametrize("slug", ERRORS)
def test_a_refused_item_says_why_as_an_error_does(slug: str) -> None:
    """The same number, word and hope."""
    refusal = answers.refused("quotes:best:SPY", slug, "no", sub=1)
    error = orjson.loads(answers.error(slug, "no").encode())
    assert refusal["error"].items() <= error.items()
    assert (refusal["ok"], refusal["sub"]) == (False, 1)
