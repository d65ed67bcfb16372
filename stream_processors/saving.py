"""State of a partition as it is saved beside its outputs, part by part, and taken up by whoever follows.

A round saves the chunks of series that were touched since they were last saved, a few records with each raw record, and
last the standing: the partition's own part, as of when the round began. Every other part therefore is older than the
newest standing and unchanged since, or younger. Whoever follows processes the raw log from the standing on, through the
very function that made the state, and takes up each younger part where it comes to it: series know nothing of each other,
so what it made of them before that does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any

from schemas.clocks import KnowledgeTime, RawOffset
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.records import NO_OFFSET
from schemas.topics import STATE, state_key
from schemas.wire.codec import decode_value, encode_value
from stream_processors.memory import Chunk, PartitionState, Series
from stream_processors.repeats import KnownFrame
from stream_processors.versions import PLACES, WORD_BYTES, Latest, Slots

# A round begins when so much was processed since the last one began: what a successor has to process again.
ROUND_EVENTS = 65_536
RECORD_EVENTS = 4  # a raw record itself counts as so many
ROUND_US = HOUR_US  # ... or when so much time has passed in the log
# ... or sooner where series are known of which nothing is saved: should the raw log be cut, nothing else tells of them.
OPENED_EVENTS, OPENED_US = 1_024, MINUTE_US
STEP_BYTES = 262_144  # saved with one raw record, and the record that exceeds it
PARTITION, SERIES = -1, -1  # the chunk that is the partition's own, the places that are the series themselves
PART_BYTES = PLACES * WORD_BYTES

Pair = tuple[bytes, bytes]


class Saving:
    """Rounds of one partition, of which the last began at `state.next_offset`."""

    def __init__(self, state: PartitionState) -> None:
        """Save nothing before a round is due."""
        self._parts: Iterator[Pair] = iter(())
        self._spent = 0
        self._held = len(state.held)
        self._begun: KnowledgeTime = state.known_from

    def processed_again(self, events: int) -> None:
        """Count one raw record, of so many events, that was processed again to take over: the next round is due sooner."""
        self._spent += RECORD_EVENTS + events

    def beginning_with(self, parts: Iterable[Pair]) -> Saving:
        """Save these from the next raw record on: where what is saved does not lead to where the state is."""
        self._parts = iter(parts)
        return self

    def records(self, state: PartitionState, events: int) -> list[Pair]:
        """Return what is saved after one more raw record, of so many events, as (key, value)."""
        self._spent += RECORD_EVENTS + events
        saved, size = [], 0
        for pair in chain(self._parts, self._due_round(state, events)):
            saved.append(pair)
            size += len(pair[1])
            if size >= STEP_BYTES:
                break
        return saved

    def _due_round(self, state: PartitionState, events: int) -> Iterator[Pair]:
        """Begin a round where one is due and yield its parts; asked once the last round is over."""
        passed_us, opened = state.known_from - self._begun, len(state.held) > self._held
        due = self._spent >= ROUND_EVENTS or (events > 0 and passed_us >= ROUND_US)
        if due or (opened and (self._spent >= OPENED_EVENTS or passed_us >= OPENED_US)):
            self._spent, self._begun, self._held = 0, state.known_from, len(state.held)
            self._parts = chain(changed(state), [standing(state)])
            yield from self._parts


def whole(state: PartitionState) -> Iterator[Pair]:
    """Yield every part of a state, of which nothing is saved yet."""
    begun = standing(state)
    for chunk in state.chunks:
        chunk.saved = NO_OFFSET
    return chain(changed(state), [begun])


def standing(state: PartitionState) -> Pair:
    """Return the partition's own part."""
    connections = [
        {
            "connection_id": name,
            "frames": [{"sequence": number, **frame._asdict()} for number, frame in frames.items()],
        }
        for name, frames in state.frames.remembered()
    ]
    own = {
        "torn": state.torn,
        "torn_from": state.torn_from,
        "whole_from": state.whole_from,
        "connections": connections,
    }
    return _part(state, PARTITION, SERIES, own)


def changed(state: PartitionState) -> Iterator[Pair]:
    """Yield what changed of each chunk of series since it was saved, as it is when it is yielded."""
    for number, chunk in enumerate(state.chunks):
        places = 0
        for series in chunk.series:
            if isinstance(series.versions, Slots):
                places |= series.versions.unsaved
                series.versions.unsaved = 0
        if any(series.touched > chunk.saved for series in chunk.series):
            chunk.saved = state.next_offset
            told = {"interval": chunk.interval, "series": [_told(series) for series in chunk.series]}
            yield _part(state, number, SERIES, told)
        for place in range(places.bit_length()):
            if places >> place & 1:
                slots = b"".join(
                    each.versions.part(place) for each in chunk.series if isinstance(each.versions, Slots)
                )
                yield _part(state, number, place, {"slots": slots})


