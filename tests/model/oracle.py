"""What the events of a raw partition must become, computed the naive way: a dictionary of current values that forgets nothing.

It shares no code with the processor or the sink. What of them is missing: `tests.model.completeness`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from schemas.deriving import content as content_of
from schemas.deriving import items
from schemas.intervals import SECOND_US
from schemas.records import RawBlock
from schemas.streams import BY_RAW_TOPIC
from tests.model.market import Raw

TRADE_CONTENT = ("price", "size")
AHEAD_US = 5 * SECOND_US  # a stamp further ahead of its record is a suspect one

Key = tuple[str, str, str, Hashable]  # provider, symbol, interval, and event_time or what names the entry
Place = tuple[int, int]  # raw offset, index


def has_slots(raw_topic: str) -> bool:
    """Whether values of a raw topic are numbered, so that one can be missing."""
    return BY_RAW_TOPIC[raw_topic].versions == "slots"


def has_entries(raw_topic: str) -> bool:
    """Whether values of a raw topic have names of their own, so that their moment says nothing of them."""
    return BY_RAW_TOPIC[raw_topic].versions == "entries"


def name_of(raw_topic: str, event: Any) -> Hashable:
    """Return what names a value within its series: an entry's own name, of all others their moment."""
    if has_entries(raw_topic):
        return tuple(event[name] for name in items(BY_RAW_TOPIC[raw_topic]))
    return int(event["event_time"])


def impossible(event: Any) -> bool:
    """Whether no value can be so."""
    if "period_end" in event:
        return bool(event["period_end"] <= event["period_start"])
    if "amount" in event:
        return bool(event["amount"] < 0)
    below = min(event[name] or 0.0 for name in ("bid", "price", "low") if name in event) < 0
    return below and not event["symbol"].startswith("^")  # an index may stand there


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame of trades as it came: its number, its bytes, whether it repeats another, and stamps of its first symbol."""

    sequence: int
    content: int
    repeat: bool
    symbol: str
    newest: int


@dataclass(slots=True)
class Arrived:
    """The possible events of one block, with their indices, and the moment (µs) they are known from."""

    offset: int
    known_from: int
    block: RawBlock
    events: list[tuple[int, Any]]

    def suspect(self, event: Any) -> bool:
        """Whether an event is stamped ahead of its record."""
        return bool(event["event_time"] > self.known_from + AHEAD_US)


@dataclass(slots=True)
class Oracle:
    """What the events of a raw partition must become."""

    topic: str
    events: dict[Place, tuple[Key, Hashable, int]] = field(default_factory=dict)  # key, content, known_from
    versions: list[Place] = field(default_factory=list)  # which of the valid events say something new
    kept: list[Place] = field(default_factory=list)  # ... and are final: what the database holds
    dead: list[Place] = field(default_factory=list)  # index -1: the whole record
    arrived: list[Arrived] = field(default_factory=list)
    known_from: int = 0
    _current: dict[Key, Hashable] = field(default_factory=dict)
    _final: dict[Key, Hashable] = field(default_factory=dict)
    _sent: dict[str, list[Sent]] = field(default_factory=dict)

    def take(self, raw: Raw) -> None:
        """Take the next raw record of the partition; no two are known from the same moment."""
        self.known_from = max(self.known_from + 1, raw.record.append_time)
        offset = raw.record.offset
        if raw.block is None:
            self.dead.append((offset, -1))
            return
        arrived = Arrived(offset, self.known_from, raw.block, [])
        for index, event in enumerate(raw.block.events):
            if impossible(event):
                self.dead.append((offset, index))
            else:
                arrived.events.append((index, event))
        self.arrived.append(arrived)
        repeated = self._repeated(arrived) if self.topic.startswith("raw.trades") else set()
        for index, event in arrived.events:
            self._version((offset, index), raw.block, event, repeated=index in repeated)

    def forget_frames(self) -> None:
        """Compare no frame with those of before."""
        self._sent.clear()

    def _version(self, place: Place, block: RawBlock, event: Any, *, repeated: bool) -> None:
        key = (block.provider, event["symbol"], event.get("interval", ""), name_of(self.topic, event))
        occurs = "frame_hash" in event
        content: Hashable = itemgetter(*(content_of(BY_RAW_TOPIC[self.topic]) or TRADE_CONTENT))(event)
        self.events[place] = (key, content, self.known_from)
        if repeated or (not occurs and self._current.get(key) == content):
            return
        self._current[key] = content
        self.versions.append(place)
        if event.get("final", True) and (occurs or self._final.get(key) != content):
            self._final[key] = content
            self.kept.append(place)

    def _repeated(self, arrived: Arrived) -> set[int]:
        """Return the indices of trades in frames that were sent again; none of a request's answer."""
        frames: list[list[tuple[int, Any]]] = []
        for index, event in arrived.events:
            if frames and frames[-1][0][1]["frame_sequence"] == event["frame_sequence"]:
                frames[-1].append((index, event))
            else:
                frames.append([(index, event)])
        return {
            index
            for frame in frames
            if arrived.block.connection_id and self._is_repeat(arrived, [event for _, event in frame])
            for index, _ in frame
        }

    def _is_repeat(self, arrived: Arrived, trades: Sequence[Any]) -> bool:
        """Whether a frame is one sent again: equal to an earlier one, older than what came since, and no lone trade.

        A lone one is where its neighbour before is that of the earlier one, too. (A block here holds one frame, so that
        nothing is known of the next; no trade has an id.)
        """
        sent = self._sent.setdefault(arrived.block.connection_id, [])
        first = trades[0]
        for before in sent:
            if (before.sequence, before.content) == (first["frame_sequence"], first["frame_hash"]):
                return before.repeat  # the rest of it
        stamps = [each["event_time"] for each in trades if each["symbol"] == first["symbol"]]
        repeat = False
        for place, earlier in enumerate(sent):
            since = [each.newest for each in sent[place:] if each.symbol == first["symbol"]]
            if earlier.content != first["frame_hash"] or max(since, default=0) <= min(stamps):
                continue
            beside = place > 0 and sent[place - 1].content == sent[-1].content
            repeat = repeat or len(trades) > 1 or beside
        possible = [stamp for stamp in stamps if stamp <= arrived.known_from + AHEAD_US]
        sent.append(
            Sent(
                first["frame_sequence"],
                first["frame_hash"],
                repeat,
                first["symbol"],
                max(possible, default=0),
            )
        )
        return repeat


def foretell(topic: str, raw: Iterable[Raw], tears: Collection[int] = ()) -> Oracle:
    """Return what the events of these raw records must become; after each of the offsets `tears` some are lost.

    What was lost may be what was sent again, so frames are compared with none of before.
    """
    oracle, last = Oracle(topic), -1
    for entry in raw:
        if any(last <= tear < entry.record.offset for tear in tears):
            oracle.forget_frames()
        last = entry.record.offset
        oracle.take(entry)
    return oracle
