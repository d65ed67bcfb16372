"""Until when each stream was watched: a poll watches what its answer covers, a socket until its last frame.

A stream that had no event for hours was watched all the same, so what a restart or a break costs begins where watching
ended, not at the last event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from schemas.clocks import EventTime, MarketTime
from schemas.intervals import HOUR_US
from schemas.partitions import partition_of
from schemas.records import Watched
from schemas.streams import StreamId

MAX_SYMBOLS = 20_000  # of one record: 400 kB at most; those beyond fall back on what is stored of them
# What comes later than that was reported again and says nothing of the others: Finnhub's came up to 40 minutes late.
LATEST_US = HOUR_US
Name = tuple[str, str]
"""Channel and symbol: a stream, whoever provides it."""
Group = tuple[str, str, int]
"""Channel, provider and partition: what one record is about."""


class WatchedStreams:
    """Watched time of streams: this process' own, and what those before it noted; market time, µs."""

    def __init__(self) -> None:
        """Know of nothing yet."""
        self._until: dict[StreamId, MarketTime] = {}
        self._newest: dict[Name, MarketTime] = {}
        self._changed: set[StreamId] = set()
        self._failed: dict[Name, str] = {}
        self._kept: frozenset[StreamId] | None = None  # None: whatever is noted
        self._leaving: set[StreamId] = set()

    def note(self, streams: Iterable[StreamId], until: int) -> None:
        """Note that these were watched until then, or told as missed, and all of it is confirmed; it never moves back.

        One that was forgotten stays so: a record of it alone would stand for all that others know of its group.
        """
        moment = MarketTime(until)
        for stream in streams:
            if self._kept is not None and stream not in self._kept and stream not in self._until:
                continue
            self._failed.pop(_name(stream), None)
            if self._reaches(stream, moment):
                self._changed.add(stream)

    def failed(self, streams: Iterable[StreamId], cause: str) -> None:
        """Note why an attempt to watch these failed; the first cause since they were last watched counts."""
        for stream in streams:
            self._failed.setdefault(_name(stream), cause)

    def interrupted(self, streams: Iterable[StreamId]) -> Iterator[tuple[StreamId, MarketTime, str]]:
        """Yield those that failed since they were last watched, by whichever provider: until when that was, and the cause.

        One that nobody ever watched has nothing to lose.
        """
        if not self._failed:
            return
        for stream in streams:
            name = _name(stream)
            if name in self._failed and name in self._newest:
                yield stream, self._newest[name], self._failed[name]

    def knows(self, stream: StreamId) -> bool:
        """Whether this very series was ever watched, not only its symbol of another provider."""
        return stream in self._until

    def own(self, stream: StreamId) -> MarketTime | None:
        """Return until when this very series was watched; None where it never was."""
        return self._until.get(stream)

    def take_up(self, noted: Watched) -> None:
        """Take up what another process noted of streams this one has not watched for longer."""
        name, _, interval = noted.channel.partition(".")
        for symbol, until in noted.until.items():
            stream = StreamId(name, interval, noted.provider, symbol)  # type: ignore[arg-type]  # of any channel there was
            self._reaches(stream, until)

    def since(
        self, streams: Collection[StreamId], stored: Mapping[StreamId, EventTime]
    ) -> dict[StreamId, EventTime]:
        """Return until when each stream was watched, by whichever provider; else how far what is stored of it comes.

        What one provider did not collect while another served is not missing.
        """
        since: dict[StreamId, EventTime] = {}
        for stream in streams:
            until = self._newest.get(_name(stream), stored.get(stream))
            if until is not None:
                since[stream] = EventTime(until)
        return since

    def keep(self, streams: Collection[StreamId]) -> None:
        """Forget all others once what changed of them is told: whoever collects them now notes them."""
        self._kept = frozenset(streams)
        self._leaving = self._until.keys() - self._kept
        # Whoever provides it: one that is asked no more may have watched the longest.
        names = {_name(stream) for stream in self._kept}
        self._newest = {name: until for name, until in self._newest.items() if name in names}
        self._failed = {name: cause for name, cause in self._failed.items() if name in names}

    def changed(self, partitions: int) -> Iterator[tuple[int, Watched]]:
        """Yield, with its partition, a record of every group in which something changed since the last call."""
        groups: dict[Group, None] = {_group(stream, partitions): None for stream in self._changed}
        self._changed.clear()
        members: dict[Group, dict[str, MarketTime]] = {group: {} for group in groups}
        for stream, until in self._until.items():
            group = _group(stream, partitions)
            if group in members:
                members[group][stream.symbol] = until
        for (channel, provider, partition), until_of in members.items():
            first = dict(islice(until_of.items(), MAX_SYMBOLS))
            yield partition, Watched(channel=channel, provider=provider, until=first)
        # Not what was taken up since: it is kept in a moment.
        for stream in self._leaving:
            del self._until[stream]
        self._leaving.clear()

    def _reaches(self, stream: StreamId, until: MarketTime) -> bool:
        """Take `until` where it is later than what is known of the stream; whether it is."""
        if self._until.get(stream, 0) >= until:
            return False
        self._until[stream] = until
        self._newest[_name(stream)] = max(self._newest.get(_name(stream), until), until)
        return True


class Received:
    """Market time (µs) up to which everything was received over one connection after another; it never moves back.

    A frame is as late as its oldest trade, and what is as late as that may be on its way when a connection breaks:
    vendors gather what a frame holds, and some feeds are late by minutes.
    """

    def __init__(self) -> None:
        """Nothing was received."""
        self.until: EventTime | None = None
        self._late_us = 0

    def begin(self, now: MarketTime) -> None:
        """Note that symbols are subscribed from `now` on."""
        self.until = EventTime(now)

    def heard(self, now: MarketTime, stamps: Iterable[EventTime] = ()) -> None:
        """Note a frame, heard at `now`, with the stamps of the trades in it: a ping has none."""
        late_us = now - min(stamps, default=EventTime(now - self._late_us))
        if late_us <= LATEST_US:
            self._late_us = max(late_us, 0)
        until = EventTime(now - self._late_us)
        self.until = until if self.until is None else max(self.until, until)


def _name(stream: StreamId) -> Name:
    return stream.channel, stream.symbol


def _group(stream: StreamId, partitions: int) -> Group:
    return stream.channel, stream.provider, partition_of(stream.symbol, partitions)


def watched_key(partition: int, noted: Watched) -> bytes:
    """Return the record key: compaction keeps the newest of each group."""
    return f"{noted.channel}:{noted.provider}:{partition}".encode()
