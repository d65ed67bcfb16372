"""The one table of error codes and the one of close codes of the WebSocket. Both are published: they never change.

A client acts on numbers and words; sentences beside them are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One error: its number, whether the same command may succeed later, what brings it about, and what to do."""

    number: int
    cause: str
    remedy: str
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class CloseCode:
    """One way a connection ends: whether to come back, what brings it about, and what to do."""

    cause: str
    remedy: str
    reconnect: bool = True


ERRORS: Mapping[str, ErrorCode] = {
    "bad_message": ErrorCode(100, "The frame or command is not one.", "Send what `message` shows."),
    "unauthenticated": ErrorCode(101, "A command came before `auth`.", "Send `auth` with a token first."),
    "unknown_channel": ErrorCode(110, "There is no such channel.", "Use one of those `message` lists."),
    "unknown_symbol": ErrorCode(
        111,
        "The symbol is neither configured nor stored here.",
        "Correct it, or add it to the configuration.",
    ),
    "symbol_limit": ErrorCode(
        113, "The connection has as many streams as it may.", "Open another connection."
    ),
    "already_subscribed": ErrorCode(
        114, "The connection has the stream already.", "Use `update`, or `unsubscribe` first."
    ),
    "ambiguous_symbol": ErrorCode(115, "The symbol names several instruments.", "Use one of `candidates`."),
    "unknown_subscription": ErrorCode(
        116, "`sub` is no subscription of this connection.", "Ask for them with `list`."
    ),
    "too_many_items": ErrorCode(
        117, "The command names more streams than one may.", "Send several; `welcome` says how many."
    ),
    "unknown_provider": ErrorCode(
        118, "The stream names a provider nobody knows.", "Use `best`, or one of those `message` lists."
    ),
    "not_collected": ErrorCode(
        119,
        "Nobody collects the stream, so nothing would ever come.",
        "Use one of those `message` lists, or configure it.",
    ),
    "rate_limited": ErrorCode(
        130,
        "Commands cost more than may be spent so fast; this one was not carried out.",
        "Repeat the command of this `id` after `retry_after_ms`.",
        temporary=True,
    ),
    "overloaded": ErrorCode(
        131, "It cannot be told now whether the symbol exists.", "Ask again.", temporary=True
    ),
}

CLOSE_INTERNAL = 1011
CLOSE_RESTART = 1012
CLOSE_SLOW = 4008
CLOSE_LOST_POSITION = 4010
CLOSE_OVERLOAD = 4013
CLOSE_RATE = 4029
CLOSE_UNAUTHORISED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_UNSUPPORTED = 4404
CLOSE_CONNECTIONS = 4406
CLOSE_TOO_LARGE = 4413

CLOSES: Mapping[int, CloseCode] = {
    CLOSE_INTERNAL: CloseCode("A fault of ours.", "Reconnect, resume, and report it."),
    CLOSE_RESTART: CloseCode("The server restarts.", "Reconnect after `retry_after_ms` and resume."),
    CLOSE_SLOW: CloseCode(
        "The client did not read, or left answers unread.", "Read faster, or subscribe to less."
    ),
    CLOSE_LOST_POSITION: CloseCode("The log was replaced: offsets mean nothing now.", "Subscribe anew."),
    CLOSE_OVERLOAD: CloseCode(
        "The server is not warm yet, or has too many connections.", "Reconnect after `retry_after_ms`."
    ),
    CLOSE_RATE: CloseCode("Commands kept coming too fast.", "Send fewer a second."),
    CLOSE_UNAUTHORISED: CloseCode(
        "No valid token came in time, or its key was taken back.",
        "Use a key that is known here.",
        reconnect=False,
    ),
    CLOSE_FORBIDDEN: CloseCode(
        "The key lacks the scope `stream`, or the Origin may not ask.", "Use another key.", reconnect=False
    ),
    CLOSE_UNSUPPORTED: CloseCode(
        "The subprotocols offered do not include ours.",
        "Offer the one `reason` names, or none.",
        reconnect=False,
    ),
    CLOSE_CONNECTIONS: CloseCode(
        "The key has as many connections as it may.", "Close one, or use another key.", reconnect=False
    ),
    CLOSE_TOO_LARGE: CloseCode("A command was too large.", "Send several smaller ones.", reconnect=False),
}