def _part(state: PartitionState, chunk: int, places: int, said: Mapping[str, Any]) -> Pair:
    value = {
        "raw_topic": state.raw_topic,
        "partition": state.partition,
        "chunk": chunk,
        "places": places,
        "next_offset": state.next_offset,
        "known_from": state.known_from,
        "slots": b"",
        **said,
    }
    return state_key(state.raw_topic, state.partition, chunk, places), encode_value(STATE, value)


def _told(series: Series) -> dict[str, Any]:
    versions = series.versions
    return {
        "provider": series.key.provider,
        "symbol": series.key.symbol,
        "interval": series.key.interval,
        "collecting": series.collecting,
        "seen_to": series.seen_to,
        "frontier": series.frontier,
        "touched": series.touched,
        "newest": -1 if versions is None else versions.newest,
        "content": versions.digest() if isinstance(versions, Latest) else 0,
    }


class Saved:
    """The newest parts found of one partition."""

    def __init__(self, raw_topic: str, partition: int) -> None:
        """Know none yet."""
        self._owner = raw_topic, partition
        self._values: dict[tuple[int, int], bytes] = {}
        self._due: list[tuple[RawOffset, int, int, Mapping[str, Any]]] = []

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Take up a record of the topic where it is a part of ours, in log order."""
        match (key or b"").split(b":"):
            case [topic, partition, chunk, places] if value is not None:
                if (topic, partition) == (self._owner[0].encode(), b"%d" % self._owner[1]):
                    self._values[int(chunk), int(places)] = value

    def restore(self, state: PartitionState) -> bool:
        """Bring an empty state to the standing and return whether there is one; then `catch_up` with the raw log.

        Raises MalformedPayload where a part is none of ours.
        """
        own = self._values.pop((PARTITION, SERIES), None)
        if own is None:
            return False
        said = decode_value(STATE, own)
        state.next_offset, state.known_from = said["next_offset"], said["known_from"]
        state.torn, state.torn_from, state.whole_from = said["torn"], said["torn_from"], said["whole_from"]
        for each in said["connections"]:
            frames = [(frame.pop("sequence"), KnownFrame(**frame)) for frame in each["frames"]]
            state.frames.restore(each["connection_id"], frames)
        for (chunk, places), value in sorted(self._values.items()):
            part = decode_value(STATE, value)
            self._due.append((part["next_offset"], chunk, places, part))
            if places == SERIES:
                self._add_chunk(state, chunk, part)
        self._due.sort(key=itemgetter(0, 1, 2), reverse=True)
        self.catch_up(state, state.next_offset)
        return True

    def catch_up(self, state: PartitionState, offset: RawOffset) -> None:
        """Take up the parts as of up to `offset`, which is to be processed next."""
        while self._due and self._due[-1][0] <= offset:
            as_of, number, places, part = self._due.pop()
            if number < len(state.chunks):
                chunk, believed = state.chunks[number], as_of >= state.whole_from
                if places == SERIES:
                    chunk.saved = as_of
                    for series, said in zip(chunk.series, part["series"], strict=False):
                        _take_up(series, said, believed=believed)
                elif believed:
                    _take_up_slots(chunk, places, part["slots"])

    def _add_chunk(self, state: PartitionState, number: int, part: Mapping[str, Any]) -> None:
        if number != len(state.chunks):
            raise MalformedPayload(f"{STATE}: chunk {len(state.chunks)} of {self._owner} is missing")
        try:
            named = [
                state.made(each["provider"], each["symbol"], each["interval"]) for each in part["series"]
            ]
        except InvalidRecord as error:
            raise MalformedPayload(f"{STATE}: {error}; another partition count saved it") from error
        state.add_chunk(Chunk(part["interval"], named))


def _take_up(series: Series, said: Mapping[str, Any], *, believed: bool) -> None:
    series.collecting, series.seen_to, series.frontier = said["collecting"], said["seen_to"], said["frontier"]
    series.touched = said["touched"]
    if isinstance(series.versions, Latest):
        series.versions.restore(said["newest"], said["content"] if believed else 0)
    elif series.versions is not None:
        series.versions.newest = said["newest"]


def _take_up_slots(chunk: Chunk, places: int, slots: bytes) -> None:
    for number, series in enumerate(chunk.series):
        part = slots[number * PART_BYTES : (number + 1) * PART_BYTES]
        if part and isinstance(series.versions, Slots):
            series.versions.restore(places, part)
