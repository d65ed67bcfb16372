"""Delivery to one client: answers and notices first, then data, a frame at a time.

Answers and notices are queued within a bound. Data is not queued at all: it waits in the log, and each subscription
is a cursor (see `subscription`). Subscriptions take turns, so a busy stream does not starve a quiet one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from gateway.live.blocks import PastView
from gateway.live.feeds import Feeds
from gateway.live.streams import LiveStream
from gateway.websocket import messages
from gateway.websocket.frames import (
    FRAME_BYTES,
    Frame,
    OpenSubscription,
    Round,
    SharedFrame,
    add_computed,
    lag,
    snapshot,
    standing,
)
from gateway.websocket.freshness import StreamFreshness
from gateway.websocket.subscription import (
    BEHIND_CLEAR_PERCENT,
    BEHIND_WARN_PERCENT,
    RESUME_BEATS,
    Delivery,
    RefusedReason,
)
from schemas.clocks import CanonicalOffset, WallTime

QUEUE_BYTES = 1_048_576  # answers and notices waiting for one client
QUEUE_MESSAGES = 10_000


def unjudged(_: LiveStream) -> None:
    """Say nothing of the worth of a stream."""


class ClientQueue:
    """Everything that waits for one client."""

    def __init__(self, feeds: Feeds, past: PastView) -> None:
        """Begin with nothing waiting; records come from `feeds`, and from `past` what they hold no more."""
        self._feeds, self._past = feeds, past
        self.places: dict[int, OpenSubscription] = {}
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._due: dict[int, None] = {}  # insertion order is whose turn it is
        self._wants: list[OpenSubscription] = []
        self._refused: list[str] = []

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

    def wake(self, number: int) -> bool:
        """Note that something may wait for a subscription; whether that is news."""
        if number in self._due or number not in self.places:
            return False
        self._due[number] = None
        return True

    def arrived(self, number: int) -> None:
        """Note that the block of the log a subscription waits for was read."""
        place = self.places.get(number)
        if place is not None:
            place.subscription.waiting = False
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

    def shared(self, together: Round, number: int = 0) -> SharedFrame | None:
        """Return the next frame where another client was given the very same one; None: it has to be made.

        As after `wake(number)`, where that is not 0; one with no bytes says that nothing waits.
        """
        place = self._only(number)
        if place is not None and (made := together.made(place)) is not None:
            if self._due:
                self._due.clear()
            return made
        if number:
            self.wake(number)
        return None

    def share(self, together: Round) -> SharedFrame | None:
        """Return the next frame for this client and all that stand where it does, as `shared`; None: it has to be its own."""
        if self._queued_bytes or len(self._due) != 1:
            return None
        (number,) = self._due
        place = self.places[number]
        at, ring = standing(place), place.feed.ring
        # One that may have to be told of its lag is not like the others.
        if at is None or place.subscription.behind or place.subscription.fell_behind(ring):
            return None
        if ring.count_after(place.subscription.covered) * 100 >= BEHIND_WARN_PERCENT * ring.capacity:
            return None
        delivery = together.take(place.subscription, ring, self._feeds.applied(place.feed), FRAME_BYTES - 2)
        del self._due[number]
        if delivery is None:
            made = together.whole[at] = SharedFrame(b"", at[1], 0, 0, None)
            return made
        frame = Frame()
        self._add(place, delivery, frame, shared=True)
        made = SharedFrame(
            together.wire(frame), delivery.covered, delivery.records, delivery.conflated, delivery.append_time
        )
        if not delivery.more:
            together.whole[at] = made
        return made

    def frame(self, together: Round | None = None) -> Frame | None:
        """Return the next frame, None where nothing waits; what others get as well is made once `together`."""
        together, frame = together or Round(), Frame()
        self._add_queued(frame)
        while self._due and frame.size_bytes < FRAME_BYTES:
            number = next(iter(self._due))
            del self._due[number]
            place = self.places[number]
            self._take(place, frame, together)
            if add_computed(place, frame):
                self._due[number] = None
        # Taking may have produced a notice about falling behind.
        self._add_queued(frame)
        frame.resumed += self._refused
        self._refused.clear()
        return frame if frame.parts else None

    def wants(self) -> list[OpenSubscription]:
        """Return, once, the subscriptions whose next records have to be read from the log."""
        wants, self._wants = self._wants, []
        return wants

    def heartbeat(
        self, now: WallTime, worth: Callable[[LiveStream], StreamFreshness | None] = unjudged
    ) -> None:
        """Queue a heartbeat with the offsets up to which the quiet streams are whole, and what changed of their `worth`."""
        moved: list[list[int | None]] = []
        changed: dict[str, list[int]] = {}
        for number, place in self.places.items():
            subscription = place.subscription
            judged = worth(subscription.stream)
            if judged is not None and judged.code != subscription.state:
                subscription.state = judged.code
                changed.setdefault(judged.code, []).append(number)
            if subscription.settle(place.feed.ring, self._feeds.applied(place.feed)):
                known = place.feed.latest(subscription.stream.scope)
                told = None if known is None else known.fields.get("event_time")
                moved.append([number, subscription.covered, told])
            elif (recovery := subscription.recovery) is not None:
                recovery.beats += 1
                if recovery.beats > RESUME_BEATS:
                    self.refuse(place, "unavailable")
        for code, numbers in changed.items():
            self.push(messages.freshness(numbers, code).encode())
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

    def refuse(self, place: OpenSubscription, reason: RefusedReason) -> None:
        """Say that a stream cannot be made whole, and why; a snapshot follows."""
        number, floor = place.subscription.number, place.feed.ring.floor(place.subscription.stream.scope)
        self.push(messages.Recovered(sub=number, ok=False, reason=reason, floor_offset=floor).encode())
        place.subscription.restart("recovery")
        self._refused.append(reason)
        self._due[number] = None

    def _only(self, number: int) -> OpenSubscription | None:
        # The way of nearly every frame in a crowd: each thing looked at is looked up in memory anew, so few are.
        if self._queued_bytes:
            return None
        if not self._due:
            return self.places.get(number)
        if len(self._due) > 1 or (number and number not in self._due):
            return None
        (due,) = self._due
        return self.places[due]

    def _add_queued(self, frame: Frame) -> None:
        while self._queue and frame.size_bytes < FRAME_BYTES:
            message = self._queue.popleft()
            self._queued_bytes -= len(message)
            frame.add(message)

    def _take(self, place: OpenSubscription, frame: Frame, together: Round) -> None:
        subscription, ring = place.subscription, place.feed.ring
        if (reason := subscription.begins_anew(ring)) is not None:
            self._add_queued(frame)  # why it begins anew comes before that
            frame.add(snapshot(place, self._feeds, reason))
        if subscription.snapshot_due is not None:
            self._due[subscription.number] = None  # the rest of it
            return
        if subscription.fell_behind(ring):
            self._take_past(place, frame)
            return
        applied, limit_bytes = self._feeds.applied(place.feed), FRAME_BYTES - frame.size_bytes
        recovery, shared = subscription.recovery, subscription.steady
        if shared:
            delivery = together.take(subscription, ring, applied, limit_bytes)
        else:
            delivery = subscription.take(ring, applied, limit_bytes)
        if delivery is None:
            return
        self._add(place, delivery, frame, shared=shared)
        if recovery is not None and subscription.recovery is None:
            frame.resumed.append(recovery.source)
        self._watch_lag(place, live=delivery.append_time is not None)

    def _take_past(self, place: OpenSubscription, frame: Frame) -> None:
        subscription, number = place.subscription, place.subscription.number
        block = self._past.find(place.feed.place, subscription.whole + 1, asked=subscription.asked)
        if block is None:
            self._ask(place, frame)
        elif (reason := subscription.fault(block)) is not None:
            self.refuse(place, reason)
        else:
            self._due[number] = None
            delivery = subscription.take_past(block, FRAME_BYTES - frame.size_bytes)
            if delivery is not None:
                self._add(place, delivery, frame, shared=False)

    def _ask(self, place: OpenSubscription, frame: Frame) -> None:
        subscription = place.subscription
        if subscription.waiting:
            return
        subscription.waiting, subscription.asked = True, self._past.number
        self._wants.append(place)
        if subscription.recovery is None and not subscription.behind:
            frame.fallen += 1
            self.push(lag(place, "catching_up"))
        subscription.behind = subscription.behind or subscription.recovery is None

    def _add(self, place: OpenSubscription, delivery: Delivery, frame: Frame, *, shared: bool) -> None:
        frame.add(delivery.message, shared=shared)
        frame.records += delivery.records
        frame.conflated += delivery.conflated
        if delivery.append_time is not None:
            frame.append_times.append(delivery.append_time)
        if delivery.more:
            self._due[place.subscription.number] = None

    def _watch_lag(self, place: OpenSubscription, *, live: bool) -> None:
        subscription = place.subscription
        if subscription.conflate or not live:
            return
        percent = place.feed.ring.count_after(subscription.covered) * 100 // place.feed.ring.capacity
        if not subscription.behind and percent >= BEHIND_WARN_PERCENT:
            subscription.behind = True
            self.push(lag(place, "warn"))
        elif subscription.behind and percent < BEHIND_CLEAR_PERCENT:
            subscription.behind = False
            self.push(lag(place, "cleared"))
