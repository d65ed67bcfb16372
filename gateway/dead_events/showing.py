"""Dead events as REST shows them: their bytes as far as they are understood, of what is large the begin."""

from __future__ import annotations

import json
from typing import Any

from gateway.dead_events.judging import Judged, compared, letter_name
from gateway.http.moments import rfc3339
from schemas.dead_events import DEAD_STATE_WORDS, DeadEvent, may_replay, remedy_of
from schemas.errors import PermanentError
from schemas.streams import BY_RAW_TOPIC
from schemas.wire.codec import decode_value

SHOWN_BYTES = 2_048  # of what is shown as text or bytes
MOST_NESTED = 100
MOST_DIGITS = 18  # of a whole number that is written as one


def cause_row(example: DeadEvent, *, count: int, first: int, last: int) -> dict[str, Any]:
    """Return the JSON row of a cause, with the newest of its events; times are µs."""
    letter, topic = example.letter, example.place.topic
    return {
        "cause": example.cause,
        "kind": topic,
        "stage": letter.stage,
        "reason": letter.reason,
        "fault": example.fault,
        "events": count,
        "first_time": rfc3339(first),
        "last_time": rfc3339(last),
        "replayable": may_replay(topic, letter.stage),
        "remedy": remedy_of(topic, letter.stage),
        "example": event_row(example),
    }


def event_row(event: DeadEvent) -> dict[str, Any]:
    """Return the JSON row of an event."""
    letter, topic = event.letter, event.place.topic
    origin = f"{topic}/{letter.partition}/{letter.offset}/{letter.index}" if letter.offset >= 0 else None
    return {
        "event_id": event.dead_id,
        "cause": event.cause,
        "state": event.state,
        "meaning": DEAD_STATE_WORDS[event.state],
        "kind": topic,
        "stage": letter.stage,
        "reason": letter.reason,
        "message": letter.message,
        "provider": letter.provider,
        "symbol": letter.symbol,
        "letter": letter_name(event.place),
        "origin": origin,
        "known_from": rfc3339(letter.known_from),
        "dead_time": rfc3339(event.dead_time),
        "payload": shown_payload(topic, letter.payload, event.payload_bytes),
        "ended_time": None if event.ended_time is None else rfc3339(event.ended_time),
        "actor": event.actor or None,
        "note": event.note or None,
    }


def shown_payload(topic: str, payload: bytes, length: int) -> dict[str, Any]:
    """Return the bytes of an event, of which there may be more, as JSON, as a record of its topic, as text or in hexadecimal."""
    whole = len(payload) == length
    try:
        text = payload.decode("utf-8", "strict" if whole else "ignore")
    except UnicodeDecodeError:
        text = ""
    form: str
    value: Any
    if whole and (given := _record(topic, payload)) is not None:
        form, value = "record", given
    elif whole and (given := _json(text)) is not None:
        form, value = "json", given
    elif text and "\0" not in text:
        form, value = "text", text[:SHOWN_BYTES]
    else:
        form, value = "bytes", payload[:SHOWN_BYTES].hex()
    return {"form": form, "value": value, "bytes": length}


def judged_row(judged: Judged, published: str | None) -> dict[str, Any]:
    """Return the JSON row of what would come out of an event, or did."""
    topic, pieces = judged.event.place.topic, judged.pieces
    stream = BY_RAW_TOPIC[topic] if pieces else None
    first = pieces[0] if pieces else None
    stored = None
    if stream is not None and judged.stored is not None:
        stored = dict(zip(compared(stream), judged.stored, strict=True))
    return {
        "event_id": judged.event.dead_id,
        "cause": judged.event.cause,
        "verdict": judged.verdict,
        "detail": judged.detail,
        "records": len(pieces),
        "topic": None if stream is None else stream.topic,
        "record": None if first is None else {"provider": first.series.provider, **first.event},
        "stored": stored,
        "published": published,
    }


def _record(topic: str, payload: bytes) -> dict[str, Any] | None:
    try:
        value = decode_value(topic, payload)
    except (PermanentError, KeyError):
        return None
    return value if all(type(each) is not bytes for each in value.values()) else None


def _json(text: str) -> Any:
    """Return what a text says as JSON, if it does; what is nested deeply or no Unicode stays text."""
    if not text or text.count("[") + text.count("{") > MOST_NESTED:
        return None
    try:
        value = json.loads(text, parse_int=_whole)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)
