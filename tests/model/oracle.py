"""What a raw partition must become, computed the naive way: one dictionary of current values that forgets nothing.

It shares no code with the processor or the sink.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from schemas.deriving import content as content_of
from schemas.records import Discontinuity, RawBlock
from schemas.streams import BY_RAW_TOPIC
from tests.model.market import Raw, minute_of, time_of

TRADE_CONTENT = ("price", "size")


def has_slots(raw_topic: str) -> bool:
    """Whether values of a raw topic are numbered, so that one can be missing."""
    return BY_RAW_TOPIC[raw_topic].versions == "slots"


Key = tuple[str, str, str, int]  # provider, symbol, interval, event_time
Place = tuple[int, int]  # raw offset, index
Label = tuple[str, str]  # cause, state


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGap:
    """A gap the processor must report: of which stream, from and to in µs, why, and known from which raw record."""

    provider: str
    symbol: str
    from_time: int
    to_time: int
    cause: str
    expected: int
    known_from: int
    raw_offset: int


@dataclass(slots=True)
class Oracle:
    """What a raw partition must become, computed the naive way."""

    events: dict[Place, tuple[Key, Hashable, int]] = field(default_factory=dict)  # key, content, known_from
    versions: list[Place] = field(default_factory=list)  # which of the valid events say something new
    kept: list[Place] = field(default_factory=list)  # ... and are final: what the database holds
    gaps: list[FoundGap] = field(default_factory=list)
    dead: list[Place] = field(default_factory=list)  # index -1: the whole record
    known_from: int = 0
    # by provider and symbol: minutes with a final bar
    stored: set[tuple[str, str, int]] = field(default_factory=set)
    _current: dict[Key, Hashable] = field(default_factory=dict)
    _final: dict[Key, Hashable] = field(default_factory=dict)
    _seen_to: dict[tuple[str, str], int] = field(default_factory=dict)  # minute; of bars the newest judged
    _frames: dict[tuple[str, int], int] = field(default_factory=dict)
    _newest: dict[tuple[str, str], int] = field(default_factory=dict)  # of those
    # minutes without one that newer bars left behind
    _passed: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def labels(self) -> dict[tuple[str, str, int], Label]:
        """The cause and final state of every missing minute: of the gaps, and what only the sink can see.

        A producer that was blind before a stream's first bar moves the processor over minutes it never judges.
        """
        labels: dict[tuple[str, str, int], Label] = {}
        for gap in self.gaps:
            for minute in range(minute_of(gap.from_time), minute_of(gap.to_time)):
                place = (gap.provider, gap.symbol, minute)
                assert place not in labels, f"the oracle found {place} missing twice"
                labels[place] = (gap.cause, "filled" if place in self.stored else "open")
        for place in self._passed - labels.keys():
            labels[place] = ("missing_bars", "filled" if place in self.stored else "open")
        return labels

    def take(self, topic: str, raw: Raw) -> None:
        """Take the next raw record of the partition."""
        self.known_from = max(self.known_from, raw.record.append_time)
        if raw.block is None:
            self.dead.append((raw.record.offset, -1))
            return
        arrivals: dict[tuple[str, str], set[int]] = {}
        valid = []
        for index, event in enumerate(raw.block.events):
            if min(event[name] or 0.0 for name in ("bid", "price", "low") if name in event) < 0:
                self.dead.append((raw.record.offset, index))
                continue
            valid.append((index, event))
            if event.get("final", not has_slots(topic)):
                arrivals.setdefault((raw.block.provider, event["symbol"]), set()).add(
                    minute_of(event["event_time"])
                )
        self._judge(topic, raw, arrivals)
        for index, event in valid:
            self._version(topic, (raw.record.offset, index), raw.block, event)
        if has_slots(topic):
            self._store(arrivals)

    def _store(self, arrivals: dict[tuple[str, str], set[int]]) -> None:
        for stream, minutes in arrivals.items():
            newest = self._newest.get(stream, min(minutes))
            absent = set(range(newest + 1, max(minutes))) - minutes
            self._passed.update((*stream, minute) for minute in absent)
            self._newest[stream] = max(newest, *minutes)
            self.stored.update((*stream, minute) for minute in minutes)

    def _version(self, topic: str, place: Place, block: RawBlock, event: Any) -> None:
        key = (block.provider, event["symbol"], event.get("interval", ""), event["event_time"])
        content: Hashable = itemgetter(*(content_of(BY_RAW_TOPIC[topic]) or TRADE_CONTENT))(event)
        self.events[place] = (key, content, self.known_from)
        if "frame_hash" in event:
            frame = (block.connection_id, event["frame_hash"])
            if self._frames.setdefault(frame, event["frame_sequence"]) != event["frame_sequence"]:
                return  # the bytes of an earlier frame
        elif self._current.get(key) == content:
            return
        self._current[key] = content
        self.versions.append(place)
        if event.get("final", True) and ("frame_hash" in event or self._final.get(key) != content):
            self._final[key] = content
            self.kept.append(place)

    def _judge(self, topic: str, raw: Raw, arrivals: dict[tuple[str, str], set[int]]) -> None:
        assert raw.block is not None
        told = {(raw.block.provider, entry.symbol): entry for entry in raw.block.discontinuities}
        for stream in {*told, *arrivals}:
            seen_to, bars = self._seen_to.get(stream), arrivals.get(stream, set())
            blind = _blind(told.get(stream), seen_to, exclusive=has_slots(topic))
            if has_slots(topic):
                runs = _missing(seen_to, bars, blind)
            else:
                runs = [(blind.start, blind.stop, "producer_down")] if blind else []
            for start, end, cause in runs:
                self._found(topic, raw, stream, start, end, cause)
            last = blind.stop - (has_slots(topic)) if blind else seen_to
            moments = [moment for moment in (seen_to, last, *bars) if moment is not None]
            if moments:
                self._seen_to[stream] = max(moments)

    def _found(self, topic: str, raw: Raw, stream: tuple[str, str], start: int, end: int, cause: str) -> None:
        gap = FoundGap(
            provider=stream[0],
            symbol=stream[1],
            from_time=time_of(start),
            to_time=time_of(end),
            cause=cause,
            expected=end - start if has_slots(topic) else 0,
            known_from=self.known_from,
            raw_offset=raw.record.offset,
        )
        self.gaps.append(gap)


def _blind(told: Discontinuity | None, seen_to: int | None, *, exclusive: bool) -> range:
    """Return the minutes nobody watched; `exclusive`: the last one seen is a bar that is there."""
    if told is None:
        return range(0)
    starts = [] if seen_to is None else [seen_to + exclusive]
    starts += [] if told.from_time is None else [minute_of(told.from_time)]
    return range(max(starts), minute_of(told.to_time)) if starts else range(0)


def _missing(seen_to: int | None, bars: set[int], blind: range) -> list[tuple[int, int, str]]:
    """Return the runs of minutes after `seen_to` that are absent, or that nobody watched, up to the newest one."""
    moments = [*bars, *blind]
    if not moments:
        return []
    first = min(moments) if seen_to is None else seen_to + 1
    runs: list[tuple[int, int, str]] = []
    for minute in range(first, max(moments) + 1):
        cause = "producer_down" if minute in blind else "" if minute in bars else "missing_bars"
        if cause and runs and runs[-1][1:] == (minute, cause):
            runs[-1] = (runs[-1][0], minute + 1, cause)
        elif cause:
            runs.append((minute, minute + 1, cause))
    return runs


def foretell(topic: str, raw: Sequence[Raw]) -> Oracle:
    """Return what these raw records must become."""
    oracle = Oracle()
    for entry in raw:
        oracle.take(topic, entry)
    return oracle
