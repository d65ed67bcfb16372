"""Memory of a processor about each stream of its partition, bounded, and rebuilt from the log after a take-over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.calendar.sessions import Calendar, calendar_of
from schemas.identity import bars_channel, stream_name
from schemas.intervals import slot_us
from schemas.records import Event, RawBlock
from schemas.topics import RAW_BARS, RAW_QUOTES
from stream_processors.frames import FrameHistory
from stream_processors.gaps import frontier_after
from stream_processors.validation import check_symbol
from stream_processors.versions import (
    BarVersions,
    QuoteVersion,
    bar_content,
    quote_content,
)

MAX_STREAMS = (
    16_384  # per partition; with 12 kB a bar stream 200 MB at most. Beyond it the stalest half is forgotten
)

StreamKey = tuple[str, str, str]  # provider, symbol, interval ("" for quotes and trades)


@dataclass(slots=True)
class Stream:
    """Knowledge of one stream; `seen_to` (µs) is its newest event, or the end of what it is known to have missed.

    For bars `frontier` is the start of the newest bar judged (see gaps).
    """

    key: StreamKey
    channel: str
    calendar: Calendar
    bars: BarVersions | None = None
    quote: QuoteVersion | None = None
    seen_to: int | None = None
    frontier: int | None = None

    @property
    def name(self) -> str:
        """The name of the stream in gaps."""
        return stream_name(self.channel, self.key[0], self.key[1])


@dataclass(slots=True)
class PartitionState:
    """Everything one raw partition's processing depends on besides its input; owned by one writer at a time.

    `next_offset` is the first raw offset not yet processed, `known_from` the greatest one given so far (µs). `torn`: streams
    of which raw records may have been deleted before they were processed, until their next event tells to when.
    """

    raw_topic: str
    partition: int
    partitions: int
    next_offset: int = 0
    known_from: int = 0
    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    torn: set[StreamKey] = field(default_factory=set)
    frames: FrameHistory = field(default_factory=FrameHistory)

    def stream(self, provider: str, symbol: str, interval: str) -> Stream:
        """Return the stream, made on first sight; raise InvalidRecord where its name cannot be one."""
        key = (provider, symbol, interval)
        found = self.streams.get(key)
        return found if found is not None else self._open(key)

    def restore_record(self, record: Mapping[str, Any]) -> None:
        """Take up one canonical record of the partition's own past, in log order."""
        stream = self.stream(record["provider"], record["symbol"], record.get("interval", ""))
        event_time = record["event_time"]
        if stream.bars is not None:
            stream.bars.changes(event_time, bar_content(record))
            if record["final"] and (stream.frontier is None or event_time > stream.frontier):
                stream.frontier = event_time
        elif stream.quote is not None:
            stream.quote.changes(event_time, quote_content(record))
        see(stream, event_time)

    def restore_gap(self, gap: Mapping[str, Any]) -> None:
        """Take up one gap this processor once found: it will not be found again."""
        if gap["stream"].partition(":")[0] != self._channel(gap["interval"]):
            return  # a neighbouring lane's
        stream = self.stream(gap["provider"], gap["symbol"], gap["interval"])
        see(stream, gap["to_time"])
        if stream.bars is not None:
            judged = frontier_after(gap["interval"], gap["to_time"])
            stream.frontier = judged if stream.frontier is None else max(stream.frontier, judged)

    def restore_frames(self, block: RawBlock) -> None:
        """Take up the frames of one raw block of trades, in log order."""
        for event in block.events:
            self.repeats(block, event)

    def repeats(self, block: RawBlock, event: Event) -> bool:
        """Note the frame of a trade and return whether it repeats another (see frames)."""
        return self.frames.repeats(block.connection_id, event["frame_sequence"], event["frame_hash"])

    def _channel(self, interval: str) -> str:
        if self.raw_topic == RAW_BARS:
            return bars_channel(interval)
        return "quotes" if self.raw_topic == RAW_QUOTES else "trades"

    def _open(self, key: StreamKey) -> Stream:
        _, symbol, interval = key
        check_symbol(symbol, self.partition, self.partitions)
        calendar = calendar_of(symbol)
        if self.raw_topic == RAW_BARS:
            bars = BarVersions(slot_us(interval))
            stream = Stream(key=key, channel=self._channel(interval), calendar=calendar, bars=bars)
        elif self.raw_topic == RAW_QUOTES:
            stream = Stream(key=key, channel=self._channel(interval), calendar=calendar, quote=QuoteVersion())
        else:
            stream = Stream(key=key, channel=self._channel(interval), calendar=calendar)
        if len(self.streams) >= MAX_STREAMS:
            self._forget_stalest()
        self.streams[key] = stream
        return stream

    def _forget_stalest(self) -> None:
        newest_first = sorted(self.streams.values(), key=lambda stream: stream.seen_to or 0, reverse=True)
        self.streams = {stream.key: stream for stream in newest_first[: MAX_STREAMS // 2]}
        self.torn &= self.streams.keys()


def see(stream: Stream, moment: int) -> None:
    """Note that the stream is known up to `moment`."""
    if stream.seen_to is None or moment > stream.seen_to:
        stream.seen_to = moment
