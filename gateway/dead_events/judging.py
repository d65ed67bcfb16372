"""Verdicts on dead events, what would come out if one came in again: judged by the rules of the pipeline, before anything is published.

An event is decoded by the schema of its raw topic, checked as a processor checks it, and compared with what is stored of its
moment. What is published is a raw record of its own: known from then on, of the route `backfill`, which names its letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from schemas.clocks import KnowledgeTime, WallTime
from schemas.dead_events import DeadEvent, LetterPlace, may_replay, remedy_of
from schemas.deriving import content, event_fields, items, said
from schemas.errors import InvalidRecord, PermanentError
from schemas.intervals import slot_us
from schemas.partitions import partition_of
from schemas.records import Event, RawBlock
from schemas.streams import BY_RAW_TOPIC, STREAMS, Stream, StreamId
from schemas.topics import dead
from schemas.validation import CHECKS, check_provider, check_symbol
from schemas.wire.codec import MAX_RECORD_BYTES, decode_block, encode_value

LETTER_HINT = "dead_letter"
ENDPOINT = "dead-letter"
ROUTE = "backfill"
UNNAMED = "nobody is named as its provider"

Verdict = Literal["kept", "replaces", "repeat", "refused", "not_replayable"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
VERDICT_WORDS: Mapping[str, str] = {
    "kept": "it would be a record",
    "replaces": "it would be a record in place of another one that is stored of this moment: published only with replace=true",
    "repeat": "it says what is stored already: nothing would come out",
    "refused": "it would be refused again",
    "not_replayable": "it cannot come in again",
}
ENTRY_SEPARATOR = "|"  # between the parts of an entry's name
Key = tuple[Any, ...]
Said = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a dead event, possible by now: of which series, and by what it is compared."""

    series: StreamId
    event: Event
    said: Said

    @property
    def key(self) -> Key:
        """The moment of its series, of an occurrence with the vendor's id; an entry's name in place of the moment."""
        if self.entry is not None:
            return (self.series, self.entry)
        return (self.series, self.event["event_time"], self.event.get("trade_id"))

    @property
    def entry(self) -> str | None:
        """The name of the entry in its series as one text; None of a stream without entries."""
        named = items(next(each for each in STREAMS if each.name == self.series.name))
        said = ("" if self.event[name] is None else str(self.event[name]) for name in named)
        return ENTRY_SEPARATOR.join(said) if named else None

    @property
    def has_rival(self) -> bool:
        """Whether another value can stand for it: an occurrence without an id is compared with none."""
        return self.series.name != "trades" or self.event.get("trade_id") is not None


