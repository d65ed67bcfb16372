"""The live topics in memory: one reader per process keeps every feed's latest values and recent records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from gateway.live.feeds import RING_BUDGET_BYTES, Feed, Feeds
from gateway.live.gap_news import GapNews
from gateway.live.newest import NewestRecord
from gateway.live.ring import RING_MESSAGES
from gateway.live.shell.past import LogPast
from gateway.live.shell.pump import Pump
from gateway.live.streams import (
    BEST,
    CAPABILITY_CHANNELS,
    LiveStream,
    parse_stream,
)
from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import PermanentError
from schemas.identity import event_id
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM, Bar, Quote, Trade

CLIENT_ID = "mds-gateway"

R = TypeVar("R", Quote, Trade, Bar)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecord(Generic[R]):
    """A canonical record with its place: `offset` in `partition` of its topic."""

    record: R
    partition: int
    offset: CanonicalOffset
    event_id: str


class Watcher(Protocol):
    """Somebody who delivers streams to one client."""

    def arrived(self, number: int) -> None:
        """Note that the past that subscription `number` waits for was read."""

    def gap(self, number: int, fields: Mapping[str, Any]) -> None:
        """Note that a gap of the stream of subscription `number` changed its state."""

    def routed(self, numbers: Sequence[int], fields: Mapping[str, Any]) -> None:
        """Note that another provider serves the streams of these subscriptions, or that none can."""

    def log_state(self) -> None:
        """Note that the log became reachable or unreachable."""

    def lost_position(self) -> None:
        """Note that the log was replaced: every offset the client knows is void."""


class LiveStreams:
    """Feeds kept up to date from Kafka, and who watches them. Used from one event loop."""

    def __init__(
        self, bootstrap: str, prefix: str, partitions: int, *, budget_bytes: int, ring_messages: int
    ) -> None:
        """Use `open`, which also runs it."""
        self.feeds = Feeds(partitions, budget_bytes=budget_bytes, ring_messages=ring_messages)
        self._pump = Pump(bootstrap, prefix, self.feeds, self)
        self.past = LogPast(bootstrap, CLIENT_ID, prefix)
        self._watchers: dict[tuple[str, str], dict[tuple[Watcher, int], LiveStream]] = {}
        self._moved: dict[Feed, None] = {}  # and whoever watches it was not looked up yet
        self._on_moved: list[Callable[[], None]] = []
        self._on_feeds: list[Callable[[Iterable[Feed]], None]] = []
        self._joined: set[Watcher] = set()
        self.exhausted: set[str] = set()  # channels that no provider can serve now
        self._drains: list[Callable[[float], Awaitable[None]]] = []
        # of each scope that was asked for the newest record as it was made into an object
        self._made: dict[tuple[str, str, str], tuple[NewestRecord, LiveRecord[Any]]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        bootstrap: str,
        partitions: int,
        *,
        prefix: str = "",
        budget_bytes: int = RING_BUDGET_BYTES,
        ring_messages: int = RING_MESSAGES,
    ) -> AsyncIterator[LiveStreams]:
        """Run inside: returns at once and warms up behind; `ready` says when clients can be served.

        Each topic has `partitions`.

        Outlives broker outages. Raises ConfigurationError where a topic is missing.
        """
        live = cls(bootstrap, prefix, partitions, budget_bytes=budget_bytes, ring_messages=ring_messages)
        try:
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(live._pump.run(), name="live")
                try:
                    yield live
                finally:
                    pump.cancel()
        finally:
            await asyncio.to_thread(live._pump.close)
            await live.past.close()

    @property
    def ready(self) -> bool:
        """Whether every partition is warm, so that streams have positions."""
        return self._pump.ready

    @property
    def reachable(self) -> bool:
        """Whether the broker answered when last asked."""
        return self._pump.reachable

    @property
    def reachable_since(self) -> WallTime:
        """Return when `reachable` last changed."""
        return self._pump.reachable_since

    @property
    def log(self) -> Mapping[str, str] | None:
        """The incarnations of the topics whose every record from some moment on memory has seen; None while it has not."""
        return self.feeds.epochs if self.ready and self.reachable else None

    def latest_quote(self, symbol: str, provider: str | None = None) -> LiveRecord[Quote] | None:
        """Return the newest quote by event time, of one provider or of the primaries; None where none was seen."""
        return self._latest(QUOTE_STREAM.name, symbol, provider, Quote)

    def latest_trade(self, symbol: str, provider: str | None = None) -> LiveRecord[Trade] | None:
        """Return the newest trade, like `latest_quote`."""
        return self._latest(TRADE_STREAM.name, symbol, provider, Trade)

    def latest_bar(self, symbol: str, interval: str, provider: str | None = None) -> LiveRecord[Bar] | None:
        """Return the newest bar, which may still be forming, like `latest_quote`."""
        return self._latest(BAR_STREAM.channel(interval), symbol, provider, Bar)

    def revision(self, symbol: str) -> int:
        """Return a number that is another one once the newest values of the symbol may be others."""
        return self.feeds.revision(symbol)

    def knows(self, symbol: str) -> bool:
        """Whether the live topics carried the symbol since shortly before this process started."""
        return self.feeds.knows(symbol)

    def document(self) -> dict[str, Any]:
        """Return the state of this part for /health; JSON types."""
        sizes = {"feeds": len(self.feeds), "ring_bytes": self.feeds.held_bytes, "clients": len(self._joined)}
        return {**self._pump.document(), **sizes}

    def watch(self, stream: LiveStream, watcher: Watcher, number: int) -> Feed:
        """Name `watcher` in `take_moved` whenever the stream's feed moves; return the feed."""
        self._watchers.setdefault(stream.feed, {})[watcher, number] = stream
        feed = self.feeds.feed(*stream.feed)
        self._tell_feeds([feed])
        return feed

    def unwatch(self, stream: LiveStream, watcher: Watcher, number: int) -> None:
        """Undo `watch`."""
        watchers = self._watchers.get(stream.feed, {})
        watchers.pop((watcher, number), None)
        if not watchers:
            self._watchers.pop(stream.feed, None)
            if (feed := self.feeds.find(*stream.feed)) is not None:
                feed.forget_computed()

    def scopes(self, feed: Feed) -> set[str]:
        """Return the scopes of a feed that somebody watches; of one that was forgotten none."""
        if self.feeds.find(feed.channel, feed.symbol) is not feed:
            return set()
        return {stream.scope for stream in self._watchers.get((feed.channel, feed.symbol), {}).values()}

    def join(self, watcher: Watcher) -> None:
        """Tell `watcher` about the state of the log."""
        self._joined.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Undo `join`."""
        self._joined.discard(watcher)
        self.past.forget(watcher)

    def on_drain(self, drain: Callable[[float], Awaitable[None]]) -> None:
        """Register what `drain` must run."""
        self._drains.append(drain)

    async def drain(self, within_s: float) -> None:
        """Send every client away with 1012 within `within_s`; call before the server stops."""
        for drain in self._drains:
            await drain(within_s)

    async def offset_at(self, feed: Feed, time_us: int) -> CanonicalOffset | None:
        """Return the first offset appended at or after `time_us`; None where the log no longer reaches back.

        Raises BrokerUnavailable.
        """
        return await self.past.offset_at(feed.place, time_us)

    def on_moved(self, call: Callable[[], None]) -> None:
        """Call whenever `take_moved` has something to say, often several times before it is asked."""
        self._on_moved.append(call)

    def on_feeds(self, call: Callable[[Iterable[Feed]], None]) -> None:
        """Call with the watched feeds that have new records, and with one that is watched from now on."""
        self._on_feeds.append(call)

    def take_moved(self) -> list[tuple[Watcher, int]]:
        """Return, once, who watches what moved since the last time, and as which subscription."""
        # Looked up when somebody has the time: a record costs the same however many watch it.
        found = [key for feed in self._moved for key in self._watchers.get((feed.channel, feed.symbol), ())]
        self._moved.clear()
        return found

    def moved(self, feeds: set[Feed], gaps: Sequence[GapNews]) -> None:
        """Remember what moved for whoever watches it; see `LiveListener`."""
        watched = [feed for feed in feeds if (feed.channel, feed.symbol) in self._watchers]
        if watched:
            self.stir(watched)
            self._tell_feeds(watched)
        for news in gaps:
            self._announce_gap(news)

    def stir(self, feeds: Iterable[Feed]) -> None:
        """Have whoever watches these feeds look at what there is for it."""
        self._moved.update(dict.fromkeys(feeds))
        for call in self._on_moved:
            call()

    def routed(self, fields: Mapping[str, Any]) -> None:
        """Tell every client, in one message, which of its streams another provider serves from now on."""
        channel = CAPABILITY_CHANNELS.get(fields["capability"])
        if channel is not None and fields["changed"] == "exhausted":
            self.exhausted.add(channel)
        elif channel is not None:
            self.exhausted.discard(channel)
        affected: dict[Watcher, list[int]] = {}
        for (of_channel, _), watchers in self._watchers.items():
            if of_channel == channel:
                for (watcher, number), stream in watchers.items():
                    if stream.scope in (BEST, fields["provider"], fields["previous"]):
                        affected.setdefault(watcher, []).append(number)
        for watcher, numbers in affected.items():
            watcher.routed(numbers, fields)

    def reachable_changed(self) -> None:
        """Pass the state of the log on."""
        for watcher in tuple(self._joined):
            watcher.log_state()

    def log_replaced(self) -> None:
        """Tell every client that its positions are void; nobody watches what is no more."""
        self._made.clear()
        self._watchers.clear()
        self._moved.clear()
        self.past.clear()
        for watcher in tuple(self._joined):
            watcher.lost_position()

    def _tell_feeds(self, feeds: Sequence[Feed]) -> None:
        for call in self._on_feeds:
            call(feeds)

    def _announce_gap(self, news: GapNews) -> None:
        try:
            hurt = parse_stream(news.fields["stream"])
        except PermanentError:
            return  # a gap of something that is no live stream
        # Of what is no record of the stream of gaps, those who read that must be told as well.
        feeds = (hurt.feed,) if news.recorded else (hurt.feed, ("gaps", hurt.symbol))
        for feed in feeds:
            for (watcher, number), stream in self._watchers.get(feed, {}).items():
                if stream.scope in (BEST, hurt.scope):
                    watcher.gap(number, news.fields)

    def _latest(
        self, channel: str, symbol: str, provider: str | None, record: type[R]
    ) -> LiveRecord[R] | None:
        scope = provider or BEST
        feed = self.feeds.find(channel, symbol)
        known = None if feed is None else feed.latest(scope)
        if feed is None or known is None:
            return None
        made = self._made.get((channel, symbol, scope))
        if made is not None and made[0] is known:
            return cast("LiveRecord[R]", made[1])
        found = record(**known.fields)
        identity = event_id(
            feed.topic, symbol, found.event_time, known.partition, found.raw_offset, found.index
        )
        newest = LiveRecord(record=found, partition=known.partition, offset=known.offset, event_id=identity)
        self._made[channel, symbol, scope] = known, newest
        return newest
