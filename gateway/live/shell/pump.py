"""Moves the live topics from Kafka into feeds, through broker restarts, and says when the log is another one.

The loop asks for the next batch only when it has dealt with the last, so what is not yet wanted waits in the Kafka
client's bounded queue and then in Kafka: nothing is dropped, and nothing grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from gateway.live.feeds import Feed, Feeds
from gateway.live.gap_news import GapNews
from gateway.live.shell.log import LogDoubtful, LogReplaced, Tail, ends_partition
from gateway.live.streams import LIVE_TOPICS
from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.clients import Message
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable, ConfigurationError, PermanentError
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM
from schemas.topics import EVIDENCE, GAPS, PROVIDER_HEALTH
from schemas.wire.codec import decode_value

WARM_TAIL = 5_000  # offsets per partition read before the first client is let in
WARM_SLICES = 2_000  # ... of option chains, whose decoding takes 2 ms each; an hour's polls of 15 symbols
FETCH_MESSAGES = 2_000
TURN_MESSAGES = 200  # applied between two looks at the sockets: about 4 ms
TURN_BYTES = 65_536  # ... as are two slices of an option chain with 200 legs
PROBE_EVERY_S = 5.0

log = logging.getLogger(__name__)


def turns(batch: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield the messages of a batch, in order, as many at a time as are applied in one turn of the loop."""
    part: list[Message] = []
    size = 0
    for message in batch:
        part.append(message)
        size += len(message.value() or b"")
        if len(part) >= TURN_MESSAGES or size >= TURN_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


class LiveListener(Protocol):
    """Receiver of what the pump did."""

    def moved(self, feeds: set[Feed], gaps: Sequence[GapNews]) -> None:
        """Note that these feeds have new records, and that these gaps are new or have ended."""

    def routed(self, fields: Mapping[str, Any]) -> None:
        """Note that the choice of a capability's provider changed, as its health record says."""

    def reachable_changed(self) -> None:
        """Read `Pump.reachable` again."""

    def log_replaced(self) -> None:
        """Note that all feeds were forgotten: no offset given out so far means anything."""


