"""The live topics as a gateway process knows them: positions, latest values and recent records, within a budget."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gateway.http.moments import ALL_KNOWN
from gateway.live.computed import ComputedValues
from gateway.live.gap_news import MAX_OPEN_GAPS, GapNews, SymbolGaps
from gateway.live.newest import NewestRecord, NewestSlices
from gateway.live.ring import RING_MESSAGES, Entry, Ring
from gateway.live.streams import (
    BEST,
    CHANNEL_TOPICS,
    channel_of,
    encode_entry,
    is_shadow,
    item_of,
    without_lists,
)
from schemas.clocks import CanonicalOffset, KnowledgeTime
from schemas.intervals import AHEAD_US
from schemas.partitions import TopicPartition, partition_of
from schemas.providers.built_in import is_priced
from schemas.streams import STREAMS
from schemas.topics import GAPS

OPEN_GAP_STATES = frozenset({"open", "filling"})
# Whose absences are told: a slot is expected to be filled.
SLOT_TOPICS = frozenset(stream.topic for stream in STREAMS if stream.versions == "slots")
NO_PLACE = CanonicalOffset(-1)  # of what is derived and is no record of the log
RING_BUDGET_BYTES = 268_435_456  # all rings of the process together
# One ring, so that a chain of large slices does not take the memory of all other feeds: it holds some 50 polls of
# 20 expiries with 200 legs.
RING_BYTES = 33_554_432


class Feed:
    """All records of one channel of one symbol."""

    def __init__(self, channel: str, symbol: str, partition: int, ring: Ring) -> None:
        """Begin with nothing seen."""
        self.channel = channel
        self.symbol = symbol
        self.topic = CHANNEL_TOPICS[channel]
        self.partition = partition
        self.place = TopicPartition(self.topic, partition)
        self.ring = ring
        self.open_gaps: dict[str, NewestRecord] = {}
        self.queued = False  # whether it has its place among those the budget is taken from
        self._latest: dict[str, NewestRecord] = {}
        self._latest_final: dict[str, NewestRecord] = {}
        self._slices: dict[str, NewestSlices] = {}
        self._computed: dict[str, ComputedValues] = {}

    def latest(self, scope: str) -> NewestRecord | None:
        """Return the newest record of a scope; of bars the forming one counts."""
        return self._latest.get(scope)

    def snapshot(self, scope: str) -> list[bytes]:
        """Return the encoded newest records of a scope: open gaps, the last closed and the forming bar, or the newest.

        Of an option chain it is the newest slice of each root and expiry.
        """
        if self.topic == GAPS:
            gaps = self.open_gaps.values()
            return [gap.body for gap in gaps if scope in (BEST, gap.fields["provider"])]
        if (slices := self._slices.get(scope)) is not None:
            return slices.bodies()
        newest, final = self._latest.get(scope), self._latest_final.get(scope)
        kept = {known.offset: known.body for known in (final, newest) if known is not None}
        return list(kept.values())

    def slices(self, scope: str) -> list[tuple[Hashable, NewestRecord]]:
        """Return (item, slice) of the newest slices of a scope, in the order of the log."""
        held = self._slices.get(scope)
        return [] if held is None else held.items()

    def computed(self, scope: str) -> ComputedValues:
        """Return what was computed of the newest records of a scope."""
        return self._computed.setdefault(scope, ComputedValues())

    def forget_computed(self) -> None:
        """Forget what was computed: nobody reads it any more."""
        self._computed.clear()

    def note(self, scopes: Iterable[str], known: NewestRecord) -> None:
        """Keep `known` where it is the newest of a scope."""
        moment = known.fields.get("event_time", 0)
        if moment > known.fields["known_from"] + AHEAD_US:
            return  # a suspect stamp: it would stand for the newest until then
        if not is_priced(known.fields["provider"], known.fields.get("conditions", "")):
            return  # a trade at another price than that of its moment
        for scope in scopes:
            if (held := self._latest.get(scope)) is None or moment >= held.fields.get("event_time", 0):
                self._latest[scope] = known
            if known.fields.get("final") and (
                (held := self._latest_final.get(scope)) is None or moment >= held.fields["event_time"]
            ):
                self._latest_final[scope] = known
            if item := item_of(self.topic, known.fields):
                self._slices.setdefault(scope, NewestSlices()).note(item, known)

    def note_gap(self, known: NewestRecord) -> None:
        """Keep a gap while it is open; the oldest known give way beyond the bound."""
        gap_id = known.fields["gap_id"]
        self.open_gaps.pop(gap_id, None)
        if known.fields["state"] in OPEN_GAP_STATES:
            self.open_gaps[gap_id] = known
            if len(self.open_gaps) > MAX_OPEN_GAPS:
                del self.open_gaps[next(iter(self.open_gaps))]


class Feeds:
    """Every feed of the process. Rings share one budget; the oldest record of all is the first to go.

    No ring takes more than `ring_bytes` of it.
    """

    def __init__(
        self,
        partitions: int,
        *,
        budget_bytes: int = RING_BUDGET_BYTES,
        ring_messages: int = RING_MESSAGES,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        """Begin empty; `begin` each partition before applying its records."""
        self.partitions = partitions
        self._budget_bytes = budget_bytes
        self._ring_messages, self._ring_bytes = ring_messages, ring_bytes
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._moves = 0
        self._moved: dict[str, int] = {}  # by symbol, when it last did
        self._begun_after: dict[TopicPartition, CanonicalOffset] = {}
        self._applied: dict[TopicPartition, CanonicalOffset] = {}
        self._gaps: dict[str, SymbolGaps] = {}
        self._bars_since: dict[int, KnowledgeTime] = {}
        self._news: list[GapNews] = []
        # A heap: of each feed with records, when its oldest was appended; it may have gone since.
        self._oldest: list[tuple[int, int, Feed]] = []
        self.held_bytes = 0
        self.epochs: Mapping[str, str] = {}  # per topic, the name of its present incarnation

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def applied_everywhere(self) -> Mapping[TopicPartition, CanonicalOffset]:
        """Return, per partition, the offset up to which its records are applied."""
        return self._applied

    def begin(self, place: TopicPartition, next_offset: int) -> None:
        """Declare that the first record to be applied is at `next_offset` or above."""
        self._begun_after[place] = self._applied[place] = CanonicalOffset(next_offset - 1)
        if place.topic in SLOT_TOPICS and next_offset == 0:
            self._bars_since[place.partition] = KnowledgeTime(0)

    def applied(self, feed: Feed) -> CanonicalOffset:
        """Return the offset up to which the feed's partition is applied."""
        return self._applied[feed.place]

    def knows(self, symbol: str) -> bool:
        """Whether any record of the symbol was seen."""
        return symbol in self._moved

    def revision(self, symbol: str) -> int:
        """Return a number that is another one after any record of the symbol came, or was forgotten."""
        return self._moved.get(symbol, 0)

    def find(self, channel: str, symbol: str) -> Feed | None:
        """Return a feed that exists."""
        return self._feeds.get((channel, symbol))

    def feed(self, channel: str, symbol: str) -> Feed:
        """Return a feed, made where nothing of it was seen yet."""
        found = self._feeds.get((channel, symbol))
        if found is None:
            partition = partition_of(symbol, self.partitions)
            begun_after = self._begun_after[TopicPartition(CHANNEL_TOPICS[channel], partition)]
            found = Feed(channel, symbol, partition, Ring(begun_after, self._ring_messages))
            self._feeds[channel, symbol] = found
        return found

    def apply(
        self, place: TopicPartition, offset: CanonicalOffset, append_time: int, fields: Mapping[str, Any]
    ) -> Feed | None:
        """Take the next record of a partition, appended by the broker at `append_time` (µs), and return its feed.

        Returns None for a record of no stream: one in a partition that is not its symbol's has no position there.
        """
        self._applied[place] = offset
        topic, partition = place
        symbol, channel = fields["symbol"], channel_of(topic, fields)
        if channel not in CHANNEL_TOPICS or partition_of(symbol, self.partitions) != partition:
            return None
        feed = self.feed(channel, symbol)
        self._moves += 1
        self._moved[symbol] = self._moves
        provider, shadow = fields["provider"], is_shadow(fields)
        body = encode_entry(topic, partition, offset, fields)
        before = feed.ring.newest(BEST), feed.ring.newest(provider)
        moment, item = fields.get("event_time", 0), item_of(topic, fields)
        self._hold(feed, Entry(offset, *before, provider, shadow, moment, append_time, body, item))
        known = NewestRecord(without_lists(topic, fields), partition, offset, body)
        if topic == GAPS:
            feed.note_gap(known)
            self._news += self._gaps_of(symbol).hear_gap(fields)
            return feed
        if topic in SLOT_TOPICS:
            self._bars_since.setdefault(partition, fields["known_from"])
            if fields["final"]:
                self._news += self._gaps_of(symbol).hear_bar(fields)
        feed.note((provider,) if shadow else (BEST, provider), known)
        return feed

    def hear(self, place: TopicPartition, offset: CanonicalOffset, fields: Mapping[str, Any]) -> None:
        """Take the next record of evidence.v1: a record of no feed, it may be news of gaps."""
        self._applied[place] = offset
        if partition_of(fields["symbol"], self.partitions) == place.partition:
            self._news += self._gaps_of(fields["symbol"]).hear_evidence(fields)

    def take_news(self) -> list[GapNews]:
        """Return, once, what became news of gaps since the last call, in the order it was heard."""
        news, self._news = self._news, []
        return news

    def snapshot(self, feed: Feed, scope: str) -> list[bytes]:
        """Return the encoded latest values of a scope of a feed; of gaps the open ones, absences among them.

        An absence is no record of the log. One that is older than the bars seen here is left out: they may have come.
        """
        found = feed.snapshot(scope)
        if feed.topic != GAPS or feed.symbol not in self._gaps:
            return found
        since = self._bars_since.get(feed.partition, ALL_KNOWN)
        for gap in self._gaps[feed.symbol].absences(since):
            if scope in (BEST, gap.provider):
                found.append(encode_entry(GAPS, feed.partition, NO_PLACE, asdict(gap)))
        return found

    def advance(self, place: TopicPartition, next_offset: int) -> None:
        """Declare that nothing is left below `next_offset`: what was not delivered never will be."""
        self._applied[place] = CanonicalOffset(max(self._applied[place], next_offset - 1))

    def forget(self) -> None:
        """Begin again: the log is another one, so nothing known here has a place in it."""
        self._moves += 1
        self._moved = dict.fromkeys(self._moved, self._moves)
        self._feeds.clear()
        self._begun_after.clear()
        self._applied.clear()
        self._gaps.clear()
        self._bars_since.clear()
        self._news.clear()
        self._oldest.clear()
        self.held_bytes = 0
        self.epochs = {}

    def _gaps_of(self, symbol: str) -> SymbolGaps:
        found = self._gaps.get(symbol)
        if found is None:
            found = self._gaps[symbol] = SymbolGaps()
        return found

    def _hold(self, feed: Feed, entry: Entry) -> None:
        pushed_out = feed.ring.append(entry)
        self.held_bytes += entry.cost_bytes - (0 if pushed_out is None else pushed_out.cost_bytes)
        while feed.ring.held_bytes > self._ring_bytes and (given_up := feed.ring.evict()) is not None:
            self.held_bytes -= given_up.cost_bytes
        if not feed.queued:
            feed.queued = True
            heapq.heappush(self._oldest, (entry.append_time, id(feed), feed))
        while self.held_bytes > self._budget_bytes and self._oldest:
            self._evict()

    def _evict(self) -> None:
        """Take the oldest record of all, or learn that a feed's oldest is not what it was: its ring moves by itself."""
        at, number, feed = self._oldest[0]
        oldest = feed.ring.oldest
        if oldest is None:
            heapq.heappop(self._oldest)
            feed.queued = False
        elif oldest.append_time > at:
            heapq.heapreplace(self._oldest, (oldest.append_time, number, feed))
        else:
            feed.ring.evict()
            self.held_bytes -= oldest.cost_bytes
