"""A processor's memory of each series of its partition: bounded by bytes, and saved for whoever takes over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.calendar.sessions import Calendar, CalendarBook, calendars_in_force
from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.fields import Versions
from schemas.identity import stream_text
from schemas.intervals import slot_us
from schemas.records import NO_OFFSET
from schemas.streams import BY_RAW_TOPIC, Stream, StreamId
from schemas.validation import check_provider, check_symbol
from stream_processors.gaps import Blindness, Hole, judge
from stream_processors.repeats import Occurrences
from stream_processors.versions import SLOTS, SLOTS_OF_DAYS, Entries, Latest, Room, Slots

# Of contents, per partition. Beyond it those untouched longest are forgotten, and nothing else: a series without contents
# costs some hundred bytes and misses no hole.
MAX_CONTENT_BYTES = 160 * 1_048_576
CHUNK_SERIES = 256  # saved together; a record of their slots takes 128 KiB
BACKFILL = "backfill"
LOG_BEGINNING, NOTHING_KNOWN = RawOffset(0), KnowledgeTime(0)

REMEMBERING: Mapping[Versions, Callable[[str, Room], Slots | Latest | None]] = {
    "slots": lambda interval, room: Slots(slot_us(interval), SLOTS.get(interval, SLOTS_OF_DAYS), room),
    "latest": lambda *_: Latest(),
    "entries": lambda _, room: Entries(room),
    "occurrences": lambda *_: None,  # a partition remembers frames, a series nothing
}


@dataclass(slots=True)
class Series:
    """The state of one series; `seen_to` (µs) is its newest event, or the end of what it is known to have missed.

    Where it has slots, `frontier` is the start of the newest one judged (see gaps). Both follow what is collected live:
    a backfill moves neither, so that live-then-backfill and backfill-then-live are judged alike. `collecting`: it was
    told that the series is collected from some moment on. `touched` is the raw offset after the block that last
    had to do with it.
    """

    key: StreamId
    calendar: Calendar  # of the state's book
    versions: Slots | Latest | None
    numbered: bool
    seen_to: EventTime | None = None
    frontier: EventTime | None = None
    collecting: bool = False
    touched: RawOffset = LOG_BEGINNING

    @property
    def name(self) -> str:
        """The name of the series in gaps."""
        return stream_text(self.key)


@dataclass(slots=True)
class Judgement:
    """The evidence of a block on the completeness of one series of slots."""

    series: Series
    arrivals: list[EventTime] = field(default_factory=list)
    blindnesses: list[Blindness] = field(default_factory=list)

    def holes(self) -> list[Hole]:
        """Return the holes it reveals, in order, and move the frontier of the series."""
        series = self.series
        series.frontier, holes = judge(
            series.calendar, series.key.interval, series.frontier, self.arrivals, self.blindnesses
        )
        return holes


@dataclass(slots=True)
class Chunk:
    """Series of one interval that are saved together, in the order they were met; `saved`: as of this next offset."""

    interval: str
    series: list[Series] = field(default_factory=list)
    saved: RawOffset = NO_OFFSET


class Saver(Protocol):
    """Decides which part of a state is saved when."""

    def records(self, state: PartitionState, events: int) -> list[tuple[bytes, bytes]]:
        """Return what is saved after one more raw record, of so many events, as (key, value)."""


@dataclass(slots=True)
class PartitionState:
    """Everything one raw partition's processing depends on besides its input; owned by one writer at a time.

    `next_offset` is the first raw offset not yet processed, `known_from` the greatest one given so far. `torn_from`:
    raw records known since this moment were deleted unprocessed, which the next block tells; `torn`: the series may have
    lost some, until a block with events tells up to when. Contents saved before `whole_from` are not to be believed.
    """

    raw_topic: str
    partition: int
    partitions: int
    next_offset: RawOffset = LOG_BEGINNING
    known_from: KnowledgeTime = NOTHING_KNOWN
    held: dict[StreamId, Series] = field(default_factory=dict)
    torn: bool = False
    torn_from: KnowledgeTime | None = None
    whole_from: RawOffset = LOG_BEGINNING
    frames: Occurrences = field(default_factory=Occurrences)
    calendars: CalendarBook = field(default_factory=calendars_in_force)
    room: Room = field(default_factory=Room)
    chunks: list[Chunk] = field(default_factory=list)
    saver: Saver | None = field(default=None, repr=False, compare=False)
    stream: Stream = field(init=False)
    # `held` by provider, symbol and interval: making an id of every event would be the dearest part of the look-up
    _found: dict[tuple[str, str, str], Series] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # by interval the chunks with room: the first is filled, so that who follows fills them alike
    _filling: dict[str, list[Chunk]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look up what the declaration says of the topic."""
        self.stream = BY_RAW_TOPIC[self.raw_topic]

    def series(self, provider: str, symbol: str, interval: str) -> Series:
        """Return the series, made on first sight; raise InvalidRecord where its name cannot be one."""
        found = self._found.get((provider, symbol, interval))
        if found is None:
            found = self._open(provider, symbol, interval)
        found.touched = self.next_offset
        return found

    def judge_by(self, calendars: CalendarBook) -> None:
        """Judge by other calendars from now on: those of one block are one book's."""
        if calendars is not self.calendars:
            self.calendars = calendars
            for series in self.held.values():
                series.calendar = calendars.calendar_of(series.key.symbol)

    def forget_oldest(self) -> None:
        """Give up the contents touched longest ago where they take too much room: down to three quarters of it."""
        if self.room.used <= MAX_CONTENT_BYTES:
            return
        holding = [
            each for each in self.held.values() if isinstance(each.versions, Slots) and each.versions.held
        ]
        for series in sorted(holding, key=lambda each: each.touched):
            if self.room.used <= MAX_CONTENT_BYTES * 3 // 4:
                return
            if series.versions is not None:
                series.versions.forget()

    def forget_contents(self) -> None:
        """Give up what values and frames are compared with: records of the past that said more are deleted."""
        self.whole_from = self.next_offset
        self.frames = Occurrences()
        for series in self.held.values():
            if series.versions is not None:
                series.versions.forget()

    def add_chunk(self, chunk: Chunk) -> None:
        """Take up a saved chunk, in order of their numbers."""
        self.chunks.append(chunk)
        for series in chunk.series:
            key = series.key
            self.held[key] = self._found[key.provider, key.symbol, key.interval] = series
        if len(chunk.series) < CHUNK_SERIES:
            self._filling.setdefault(chunk.interval, []).append(chunk)

    def made(self, provider: str, symbol: str, interval: str) -> Series:
        """Return a series that is not held yet, knowing nothing; raise InvalidRecord where its name cannot be one."""
        check_symbol(symbol, self.partition, self.partitions)
        check_provider(provider)
        return Series(
            key=StreamId(self.stream.name, interval, provider, symbol),
            calendar=self.calendars.calendar_of(symbol),
            versions=REMEMBERING[self.stream.versions](interval, self.room),
            numbered=self.stream.versions == "slots",
        )

    def _open(self, provider: str, symbol: str, interval: str) -> Series:
        series = self.made(provider, symbol, interval)
        filling = self._filling.setdefault(interval, [])
        if not filling:
            filling.append(Chunk(interval))
            self.chunks.append(filling[0])
        filling[0].series.append(series)
        if len(filling[0].series) == CHUNK_SERIES:
            filling.pop(0)
        self.held[series.key] = self._found[provider, symbol, interval] = series
        return series


def see(series: Series, moment: EventTime) -> None:
    """Note that the series is known up to `moment`."""
    if series.seen_to is None or moment > series.seen_to:
        series.seen_to = moment
