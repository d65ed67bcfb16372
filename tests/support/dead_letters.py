"""Dead events by letters as services write them, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.dead_events.judging import Judged, judged, unpacked
from schemas.clocks import KnowledgeTime, RawOffset, WallTime
from schemas.dead_events import DeadEvent, LetterPlace, dead_event
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import DeadLetter
from schemas.topics import dead as dead_topic
from schemas.wire.codec import encode
from stream_processors.refusals import dead_event as refused_event
from tests.support.builders import NINE_THIRTY

PARTITIONS = 8
NOW = WallTime(NINE_THIRTY + 3 * DAY_US)
DIED = WallTime(NINE_THIRTY + MINUTE_US)


def letter(topic: str, payload: bytes, number: int = 1, **changes: Any) -> DeadEvent:
    """Return an event by the letter of a processor, of one event unless it says otherwise."""
    said: dict[str, Any] = {
        "stage": "processor", "reason": "invalid", "message": "told so", "topic": topic, "partition": 0, "offset": 7, "index": 0,
        "known_from": KnowledgeTime(DIED), "provider": "yahoo", "symbol": "SPY", "payload": payload,
    }  # fmt: skip
    value = encode(dead_topic(topic), DeadLetter(**(said | changes)))
    place = LetterPlace(topic=topic, topic_id="t", partition=3, offset=number)
    return replace(dead_event(place, value, DIED), dead_id=number)


def of_event(topic: str, event: dict[str, Any], number: int = 1, **changes: Any) -> DeadEvent:
    """Return what a processor makes of an event that it refuses."""
    refused = refused_event(
        InvalidRecord("told so"), event, topic=topic, partition=0, offset=RawOffset(7), index=2, known_from=KnowledgeTime(DIED),
        provider="yahoo",
    )  # fmt: skip
    return letter(topic, refused.payload, number, **({"symbol": refused.symbol} | changes))


def judge(*events: DeadEvent, stored: dict[Any, Any] | None = None) -> list[Judged]:
    """Return the verdicts on events, all of whose bytes are kept."""
    before: dict[Any, Any] = {}
    found = [unpacked(event, event.letter.payload, PARTITIONS, NOW) for event in events]
    return [judged(each, stored or {}, before) for each in found]