@dataclass(slots=True, kw_only=True)
class Unpacked:
    """The events of a dead event: possible ones, why others are refused again, and why it cannot come in at all."""

    event: DeadEvent
    pieces: list[Piece] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    barred: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on a dead event, in words, with the events that would come out, and what is stored in their place."""

    event: DeadEvent
    verdict: Verdict
    detail: str
    pieces: Sequence[Piece] = ()
    stored: Said | None = None


def unpacked(event: DeadEvent, payload: bytes | None, partitions: int, now: WallTime) -> Unpacked:
    """Return what a dead event holds; `payload` are its bytes, None where its topic keeps them no more."""
    topic, found = event.place.topic, Unpacked(event=event)
    if not may_replay(topic, event.letter.stage):
        found.barred = remedy_of(topic, event.letter.stage)
    elif payload is None:
        found.barred = f"only the first bytes of {event.payload_bytes} are kept: its topic has deleted the letter; discard it"
    elif event.letter.index < 0 and event.letter.reason == InvalidRecord.reason:
        found.barred = "it says beside its events what was not seen, and is no value: have the stretch fetched again (POST /ops/backfill)"
    else:
        try:
            provider, events = _events(event, payload)
        except PermanentError as error:
            found.refused.append(str(error))
        else:
            for each in events:
                try:
                    found.pieces.append(_piece(BY_RAW_TOPIC[topic], provider, each, partitions, now))
                except InvalidRecord as error:
                    found.refused.append(str(error))
    return found


def judged(found: Unpacked, stored: Mapping[Key, Said], earlier: dict[Key, tuple[int, Said]]) -> Judged:
    """Return the verdict on a dead event by what is stored of its moments.

    `earlier` are those that dead events before it would bring, by their ids; its own are added.
    """
    event = found.event
    if found.barred:
        return Judged(event=event, verdict="not_replayable", detail=found.barred)
    fresh, replacing, repeats = list[Piece](), list[Piece](), list[str]()
    rival: Said | None = None
    for piece in found.pieces:
        known, where = _rival(piece, stored, earlier)
        if known == piece.said:
            repeats.append(where)
        elif known is None:
            fresh.append(piece)
        else:
            replacing.append(piece)
            rival = rival or known
    pieces = fresh + replacing
    for piece in pieces:
        if piece.has_rival:
            earlier[piece.key] = event.dead_id, piece.said
    counts = {
        "kept": len(fresh),
        "replaces": len(replacing),
        "repeat": len(repeats),
        "refused": len(found.refused),
    }
    reasons = [*found.refused, *(f"{where} says the same" for where in repeats)]
    verdict: Verdict = next((word for word in VERDICTS if counts.get(word)), "refused")
    if replacing:
        verdict = "replaces"
    detail = _detail(verdict, counts, reasons)
    return Judged(event=event, verdict=verdict, detail=detail, pieces=pieces, stored=rival)


def records_of(verdict: Judged, partitions: int, now: WallTime) -> list[tuple[int, bytes]]:
    """Return (partition, value) of each raw record that brings what came out; raise InvalidRecord where one is too large."""
    by_partition: dict[int, list[Piece]] = {}
    for piece in verdict.pieces:
        by_partition.setdefault(partition_of(piece.series.symbol, partitions), []).append(piece)
    topic, hints = verdict.event.place.topic, {LETTER_HINT: letter_name(verdict.event.place)}
    records = []
    for partition, pieces in sorted(by_partition.items()):
        block = {
            "provider": pieces[0].series.provider,
            "endpoint": ENDPOINT,
            "route": ROUTE,
            "job_id": "",
            "received_time": now,
            "connection_id": "",
            "hints": hints,
            "discontinuities": [],
            "events": [piece.event for piece in pieces],
        }
        value = encode_value(topic, block)
        if len(value) > MAX_RECORD_BYTES:
            raise InvalidRecord(f"{len(value)} bytes are more than a record may have, {MAX_RECORD_BYTES}")
        records.append((partition, value))
    return records


def letter_name(place: LetterPlace) -> str:
    """Return what the hint of a raw record calls the letter it came from."""
    return f"{dead(place.topic)}/{place.partition}/{place.offset}"


def names_letter(topic: str, value: bytes | None) -> str:
    """Return the letter a raw record came from; empty where it came from none."""
    if value is None or LETTER_HINT.encode() not in value:  # nearly all of them: they need not be decoded
        return ""
    try:
        return decode_block(topic, value).hints.get(LETTER_HINT, "")
    except PermanentError:
        return ""


def asked_for(found: Iterable[Unpacked]) -> Iterator[Piece]:
    """Yield the events that are to be looked for in what is stored."""
    return (piece for each in found for piece in each.pieces if piece.has_rival)


def compared(stream: Stream) -> tuple[str, ...]:
    """Return the fields by which a value is told from what is stored of its moment."""
    return content(stream) or said(stream)


def _rival(
    piece: Piece, stored: Mapping[Key, Said], earlier: Mapping[Key, tuple[int, Said]]
) -> tuple[Said | None, str]:
    if not piece.has_rival:
        return None, ""
    if piece.key in earlier:
        dead_id, known = earlier[piece.key]
        return known, f"dead event {dead_id}"
    return stored.get(piece.key), "what is stored"


def _events(event: DeadEvent, payload: bytes) -> tuple[str, Sequence[Event]]:
    """Return the provider and the events; raise MalformedPayload or InvalidRecord."""
    if event.letter.index < 0:
        block = decode_block(event.place.topic, payload)
        return block.provider, block.events
    return event.letter.provider, [_from_json(event.place.topic, payload)]


def _from_json(topic: str, payload: bytes) -> Event:
    """Return the event a processor wrote into a letter, typed as its schema says."""
    try:
        given = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidRecord("its bytes are no JSON object") from error
    fields = {each.name: each for each in event_fields(BY_RAW_TOPIC[topic])}
    if not isinstance(given, dict) or not all(
        name in given for name, each in fields.items() if each.required
    ):
        raise InvalidRecord(f"its bytes are no event of {topic}")
    event = {name: value for name, value in given.items() if name in fields}
    for name, value in event.items():
        if fields[name].kind == "double" and isinstance(value, str):  # JSON has no word for it
            event[name] = _unusual(name, value)
    block = RawBlock(provider="", endpoint="", route="primary", received_time=WallTime(0), events=[event])
    (typed,) = decode_block(topic, encode_value(topic, _fields(block))).events
    return typed


def _fields(block: RawBlock) -> dict[str, Any]:
    return {name: getattr(block, name) for name in RawBlock.__slots__}


def _unusual(name: str, text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise InvalidRecord(f"{name} is a text; a number is right")
    return float(text)


def _piece(stream: Stream, provider: str, event: Event, partitions: int, now: WallTime) -> Piece:
    """Return an event that may be a value; raise InvalidRecord naming what is wrong."""
    symbol, interval = event["symbol"], event["interval"] if stream.by_interval else ""
    if not provider:
        raise InvalidRecord(UNNAMED)
    check_provider(provider)
    check_symbol(symbol, partition_of(symbol, partitions), partitions)
    if stream.by_interval:
        slot_us(interval)
    CHECKS[stream.name](event, KnowledgeTime(now))
    if stream.versions == "slots" and not event["final"]:
        raise InvalidRecord(
            "the bar was still forming, and has ended since: have it fetched again (POST /ops/backfill)"
        )
    series = StreamId(stream.name, interval, provider, symbol)
    return Piece(series, event, tuple(event[name] for name in compared(stream)))


def _detail(verdict: Verdict, counts: Mapping[str, int], reasons: Sequence[str]) -> str:
    text = VERDICT_WORDS[verdict]
    if sum(counts.values()) > 1:
        text += "; of its events " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{text}: {reasons[0]}" if reasons else text
