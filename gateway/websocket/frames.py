"""Frames to clients: what is in one, and the bytes of it, made once for all clients that get the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from gateway.live.feeds import Feed, Feeds
from gateway.live.ring import Ring
from gateway.websocket import encoding, messages
from gateway.websocket.conflation import fitting
from gateway.websocket.subscription import Delivery, SnapshotRest, Subscription
from schemas.clocks import CanonicalOffset

FRAME_BYTES = 65_536  # a frame is closed once it is this long
SNAPSHOT_BYTES = 262_144  # of values in one message: of all but option chains it holds every one


@lru_cache(maxsize=8_192)
def _kin(ring: int, number: int, scope: str) -> str:
    return f"{ring} {number} {scope}"


@dataclass(frozen=True, slots=True)
class OpenSubscription:
    """A subscription and the feed it reads."""

    subscription: Subscription
    feed: Feed
    # What it has in common with those that may be sent the same bytes: one text for all of them, its hash taken once.
    kin: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the kin; a ring is named by where it is, which no other can be while one of them reads it."""
        subscription = self.subscription
        kin = _kin(id(self.feed.ring), subscription.number, subscription.stream.scope)
        object.__setattr__(self, "kin", kin)


@dataclass(slots=True)
class Frame:
    """One frame, and what to say of it once it is handed over; times in µs."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 2
    records: int = 0
    conflated: int = 0
    append_times: list[int] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)  # how each resume that ended did
    fallen: int = 0  # streams that memory cannot serve any more
    shared: bool = True  # every message of it is one that other clients get as well

    def add(self, message: bytes, *, shared: bool = False) -> None:
        """Append one message."""
        self.parts.append(message)
        self.size_bytes += len(message) + 1
        self.shared = self.shared and shared

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return encoding.frame(self.parts)


Standing = tuple[str, CanonicalOffset, bool]
"""Where a steady subscription stands: its kin, what it has covered, and whether it conflates."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedFrame:
    """A whole frame for whoever stands at one place and has nothing else waiting: its bytes, and what they hold."""

    wire: bytes
    covered: CanonicalOffset
    records: int
    conflated: int
    append_time: int | None  # µs


def standing(place: OpenSubscription) -> Standing | None:
    """Return where a subscription stands, None where what it gets next is its own."""
    subscription = place.subscription
    # computed values come when they come: who has which is its own
    if not subscription.steady or subscription.computed is not None:
        return None
    return place.kin, subscription.covered, subscription.conflate


def snapshot(place: OpenSubscription, feeds: Feeds, reason: str) -> bytes:
    """Return the message of the newest values of a stream, from which it goes on; made when there is room for it.

    So a thousand of them take no memory while they wait. Where the values are too long for one message it is the next part
    of them: all parts are valid at one offset, and the snapshot stays due until the last.
    """
    subscription, feed = place.subscription, place.feed
    scope, held = subscription.stream.scope, subscription.snapshot_rest
    if held is None:
        held = SnapshotRest(feeds.applied(feed), feeds.snapshot(feed, scope))
    part = fitting(held.bodies, SNAPSHOT_BYTES)
    last = part == len(held.bodies)
    if last:
        subscription.snapshot_sent(held.offset)
    else:
        subscription.snapshot_rest = SnapshotRest(held.offset, held.bodies[part:])
    return messages.LatestValues(
        sub=subscription.number,
        epoch=feeds.epochs[feed.topic],
        offset=held.offset,
        floor_offset=feed.ring.begun_after,
        reason=reason,
        last=last,
        data=held.bodies[:part],
    ).encode()


def add_computed(place: OpenSubscription, frame: Frame) -> bool:
    """Append what was computed of records the client has and was not sent yet; whether some of it is left for the next frame."""
    subscription = place.subscription
    if subscription.computed is None or subscription.snapshot_due is not None:
        return False
    values = place.feed.computed(subscription.stream.scope)
    found = values.after(subscription.computed, subscription.covered)
    if not found:
        return False
    bodies = [each.body for each in found]
    most = fitting(bodies, FRAME_BYTES - frame.size_bytes)
    subscription.computed = found[most - 1].offset
    frame.add(messages.greeks(subscription.number, bodies[:most]))
    return most < len(found)


def lag(place: OpenSubscription, action: str) -> bytes:
    """Return the message of how far a client lags behind a stream, and what that leads to."""
    ring = place.feed.ring
    queued = ring.count_after(place.subscription.covered)
    return messages.Slow(
        sub=place.subscription.number,
        queued=queued,
        limit=ring.capacity,
        pct=queued * 100 // ring.capacity,
        action=action,
    ).encode()


class Round:
    """One pass over many clients: who stands at the same place is sent the same bytes, made once."""

    def __init__(self) -> None:
        """Begin with nothing made. Valid while no record is applied."""
        self._deliveries: dict[tuple[int, str, int, CanonicalOffset, bool, int], Delivery | None] = {}
        self._frames: dict[tuple[bytes, ...], bytes] = {}
        self.whole: dict[Standing, SharedFrame] = {}

    def made(self, place: OpenSubscription) -> SharedFrame | None:
        """Return the frame made for whoever stands where this one does, which moves over it; None where there is none."""
        at = standing(place)
        found = None if at is None else self.whole.get(at)
        if found is not None:
            subscription = place.subscription
            subscription.covered = subscription.whole = found.covered
        return found

    def take(
        self, subscription: Subscription, ring: Ring, applied: CanonicalOffset, limit_bytes: int
    ) -> Delivery | None:
        """Return the next message of a steady subscription, as `Subscription.take` does."""
        covered, number = subscription.covered, subscription.number
        key = (id(ring), subscription.stream.scope, number, covered, subscription.conflate, limit_bytes)
        try:
            delivery = self._deliveries[key]
        except KeyError:
            delivery = self._deliveries[key] = subscription.take(ring, applied, limit_bytes)
        else:
            if delivery is not None:
                subscription.covered = subscription.whole = delivery.covered
        return delivery

    def wire(self, frame: Frame) -> bytes:
        """Return the bytes of a frame as they go on the wire."""
        if not frame.shared:
            return encoding.wire(frame.encode())
        parts = tuple(frame.parts)
        made = self._frames.get(parts)
        if made is None:
            made = self._frames[parts] = encoding.wire(frame.encode())
        return made
