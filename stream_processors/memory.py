"""A processor's memory of each series of its partition: bounded, and rebuilt from the log after a take-over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.calendar.sessions import Calendar, CalendarBook, calendars_in_force
from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.fields import Versions
from schemas.identity import stream_of, stream_text
from schemas.intervals import AHEAD_US, slot_us
from schemas.records import Event, RawBlock
from schemas.streams import BY_RAW_TOPIC, Stream, StreamId
from stream_processors.evidence import PROCESSOR
from stream_processors.gaps import frontier_after
from stream_processors.validation import check_symbol
from stream_processors.versions import Latest, Occurrences, Slots, content_of

# Per partition; with 12 kB a series of slots 200 MB at most. Beyond it the stalest half is forgotten.
MAX_SERIES = 16_384
BACKFILL = "backfill"
LOG_BEGINNING, NOTHING_KNOWN = RawOffset(0), KnowledgeTime(0)

REMEMBERING: Mapping[Versions, Callable[[str], Slots | Latest | None]] = {
    "slots": lambda interval: Slots(slot_us(interval)),
    "latest": lambda _: Latest(),
    "occurrences": lambda _: None,  # a partition remembers frames, a series nothing
}


@dataclass(slots=True)
class Series:
    """The state of one series; `seen_to` (µs) is its newest event, or the end of what it is known to have missed.

    Where it has slots, `frontier` is the start of the newest one judged (see gaps). Both follow what is collected live:
    a backfill moves neither, so that live-then-backfill and backfill-then-live are judged alike. `collecting`: it was
    told that the series is collected from some moment on.
    """

    key: StreamId
    calendar: Calendar  # of the state's book
    versions: Slots | Latest | None
    numbered: bool
    seen_to: EventTime | None = None
    frontier: EventTime | None = None
    collecting: bool = False

    @property
    def name(self) -> str:
        """The name of the series in gaps."""
        return stream_text(self.key)


@dataclass(slots=True)
class PartitionState:
    """Everything one raw partition's processing depends on besides its input; owned by one writer at a time.

    `next_offset` is the first raw offset not yet processed, `known_from` the greatest one given so far. `torn_from`:
    raw records known since this moment were deleted unprocessed, which the next block tells; `torn`: series that may have
    lost some, until a block with events tells up to when.
    """

    raw_topic: str
    partition: int
    partitions: int
    next_offset: RawOffset = LOG_BEGINNING
    known_from: KnowledgeTime = NOTHING_KNOWN
    held: dict[StreamId, Series] = field(default_factory=dict)
    torn: set[StreamId] = field(default_factory=set)
    torn_from: KnowledgeTime | None = None
    frames: Occurrences = field(default_factory=Occurrences)
    calendars: CalendarBook = field(default_factory=calendars_in_force)
    stream: Stream = field(init=False)
    content: Callable[[Event], object] = field(init=False)
    # `held` by provider, symbol and interval: making an id of every event would be the dearest part of the look-up
    _found: dict[tuple[str, str, str], Series] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Look up what the declaration says of the topic."""
        self.stream = BY_RAW_TOPIC[self.raw_topic]
        self.content = content_of(self.stream)

    def series(self, provider: str, symbol: str, interval: str) -> Series:
        """Return the series, made on first sight; raise InvalidRecord where its name cannot be one."""
        found = self._found.get((provider, symbol, interval))
        return found if found is not None else self._open(provider, symbol, interval)

    def judge_by(self, calendars: CalendarBook) -> None:
        """Judge by other calendars from now on: those of one block are one book's."""
        if calendars is not self.calendars:
            self.calendars = calendars
            for series in self.held.values():
                series.calendar = calendars.calendar_of(series.key.symbol)

    def restore_record(self, record: Mapping[str, Any]) -> None:
        """Take up one canonical record of the partition's own past, in log order."""
        series = self.series(record["provider"], record["symbol"], record.get("interval", ""))
        event_time = record["event_time"]
        if series.versions is not None:
            series.versions.changes(event_time, self.content(record))
        if record["route"] == BACKFILL:
            return
        known_from = record["known_from"]
        judged = series.numbered and record["final"] and event_time <= known_from + AHEAD_US
        if judged and (series.frontier is None or event_time > series.frontier):
            series.frontier = event_time
        series.collecting = True
        see(series, min(event_time, known_from))

    def restore_evidence(self, told: Mapping[str, Any]) -> None:
        """Take up what this processor once told of a stretch: it will not be told again. Raises InvalidRecord."""
        if not told["symbol"] or told["detector"] != PROCESSOR:
            return  # of the whole partition, or somebody else's
        named = stream_of(told["stream"])
        if named.name != self.stream.name:
            return  # a neighbouring lane's
        series = self.series(named.provider, named.symbol, named.interval)
        if told["to_time"] is None:
            series.collecting = True
        elif told["kind"] in ("blind", "absent"):
            see(series, told["to_time"])
            if series.numbered:
                judged = frontier_after(told["interval"], told["to_time"])
                series.frontier = judged if series.frontier is None else max(series.frontier, judged)

    def restore_frames(self, block: RawBlock) -> None:
        """Take up the frames of one raw block, in log order; a stream without frames has nothing to take up."""
        for event in block.events if self.stream.frame is not None else ():
            self.repeats(block, event)

    def repeats(self, block: RawBlock, event: Event) -> bool:
        """Note the frame of an event and return whether it repeats another."""
        return self.frames.repeats(block.connection_id, event["frame_sequence"], event["frame_hash"])

    def _open(self, provider: str, symbol: str, interval: str) -> Series:
        check_symbol(symbol, self.partition, self.partitions)
        series = Series(
            key=StreamId(self.stream.name, interval, provider, symbol),
            calendar=self.calendars.calendar_of(symbol),
            versions=REMEMBERING[self.stream.versions](interval),
            numbered=self.stream.versions == "slots",
        )
        if len(self.held) >= MAX_SERIES:
            self._forget_stalest()
        self.held[series.key] = self._found[provider, symbol, interval] = series
        return series

    def _forget_stalest(self) -> None:
        newest_first = sorted(self.held.values(), key=lambda series: series.seen_to or 0, reverse=True)
        self.held = {series.key: series for series in newest_first[: MAX_SERIES // 2]}
        self._found = {(key.provider, key.symbol, key.interval): each for key, each in self.held.items()}
        self.torn &= self.held.keys()


def see(series: Series, moment: EventTime) -> None:
    """Note that the series is known up to `moment`."""
    if series.seen_to is None or moment > series.seen_to:
        series.seen_to = moment
