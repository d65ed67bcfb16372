"""Answers to WebSocket commands: a frozen dataclass each, with one encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.http.columns import FLAG, TEXT, WHOLE, by_name, rows, words_of
from gateway.http.parameters import Schema
from gateway.websocket.codes import ERRORS
from gateway.websocket.encoding import Message, member

ID: Schema = {"type": ["string", "integer"]}
_REQUEST = "id of the command it answers."
_SUB = "Number of the subscription."
_TOTAL = "Subscriptions of the connection now."


@dataclass(frozen=True, kw_only=True)
class Pong(Message):
    """The answer to ping."""

    t = "pong"
    id: str | int | None = member(ID, _REQUEST, always=False)
    ts: float | None = member({"type": "number"}, "ts of the command.", always=False)


@dataclass(frozen=True, kw_only=True)
class AuthOk(Message):
    """The token was good."""

    t = "auth_ok"
    id: str | int | None = member(ID, _REQUEST, always=False)
    subject: str = member(TEXT, "Whose key it is.")


@dataclass(frozen=True, kw_only=True)
class Subscribed(Message):
    """One result per item of a subscribe command, in order; one bad item spoils no other."""

    t = "subscribed"
    id: str | int | None = member(ID, _REQUEST, always=False)
    results: Sequence[Mapping[str, Any]] = member(
        rows({"type": "object"}), "ok true with sub, epoch and offset; ok false with error."
    )
    total: int = member(WHOLE, _TOTAL)


@dataclass(frozen=True, kw_only=True)
class Unsubscribed(Message):
    """The answer to unsubscribe."""

    t = "unsubscribed"
    id: str | int | None = member(ID, _REQUEST, always=False)
    subs: Sequence[int] = member(rows(WHOLE), "Subscriptions that ended.")
    total: int = member(WHOLE, _TOTAL)


@dataclass(frozen=True, kw_only=True)
class Updated(Message):
    """The answer to update."""

    t = "updated"
    id: str | int | None = member(ID, _REQUEST, always=False)
    sub: int = member(WHOLE, _SUB)
    effective: Mapping[str, str] = member(by_name(TEXT), "How it is served now.")


@dataclass(frozen=True, kw_only=True)
class Subscriptions(Message):
    """The answer to list."""

    t = "subscriptions"
    id: str | int | None = member(ID, _REQUEST, always=False)
    items: Sequence[Mapping[str, Any]] = member(
        rows({"type": "object"}), "stream, sub, epoch, offset and effective of each."
    )


@dataclass(frozen=True, kw_only=True)
class Error(Message):
    """A command, or the connection as a whole, has a fault."""

    t = "error"
    id: str | int | None = member(ID, _REQUEST, always=False)
    code: int = member(
        {"type": "integer", "enum": [each.number for each in ERRORS.values()]}, "Number of the error."
    )
    slug: str = member(words_of(tuple(ERRORS)), "The same as a word.")
    message: str = member(TEXT, "What is wrong, and what would be right.")
    temporary: bool = member(FLAG, "Whether the same command may succeed later.")
    retry_after_ms: int | None = member(WHOLE, "When.", unit="ms", always=False)


def error(slug: str, text: str, *, request: Any = None, retry_after_ms: int | None = None) -> Error:
    """Return the error of ERRORS that answers one command, or the connection as a whole."""
    return Error(id=request, **_error(slug, text), retry_after_ms=retry_after_ms)


def refused(stream: str, slug: str, text: str, **members: Any) -> dict[str, Any]:
    """Return the result of one subscription that was refused; the others stand."""
    return {"stream": stream, "ok": False, "error": _error(slug, text), **members}


def _error(slug: str, text: str) -> dict[str, Any]:
    declared = ERRORS[slug]
    return {"code": declared.number, "slug": slug, "message": text, "temporary": declared.temporary}
