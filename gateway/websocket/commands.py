"""Commands of a WebSocket client, parsed: a JSON object in, a typed request or a typed refusal out.

Nothing here raises on what a client sends, and fields it does not know are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from gateway.http.columns import ANYTHING, FLAG, TEXT, WHOLE, Column, record, rows, words_of
from gateway.live.streams import InvalidStream, LiveStream
from gateway.websocket import answers
from gateway.websocket.items import (
    MAX_ID_CHARS,
    MAX_ITEMS,
    RejectedItem,
    Wanted,
    parse_conflate,
    parse_item,
    streams_in,
)

MAX_TOKEN_CHARS = 512

Streams = Mapping[int, LiveStream]
"""What the client is subscribed to, by subscription number."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this message."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check the token, then call `authorised` or close with 4401."""

    request: Any
    token: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Begin these streams and answer with one result per item, in order."""

    request: Any
    items: tuple[Wanted | RejectedItem, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Stop these subscriptions and answer."""

    request: Any
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """Change how one subscription is served, without a seam, and answer."""

    request: Any
    number: int
    conflate: bool


@dataclass(frozen=True, slots=True)
class ListAll:
    """Answer with the full set of subscriptions."""

    request: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Send `disconnect` and close with this code."""

    code: int
    reason: str


Event = Reply | Authenticate | Subscribe | Unsubscribe | Update | ListAll | Close


def interpret(command: Any, streams: Streams, *, authorised: bool) -> Event:
    """Return what one decoded command asks for; before authorisation only `auth` and `ping` are heard."""
    if not isinstance(command, dict):
        return bad(None, "a command is a JSON object with a `t`")
    request, kind = command.get("id"), command.get("t")
    if not _is_id(request):
        return bad(None, f"id is a string of at most {MAX_ID_CHARS} characters or an integer")
    if not authorised and kind not in ("auth", "ping"):
        return _error(request, "unauthenticated", 'send {"t":"auth","token":"…"} first')
    known = COMMANDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return bad(request, f"t is one of {' '.join(COMMANDS)}")
    return known.read(request, command, streams)


def bad(request: Any, text: str) -> Reply:
    """Return the answer to a command that is not one."""
    return _error(request, "bad_message", text)


def id_of(command: Any) -> str | int | None:
    """Return the id to answer a decoded command with, None where it has none that could be."""
    given = command.get("id") if isinstance(command, dict) else None
    return given if _is_id(given) else None


def _error(request: Any, slug: str, text: str) -> Reply:
    return Reply(answers.error(slug, text, request=request).encode())


def _ping(request: Any, command: Mapping[str, Any], _: Streams) -> Event:
    stamp = command.get("ts")
    ts = stamp if isinstance(stamp, (int, float)) else None
    return Reply(answers.Pong(id=request, ts=ts).encode())


def _auth(request: Any, command: Mapping[str, Any], _: Streams) -> Event:
    token = command.get("token")
    if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARS:
        return bad(request, f"token is a string of at most {MAX_TOKEN_CHARS} characters")
    return Authenticate(request, token)


def _subscribe(request: Any, command: Mapping[str, Any], _: Streams) -> Event:
    items = command.get("items")
    if not isinstance(items, list) or not items:
        return bad(request, 'items is a list such as [{"stream": "quotes:best:AAPL"}]')
    asked = streams_in(command)
    if asked > MAX_ITEMS:
        text = f"{asked} streams in one command; at most {MAX_ITEMS}, send several"
        return _error(request, "too_many_items", text)
    return Subscribe(request, tuple(entry for item in items for entry in parse_item(item)))


def _unsubscribe(request: Any, command: Mapping[str, Any], streams: Streams) -> Event:
    if command.get("all") is True:
        return Unsubscribe(request, tuple(streams))
    subs, names = command.get("subs", []), command.get("streams", [])
    if not isinstance(subs, list) or not isinstance(names, list) or not (subs or names):
        return bad(request, "name what to end: subs (numbers), streams (names) or all: true")
    asked = {str(name) for name in names}
    numbers = [sub for sub in subs if isinstance(sub, int) and sub in streams]
    numbers += [number for number, stream in streams.items() if str(stream) in asked]
    return Unsubscribe(request, tuple(dict.fromkeys(numbers)))


def _update(request: Any, command: Mapping[str, Any], streams: Streams) -> Event:
    number = command.get("sub")
    if not isinstance(number, int) or number not in streams:
        return _error(request, "unknown_subscription", "sub is no subscription of yours")
    try:
        conflate = parse_conflate(command.get("conflate"), streams[number])
    except InvalidStream as problem:
        return _error(request, problem.slug, str(problem))
    return Update(request, number, conflate)


def _list(request: Any, _: Mapping[str, Any], __: Streams) -> Event:
    return ListAll(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: what it does, the members it takes beside `t` and `id`, and its parser."""

    words: str
    members: tuple[Column, ...]
    read: Callable[[Any, Mapping[str, Any], Streams], Event]


_SUB = Column("sub", WHOLE, "Number of the subscription.")
_CONFLATE = Column(
    "conflate",
    record(Column("mode", words_of(("latest", "none")), "Send only the newest of what waits, or all of it.")),
    "Whether records may give way to newer ones; only quotes may, and slices of option chains to newer ones of their root and expiry.",
    always=False,
)
_ITEM = record(
    Column("stream", TEXT, "channel:provider:symbol, such as quotes:best:AAPL.", always=False),
    Column("channel", TEXT, "Instead of stream, with symbols.", always=False),
    Column("symbols", rows(TEXT), "Symbols of the channel.", always=False),
    Column("provider", TEXT, "Of the channel; best without it.", always=False),
    Column(
        "from", ANYTHING, "snapshot, live, {epoch, offset} or {start: µs}; snapshot without it.", always=False
    ),
    _CONFLATE,
    Column(
        "greeks",
        FLAG,
        "Whether volatilities and greeks follow the slices of an option chain; true without it.",
        always=False,
    ),
)
COMMANDS: Mapping[str, Command] = {
    "ping": Command(
        words="Ask for a pong.",
        members=(Column("ts", {"type": "number"}, "Comes back with it.", always=False),),
        read=_ping,
    ),
    "auth": Command(
        words="Say who you are, where the header Authorization could not.",
        members=(Column("token", TEXT | {"maxLength": MAX_TOKEN_CHARS}, "The key."),),
        read=_auth,
    ),
    "subscribe": Command(
        words="Begin streams; each item is answered for itself.",
        members=(Column("items", rows(_ITEM) | {"maxItems": MAX_ITEMS}, "What is wanted."),),
        read=_subscribe,
    ),
    "unsubscribe": Command(
        words="End streams.",
        members=(
            Column("subs", rows(WHOLE), "By number.", always=False),
            Column("streams", rows(TEXT), "By name.", always=False),
            Column("all", FLAG, "Every one.", always=False),
        ),
        read=_unsubscribe,
    ),
    "update": Command(
        words="Change how a subscription is served, without a seam.", members=(_SUB, _CONFLATE), read=_update
    ),
    "list": Command(words="Ask for all subscriptions.", members=(), read=_list),
}


def _is_id(value: Any) -> TypeGuard[str | int | None]:
    if isinstance(value, str):
        return len(value) <= MAX_ID_CHARS
    return value is None or isinstance(value, int)