class Pump:
    """One reader of every partition of the stream topics."""

    def __init__(self, bootstrap: str, prefix: str, feeds: Feeds, listener: LiveListener) -> None:
        """Use `run`; `close` must be called after it."""
        self._bootstrap, self._prefix = bootstrap, prefix
        self._feeds, self._listener = feeds, listener
        self._tail_thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-live")
        self._probe_thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-probe")
        self._warming: dict[TopicPartition, CanonicalOffset] = {}
        self._moved_at_s = monotonic_s()
        self._probed = False  # whether the topics were ever there
        self.reachable = False
        self.reachable_since = wall_us()
        self.ready = False

    def document(self) -> dict[str, Any]:
        """Return what /health shows; JSON types."""
        return {
            "ready": self.ready,
            "broker_reachable": self.reachable,
            "since": self.reachable_since,
            "seconds_since_record": round(monotonic_s() - self._moved_at_s, 1),
            "warming_partitions": len(self._warming),
        }

    def close(self) -> None:
        """Wait for the threads, each within a bounded call."""
        self._tail_thread.shutdown()
        self._probe_thread.shutdown()

    async def run(self) -> None:
        """Follow the log for ever; raise ConfigurationError where a topic is missing at the start."""
        while True:
            try:
                await self._session()
            except* BrokerUnavailable as problems:
                self._set_reachable(now=False)
                log.warning("live_log_unreachable", extra={"error": str(problems.exceptions[0])})
            except* LogReplaced as problems:
                log.error("live_log_replaced", extra={"error": str(problems.exceptions[0])})
                self.ready = False
                self._feeds.forget()
                self._listener.log_replaced()
            await asyncio.sleep(RETRY_S)

    async def _session(self) -> None:
        tail = Tail(self._bootstrap, "mds-gateway-live", self._prefix, LIVE_TOPICS)
        try:
            await self._probe(tail)
            tail.assign(await self._on_tail(self._starts, tail))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(tail), name="live-pump")
                tasks.create_task(self._probe_regularly(tail), name="live-probe")
        finally:
            await self._on_tail(tail.close)

    async def _pump(self, tail: Tail) -> None:
        look_at_s = 0.0
        while True:
            batch = await self._on_tail(tail.fetch, FETCH_MESSAGES)
            if tail.doubtful and (batch or monotonic_s() >= look_at_s):
                # Before anything is applied that may be of another log.
                look_at_s = monotonic_s() + RETRY_S
                await self._probe_quietly(tail)
            for part in turns(batch):
                self._apply(tail, part)
                await asyncio.sleep(0)  # accepts and writers get their turn
            if not self.ready and not self._warming:
                self.ready = True
                log.info("live_streams_warm", extra={"feeds": len(self._feeds)})

    def _apply(self, tail: Tail, messages: Sequence[Message]) -> None:
        touched: set[Feed] = set()
        for message in messages:
            place, offset = tail.address_of(message)
            if message.error() is not None:
                self._hear(tail, message, place, offset)
                continue
            try:
                fields = decode_value(place.topic, message.value())
            except PermanentError as problem:
                self._skip(place, offset, str(problem))
                continue
            if place.topic == PROVIDER_HEALTH:
                self._feeds.advance(place, offset + 1)
                if fields["changed"] != "no":
                    self._listener.routed(fields)
                continue
            if place.topic == EVIDENCE:
                self._feeds.hear(place, offset, fields)
                continue
            feed = self._feeds.apply(place, offset, message.timestamp()[1] * 1_000, fields)
            if feed is None:
                self._skip(place, offset, "no stream has it: its partition or interval is not ours")
                continue
            touched.add(feed)
        if self._warming:
            self._cool()
        self._moved_at_s = monotonic_s()
        self._listener.moved(touched, self._feeds.take_news())

    def _hear(self, tail: Tail, event: Message, place: TopicPartition, offset: CanonicalOffset) -> None:
        try:
            if ends_partition(event):
                self._feeds.advance(place, offset)
                self._warming.pop(place, None)
        except LogDoubtful as problem:
            log.warning("live_log_doubtful", extra={"error": str(problem)})
            tail.doubt()

    def _skip(self, place: TopicPartition, offset: CanonicalOffset, why: str) -> None:
        self._feeds.advance(place, offset + 1)
        metrics.WS_UNREADABLE_RECORDS.labels(place.topic).inc()
        log.warning(
            "live_record_skipped",
            extra={"topic": place.topic, "partition": place.partition, "offset": offset, "error": why},
        )

    def _cool(self) -> None:
        applied = self._feeds.applied_everywhere
        for place in [place for place, end in self._warming.items() if applied[place] + 1 >= end]:
            del self._warming[place]

    def _starts(self, tail: Tail) -> dict[TopicPartition, CanonicalOffset]:
        applied = self._feeds.applied_everywhere
        starts: dict[TopicPartition, CanonicalOffset] = {}
        for place, (low, high) in tail.ends(self._feeds.partitions).items():
            if place in applied:
                starts[place] = CanonicalOffset(applied[place] + 1)
            else:
                # The ledger is compacted: what is open stands anywhere in it, and a client must hear of all of it.
                tail_offsets = WARM_SLICES if place.topic == OPTION_STREAM.topic else WARM_TAIL
                starts[place] = low if place.topic == GAPS else CanonicalOffset(max(low, high - tail_offsets))
                self._feeds.begin(place, starts[place])
                if starts[place] < high:
                    self._warming[place] = high
        return starts

    async def _probe_regularly(self, tail: Tail) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            await self._probe_quietly(tail)

    async def _probe_quietly(self, tail: Tail) -> None:
        try:
            await self._probe(tail)
        except BrokerUnavailable as problem:
            self._set_reachable(now=False)
            log.warning("live_log_unreachable", extra={"error": str(problem)})

    async def _probe(self, tail: Tail) -> None:
        tail.trust()  # first: a doubt that comes while we look is about what comes after
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._probe_thread, tail.epochs)
        except BrokerUnavailable:
            tail.doubt()
            raise
        except ConfigurationError as problem:
            tail.doubt()
            if not self._probed:
                raise
            # A broker that just started may not know it yet.
            raise BrokerUnavailable(str(problem)) from problem
        count = f".{self._feeds.partitions}"
        if other := sorted(name for name, epoch in found.items() if not epoch.endswith(count)):
            raise ConfigurationError(
                f"topics have another number of partitions than when this process began: {' '.join(other)}",
                remedy="restart: a process reads how many there are when it starts",
            )
        if self._feeds.epochs and found != self._feeds.epochs:
            raise LogReplaced(f"epochs were {dict(self._feeds.epochs)}, are {found}")
        self._feeds.epochs, self._probed = found, True
        self._set_reachable(now=True)

    def _set_reachable(self, *, now: bool) -> None:
        if now != self.reachable:
            self.reachable, self.reachable_since = now, wall_us()
            self._listener.reachable_changed()

    async def _on_tail(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._tail_thread, call, *arguments)
