"""Delivery to one client: answers and notices first, then data, a frame at a time.

Answers and notices are queued within a bound. Data is not queued at all: it waits in the log, and each subscription
is a cursor (see `subscription`). Subscriptions take turns, so a busy stream does not starve a quiet one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.live.feeds import Feed, Feeds
from gateway.live.streams import LiveStream
from gateway.websocket import encoding, messages
from gateway.websocket.subscription import BEHIND_CLEAR_PERCENT, BEHIND_WARN_PERCENT, Subscription
from schemas.clocks import CanonicalOffset, WallTime

QUEUE_BYTES = 1_048_576  # answers and notices waiting for one client
QUEUE_MESSAGES = 10_000
FRAME_BYTES = 65_536  # a frame is closed once it is this long


@dataclass(frozen=True, slots=True)
class OpenSubscription:
    """A subscription and the feed it reads."""

    subscription: Subscription
    feed: Feed


@dataclass(slots=True)
class Frame:
    """One frame, and what to say of it once it is handed over; times in µs."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 2
    records: int = 0
    conflated: int = 0
    append_times: list[int] = field(default_factory=list)

    def add(self, message: bytes) -> None:
        """Append one message."""
        self.parts.append(message)
        self.size_bytes += len(message) + 1

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return encoding.frame(self.parts)


class ClientQueue:
    """Everything that waits for one client."""

    def __init__(self, feeds: Feeds) -> None:
        """Begin with nothing waiting; records come from `feeds`."""
        self._feeds = feeds
        self.places: dict[int, OpenSubscription] = {}
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._due: dict[int, None] = {}  # insertion order is whose turn it is
        self._fallen: list[OpenSubscription] = []

    @property
    def overflowing(self) -> bool:
        """Whether the client has left more answers and notices unread than it may."""
        return self._queued_bytes > QUEUE_BYTES or len(self._queue) > QUEUE_MESSAGES

    @property
    def waiting(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._queue or self._due)

    def push(self, message: bytes) -> None:
        """Queue an answer or a notice; look at `overflowing` afterwards."""
        self._queue.append(message)
        self._queued_bytes += len(message)

    def open(self, place: OpenSubscription) -> None:
        """Serve one more subscription."""
        self.places[place.subscription.number] = place

    def drop(self, number: int) -> LiveStream | None:
        """Stop serving a subscription and return its stream, None where there is no such one."""
        self._due.pop(number, None)
        place = self.places.pop(number, None)
        return None if place is None else place.subscription.stream

    def wake(self, number: int) -> None:
        """Note that something may wait for a subscription."""
        if number in self.places:
            self._due[number] = None

    def refresh(self, numbers: Iterable[int], reason: str) -> None:
        """Send a flagged snapshot of those streams of which only the newest value counts, instead of what waits.

        A stream of which every record counts is left alone: a snapshot would stand for records it does not hold.
        """
        for number in numbers:
            place = self.places.get(number)
            if place is not None and place.subscription.conflate and not place.subscription.busy:
                place.subscription.restart(reason)
                self._due[number] = None

    def frame(self) -> Frame | None:
        """Return the next frame, None where nothing waits."""
        frame = Frame()
        while self._queue and frame.size_bytes < FRAME_BYTES:
            message = self._queue.popleft()
            self._queued_bytes -= len(message)
            frame.add(message)
        while self._due and frame.size_bytes < FRAME_BYTES:
            number = next(iter(self._due))
            del self._due[number]
            self._take(self.places[number], frame)
        # Taking may have produced a notice about falling behind.
        while self._queue and frame.size_bytes < FRAME_BYTES:
            message = self._queue.popleft()
            self._queued_bytes -= len(message)
            frame.add(message)
        return frame if frame.parts else None

    def fallen(self) -> list[OpenSubscription]:
        """Return, once, the subscriptions that memory cannot serve any more: read their past from Kafka."""
        fallen, self._fallen = self._fallen, []
        return fallen

    def heartbeat(self, now: WallTime) -> None:
        """Queue a heartbeat with the offsets up to which the quiet streams are whole."""
        moved = []
        for number, place in self.places.items():
            if place.subscription.settle(place.feed.ring, self._feeds.applied(place.feed)):
                moved.append([number, place.subscription.covered])
        self.push(messages.Heartbeat(now=now, subs=moved).encode())

    def positions(self) -> Iterator[tuple[LiveStream, CanonicalOffset]]:
        """Yield where the client may resume each stream, once it has read everything sent so far."""
        for place in self.places.values():
            yield place.subscription.stream, place.subscription.covered

    def unsent(self) -> int:
        """Return how many records of streams that are never conflated wait in memory for this client."""
        return sum(
            place.feed.ring.count_after(place.subscription.covered)
            for place in self.places.values()
            if not place.subscription.conflate
        )

    def _take(self, place: OpenSubscription, frame: Frame) -> None:
        subscription, ring = place.subscription, place.feed.ring
        if subscription.snapshot_due is not None:
            frame.add(self._snapshot(place, subscription.snapshot_due))
        if subscription.fell_behind(ring):
            subscription.await_history()
            subscription.behind = True
            self._fallen.append(place)
            self._say_slow(place, "catching_up")
            return
        delivery = subscription.take(ring, FRAME_BYTES - frame.size_bytes)
        if delivery is None:
            return
        if delivery.message:
            frame.add(delivery.message)
        frame.records += delivery.records
        frame.conflated += delivery.conflated
        if delivery.append_time is not None:
            frame.append_times.append(delivery.append_time)
        if delivery.more:
            self._due[subscription.number] = None
        self._watch_lag(place, live=delivery.append_time is not None)

    def _snapshot(self, place: OpenSubscription, reason: str) -> bytes:
        # Made when there is room for it, so a thousand of them take no memory while they wait.
        subscription, feed = place.subscription, place.feed
        applied, epoch = self._feeds.applied(feed), self._feeds.epochs[feed.topic]
        records = self._feeds.snapshot(feed, subscription.stream.scope)
        subscription.snapshot_sent(applied)
        return messages.LatestValues(
            sub=subscription.number,
            epoch=epoch,
            offset=applied,
            floor_offset=feed.ring.begun_after,
            reason=reason,
            last=True,
            data=records,
        ).encode()

    def _watch_lag(self, place: OpenSubscription, *, live: bool) -> None:
        subscription = place.subscription
        if subscription.conflate or not live:
            return
        percent = place.feed.ring.count_after(subscription.covered) * 100 // place.feed.ring.capacity
        if not subscription.behind and percent >= BEHIND_WARN_PERCENT:
            subscription.behind = True
            self._say_slow(place, "warn")
        elif subscription.behind and percent < BEHIND_CLEAR_PERCENT:
            subscription.behind = False
            self._say_slow(place, "cleared")

    def _say_slow(self, place: OpenSubscription, action: str) -> None:
        ring, covered = place.feed.ring, place.subscription.covered
        queued = ring.count_after(covered)
        self.push(
            messages.Slow(
                sub=place.subscription.number,
                queued=queued,
                limit=ring.capacity,
                pct=queued * 100 // ring.capacity,
                action=action,
            ).encode()
        )
