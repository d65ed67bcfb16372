"""Every message the WebSocket server sends, as the bytes it sends, and the codes clients act on.

A frame is a JSON array of messages; `t` says which one. Codes are published: numbers and words never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from gateway.websocket.conflation import Chosen

SUBPROTOCOL = "mds.v1.json"
HEARTBEAT_EVERY_MS = 5_000
SILENCE_TIMEOUT_MS = 12_500  # a client that heard nothing for so long should reconnect

ERROR_CODES: Mapping[str, int] = {
    "bad_message": 100,
    "unauthenticated": 101,
    "auth_failed": 102,
    "unknown_channel": 110,
    "unknown_symbol": 111,
    "not_entitled": 112,
    "symbol_limit": 113,
    "already_subscribed": 114,
    "ambiguous_symbol": 115,
    "unknown_subscription": 116,
    "start_out_of_range": 121,
    "rate_limited": 130,
    "overloaded": 131,
    "internal": 150,
}
TEMPORARY_ERRORS = frozenset({"rate_limited", "overloaded", "internal"})

CLOSE_NORMAL = 1000
CLOSE_RESTART = 1012
CLOSE_SLOW = 4008
CLOSE_LOST_POSITION = 4010
CLOSE_OVERLOAD = 4013
CLOSE_RATE = 4029
CLOSE_UNAUTHORISED = 4401
CLOSE_FORBIDDEN = 4403
RECONNECT_CODES = frozenset({CLOSE_RESTART, CLOSE_SLOW, CLOSE_LOST_POSITION, CLOSE_OVERLOAD, CLOSE_RATE})

ROUTE_CODES: Mapping[str, str] = {
    "initial": "provider_chosen",  # a producer began
    "failover": "failover",
    "failback": "failback",
    "exhausted": "provider_down",  # nobody is usable: the stream stays open, its values are suspect
    "restored": "provider_up",
}
GAP_CLOSING_STATES = frozenset({"filled", "empty", "unrecoverable"})


def message(kind: str, **fields: Any) -> bytes:
    """Return one message; fields that are None are left out."""
    return orjson.dumps({"t": kind, **{name: value for name, value in fields.items() if value is not None}})


def frame(messages: Iterable[bytes]) -> bytes:
    """Return the frame that carries `messages`."""
    return b"[" + b",".join(messages) + b"]"


def data(sub: int, chosen: Chosen) -> bytes:
    """Return a data message: `prev` is the offset a client must have covered to have missed nothing."""
    conflated = b""
    if chosen.conflated:
        conflated = b',"conf":{"n":%d,"span":%d}' % (chosen.conflated, chosen.span_us)
    records = b",".join([entry.body for entry in chosen.entries])
    return b'{"t":"d","sub":%d,"prev":%d%b,"m":[%b]}' % (sub, chosen.previous, conflated, records)


def snapshot(sub: int, epoch: str, offset: int, floor: int, reason: str, records: Sequence[bytes]) -> bytes:
    """Return the latest values of a stream, valid at `offset`; an empty one says nothing came after `floor`."""
    head = message(
        "snapshot", sub=sub, epoch=epoch, offset=offset, floor_offset=floor, reason=reason, last=True
    )
    return head[:-1] + b',"data":[' + b",".join(records) + b"]}"


def error(slug: str, text: str, *, request: Any = None, retry_after_ms: int | None = None) -> bytes:
    """Return an error that answers one command, or the connection as a whole."""
    return message("error", id=request, **_problem(slug, text), retry_after_ms=retry_after_ms)


def refused(stream: str, slug: str, text: str, **fields: Any) -> dict[str, Any]:
    """Return the result of one subscription that was refused; the others stand."""
    return {"stream": stream, "ok": False, "error": _problem(slug, text), **fields}


def disconnect(
    code: int, reason: str, *, retry_after_ms: int | None = None, resume: Sequence[tuple[str, str, int]] = ()
) -> bytes:
    """Return the last message before the close frame: why, whether to come back, and from where to resume."""
    return message(
        "disconnect",
        code=code,
        reason=reason,
        reconnect=code in RECONNECT_CODES,
        retry_after_ms=retry_after_ms,
        resume=[list(position) for position in resume],
    )


def gap(sub: int, fields: Mapping[str, Any]) -> bytes:
    """Return the notice that a stream has a hole, or, as `gap_fill`, what became of it."""
    kind = "gap_fill" if fields["state"] in GAP_CLOSING_STATES else "gap"
    return message(
        kind,
        sub=sub,
        gap_id=fields["gap_id"],
        stream=fields["stream"],
        **{"from": fields["from_time"]},
        to=fields["to_time"],
        expected=fields["expected"] or None,
        cause=fields["cause"],
        confidence=fields["confidence"],
        status=fields["state"],
        generation=fields["generation"],
    )


def route(subs: Sequence[int], fields: Mapping[str, Any]) -> bytes:
    """Return the notice that another provider serves these streams, or that none can and that one can again."""
    return message(
        "state",
        subs=list(subs),
        stream="open",
        data="suspect" if fields["changed"] == "exhausted" else "ok",
        code=ROUTE_CODES[fields["changed"]],
        capability=fields["capability"],
        provider=fields["provider"],
        previous=fields["previous"] or None,
        reason=fields["reason"],
        since=fields["observed_time"],
    )


def _problem(slug: str, text: str) -> dict[str, Any]:
    return {"code": ERROR_CODES[slug], "slug": slug, "message": text, "temporary": slug in TEMPORARY_ERRORS}
