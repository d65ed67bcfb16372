"""Dead events: dead letters as they are grouped by what they died of, and what may be done about each.

A cause is topic, stage, reason and fault; a fault is the message without what differs from event to event: numbers, quoted
values, the symbol. States go forward: open → replaying → replayed | unknown, or back to open where the log does not hold
what was to be published; and open | unknown → discarded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, get_args

from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import MalformedPayload
from schemas.records import DeadLetter
from schemas.topics import JOBS, catalogue, dead
from schemas.wire.codec import decode

DeadState = Literal["open", "replaying", "replayed", "unknown", "discarded"]
DEAD_STATES: tuple[DeadState, ...] = get_args(DeadState)
UNFINISHED: tuple[DeadState, ...] = ("open", "replaying", "unknown")  # counted by dlq_depth
DEAD_STATE_WORDS: dict[str, str] = {
    "open": "nothing was done about it yet",
    "replaying": "it is being published again, or whoever did so ended: the next replay asks the log what became of it",
    "replayed": "it was published again, once",
    "unknown": "whether it was published again cannot be told any more: the log of that time is gone",
    "discarded": "somebody put it away",
}
STAGES = ("producer", "processor", "sink", "unreadable")
UNREADABLE = "unreadable"
KEPT_PAYLOAD_BYTES = 4_096  # beside the state; the rest is read from the topic while that keeps it
MAX_MESSAGE_CHARS = 1_000
MAX_WORD_CHARS = 160  # of a symbol, a provider, a reason
CAUSE_BYTES = 6
MOST_INT = 2**31 - 1
LATEST_US = 253_402_300_799_999_999  # the end of the year 9999

_VARYING = re.compile(
    r"'[^']*'|\"[^\"]*\"|(?<![A-Za-z])[-+]?\d[\d_,]*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPlace:
    """The place of a dead letter: `topic` is the one it died in, `topic_id` that of the topic of dead letters."""

    topic: str
    topic_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEvent:
    """A dead letter and what became of it; `letter` holds its first bytes, `payload_bytes` says how many there are.

    `actor` ended it, `note` says how.
    """

    place: LetterPlace
    dead_time: WallTime
    letter: DeadLetter
    payload_bytes: int
    cause: str
    fault: str
    dead_id: int = 0
    state: DeadState = "open"
    ended_time: WallTime | None = None
    actor: str = ""
    note: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether `letter` holds all of its bytes."""
        return self.payload_bytes == len(self.letter.payload)


def dead_event(place: LetterPlace, value: bytes | None, dead_time: WallTime) -> DeadEvent:
    """Return the event of a record of a topic of dead letters, its texts cut to what a database keeps of them."""
    letter = letter_of(place.topic, value, dead_time)
    message = _text(letter.message, MAX_MESSAGE_CHARS)
    symbol, reason = _text(letter.symbol, MAX_WORD_CHARS), _text(letter.reason, MAX_WORD_CHARS)
    fault = fault_of(message, symbol)
    kept = DeadLetter(
        stage=_text(letter.stage, MAX_WORD_CHARS),
        reason=reason,
        message=message,
        topic=place.topic,
        partition=_within(letter.partition, MOST_INT),
        offset=letter.offset,
        index=_within(letter.index, MOST_INT),
        known_from=KnowledgeTime(_within(letter.known_from, LATEST_US)),
        provider=_text(letter.provider, MAX_WORD_CHARS),
        symbol=symbol,
        payload=letter.payload[:KEPT_PAYLOAD_BYTES],
    )
    return DeadEvent(
        place=place,
        dead_time=dead_time,
        letter=kept,
        payload_bytes=len(letter.payload),
        cause=cause_of(place.topic, kept.stage, reason, fault),
        fault=fault,
    )


def letter_of(topic: str, value: bytes | None, dead_time: WallTime) -> DeadLetter:
    """Return the letter of a record of the topic of dead letters of `topic`; what is none is one of the stage `unreadable`."""
    try:
        return decode(dead(topic), value, DeadLetter)
    except MalformedPayload as error:
        return DeadLetter(
            stage=UNREADABLE,
            reason=error.reason,
            message=str(error),
            topic=topic,
            known_from=KnowledgeTime(dead_time),
            payload=value or b"",
        )


def fault_of(message: str, symbol: str) -> str:
    """Return a message without numbers, quoted values and the symbol."""
    if symbol:
        message = re.sub(rf"(?<![A-Za-z0-9]){re.escape(symbol)}(?![A-Za-z0-9])", "SYMBOL", message)
    return _VARYING.sub("…", message)


def cause_of(topic: str, stage: str, reason: str, fault: str) -> str:
    """Return the id of a cause: equal causes have equal ones in every process."""
    said = "\0".join((topic, stage, reason, fault)).encode()
    return blake2b(said, digest_size=CAUSE_BYTES).hexdigest()


def may_replay(topic: str, stage: str) -> bool:
    """Whether an event that died there can come in again as a new raw record, its bytes permitting."""
    return stage == "processor" and catalogue().topics[topic].canonical is not None


def remedy_of(topic: str, stage: str) -> str:
    """Return what to do about events that died in a topic at a stage."""
    if may_replay(topic, stage):
        return (
            "where the rule or the symbol's partition is right by now, see what would come out (replay, which is a dry run unless "
            "told otherwise) and replay; where the vendor was wrong, discard"
        )
    if topic == JOBS:
        return "correct the job as the message says and publish it anew under another job_id, then discard this one"
    if stage == "producer":
        return (
            "the bytes are the vendor's, and neither endpoint nor request is kept with them: once its parser takes them, have bars "
            "of that time fetched again (POST /ops/backfill) and discard these; quotes and trades come with the next answer"
        )
    if stage == "sink":
        return (
            f"{topic} holds the record, only the database lacks it: published again it would be there twice; mend what the message "
            "names and rebuild the database from the topics (mds rebuild), then discard"
        )
    return "these bytes are no dead letter of ours: find who writes to the topic, then discard"


def _within(number: int, most: int) -> int:
    """Return a number of a letter anybody may have written as a column holds it."""
    return min(max(number, -1), most)


def _text(text: str, most: int) -> str:
    """Return a text as PostgreSQL takes it."""
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")
