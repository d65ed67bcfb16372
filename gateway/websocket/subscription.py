"""One client's place on one stream: what it has been told, what it gets next, and how it comes back.

The log is the queue. A subscription is a cursor on a feed's ring; where the ring no longer reaches back to the cursor,
it is a cursor on the blocks of the log that all clients share. So a client holds no record, whatever it resumes and
however far it lags, and nothing is dropped on its account.

A position is (epoch, offset): `offset` is the canonical partition offset up to which the client has every record of
the stream, and `epoch` names the incarnation of the log that offset belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.live.blocks import Block
from gateway.live.computed import NOTHING
from gateway.live.ring import Entry, Ring
from gateway.live.streams import LiveStream
from gateway.websocket import messages
from gateway.websocket.conflation import Chosen, every, newest
from schemas.clocks import CanonicalOffset

RESUME_MAX_OFFSETS = 500_000  # of the partition, read from Kafka for one resume
RESUME_MAX_SLICES = 5_000  # of a partition of option chains: each takes as much as a hundred other records
RESUME_BEATS = 6  # heartbeats without any progress before a resume is given up
BEHIND_WARN_PERCENT = 75  # of the ring: beyond it the next records come from Kafka
BEHIND_CLEAR_PERCENT = 50

Source = Literal["memory", "kafka"]
RefusedReason = Literal["epoch_changed", "expired", "too_many", "unavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPosition:
    """Up to where a client has a stream whole."""

    epoch: str
    offset: CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRefused:
    """The position cannot be resumed; the client starts again from a snapshot."""

    reason: RefusedReason


@dataclass(slots=True, kw_only=True)
class Recovery:
    """A resume under way from `after`: how many records were sent so far, and where they came from.

    `doubtful`: the client is ahead of this process, so the log itself must say whether it is the same.
    """

    after: CanonicalOffset
    doubtful: bool = False
    count: int = 0
    source: Source = "memory"
    beats: int = 0  # since anything moved


def resume_offsets(stream: LiveStream) -> int:
    """Return how many offsets of its partition are read from Kafka for one resume of a stream."""
    return RESUME_MAX_SLICES if stream.of_items else RESUME_MAX_OFFSETS


def plan_resume(
    wanted: StreamPosition,
    *,
    epoch: str,
    floor: CanonicalOffset,
    applied: CanonicalOffset,
    most: int = RESUME_MAX_OFFSETS,
) -> Recovery | ResumeRefused:
    """Return how the records above `wanted` are given, or why they are not.

    `floor` is the offset above which the ring is whole, `applied` the offset up to which this process has the
    partition. What has to be read from the log, `most` offsets, is known to be too much before any of it is.
    """
    if wanted.epoch != epoch:
        return ResumeRefused(reason="epoch_changed")
    if wanted.offset < floor and applied - wanted.offset > most:
        return ResumeRefused(reason="too_many")
    return Recovery(after=wanted.offset, doubtful=wanted.offset > applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for the client, after which it is `covered`; `append_time` (µs) of its oldest live record, None for history."""

    message: bytes
    covered: CanonicalOffset
    records: int = 0
    conflated: int = 0
    append_time: int | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotRest:
    """The part of a snapshot, valid at `offset`, that was not sent yet."""

    offset: CanonicalOffset
    bodies: Sequence[bytes]


class Subscription:
    """The cursor of one client on one stream.

    `covered` is the offset up to which the client was told it has everything: it moves only with a message, and every
    link sent presupposes no more. `whole` is the offset up to which that is known here, which may be ahead.
    """

    __slots__ = (
        "asked", "behind", "computed", "conflate", "covered", "number", "recovery", "snapshot_due", "snapshot_rest", "state", "stream",
        "waiting", "whole",
    )  # fmt: skip

    def __init__(self, number: int, stream: LiveStream, *, conflate: bool, covered: CanonicalOffset) -> None:
        """Begin live at `covered`; `recover` before the first `take` to begin otherwise."""
        self.number = number
        self.stream = stream
        self.conflate = conflate
        self.covered = self.whole = covered
        self.behind = False  # warned of falling behind, or reading from Kafka
        self.snapshot_due: str | None = None  # why the next message must be a snapshot
        self.snapshot_rest: SnapshotRest | None = None  # what of it was not sent yet, once it has begun
        self.recovery: Recovery | None = None
        self.waiting = False  # for a block of the log
        self.asked = 0  # which read was the last when it began to wait
        self.state = ""  # what the client was told last of the worth of the values
        # Offset of the last record whose computed values the client has; None where it wants none.
        self.computed: CanonicalOffset | None = None

    @property
    def effective(self) -> dict[str, str]:
        """Return how the stream is served."""
        served = {"conflate": "latest" if self.conflate else "none"}
        if self.stream.has_greeks:
            served["greeks"] = "none" if self.computed is None else "newest"
        return served

    @property
    def busy(self) -> bool:
        """Whether something other than live records comes next."""
        return self.waiting or self.recovery is not None or self.snapshot_due is not None

    @property
    def steady(self) -> bool:
        """Whether the next message follows from the ring and `covered` alone, as for every client that stands there."""
        # As not `busy`, written out: it is asked for every frame of every client.
        return (
            self.whole == self.covered
            and self.recovery is None
            and self.snapshot_due is None
            and not self.waiting
        )

    def recover(self, recovery: Recovery) -> None:
        """Give what came after a position before anything else."""
        self.recovery = recovery
        self.covered = self.whole = recovery.after

    def restart(self, reason: str) -> None:
        """Forget what was to come: a snapshot is next, then what follows it."""
        self.snapshot_due, self.recovery, self.waiting = reason, None, False
        self.snapshot_rest = None

    def snapshot_sent(self, covered: CanonicalOffset) -> None:
        """Go on live from `covered`, where the snapshot was valid."""
        self.snapshot_due = self.snapshot_rest = None
        self.covered = self.whole = covered
        if self.computed is not None:
            self.computed = NOTHING

    def begins_anew(self, ring: Ring) -> str | None:
        """Return why the next message is a snapshot, or a part of one; None where it is not.

        It is one where a conflated stream of several items fell behind: the newest of some may be in the ring no more.
        """
        if self.conflate and self.stream.of_items and not self.busy and self.fell_behind(ring):
            self.restart("behind")
        return self.snapshot_due

    def fell_behind(self, ring: Ring) -> bool:
        """Whether the ring has given up records this client still needs: only the log has them.

        A conflated stream does so only in a resume, while nothing in the ring stands for what came before it; of several
        items nothing there stands for all.
        """
        if self.recovery is not None and self.recovery.doubtful:
            return True
        scope = self.stream.scope
        floor = ring.floor(scope)
        if floor <= self.whole:
            return False
        if not self.conflate or self.stream.of_items:
            return True
        return self.recovery is not None and ring.newest(scope) <= floor

    def take(self, ring: Ring, applied: CanonicalOffset, limit_bytes: int) -> Delivery | None:
        """Return the next message and move the cursor over it; None where nothing waits."""
        self.waiting = False
        live = self.recovery is None
        chosen = self._choose(ring.after(self.whole, self.stream.scope), limit_bytes)
        if chosen is not None and self.whole > self.covered:
            # Nothing lies between what the client was told and its next record, though its link may not know.
            chosen = replace(chosen, previous=self.covered)
        if chosen is None:
            return None if self.recovery is None else self._recovered(self.recovery, applied)
        if self.conflate and chosen.previous > self.covered:
            # What lay between was evicted unsent; the newest stands for that too.
            chosen = replace(chosen, previous=self.covered, conflated=chosen.conflated + 1)
        return self._deliver(chosen, live=live)

    def fault(self, block: Block) -> RefusedReason | None:
        """Return why a block cannot make the stream whole, None where it can."""
        if self.whole + 1 < block.first:
            return "expired"
        return "epoch_changed" if self.whole + 1 > block.high else None

    def take_past(self, block: Block, limit_bytes: int) -> Delivery | None:
        """Return the next message out of a block without fault and move over it; None where it has nothing for us."""
        self.waiting = False
        self.asked = max(self.asked, block.number)  # what it does not hold, only a later read can say
        if self.recovery is not None:
            self.recovery.source, self.recovery.doubtful, self.recovery.beats = "kafka", False, 0
        chosen = self._choose(block.after(self.whole, self.stream.feed, self.stream.scope), limit_bytes)
        delivery = None
        if chosen is not None:  # the block's own links know of nothing before it
            delivery = self._deliver(replace(chosen, previous=self.covered), live=False)
        if chosen is None or not chosen.more:
            self.whole = max(self.whole, CanonicalOffset(block.to))
        return delivery

    def settle(self, ring: Ring, applied: CanonicalOffset) -> bool:
        """Move over what is known to hold nothing for this client, up to `applied`; whether that moved the cursor."""
        if self.busy or ring.newest(self.stream.scope) > self.whole:
            return False
        moved = applied > self.covered
        self.covered = self.whole = max(self.covered, applied)
        return moved

    def _choose(self, waiting: Iterable[Entry], limit_bytes: int) -> Chosen | None:
        scope = self.stream.scope
        return (newest if self.conflate else every)(waiting, scope, limit_bytes)

    def _deliver(self, chosen: Chosen, *, live: bool) -> Delivery:
        self.covered = self.whole = chosen.entries[-1].offset
        if self.recovery is not None:
            self.recovery.count += len(chosen.entries)
            self.recovery.beats = 0
        return Delivery(
            message=messages.data(self.number, chosen),
            covered=self.covered,
            records=len(chosen.entries),
            conflated=chosen.conflated,
            append_time=chosen.entries[0].append_time if live else None,
            more=chosen.more or not live,
        )

    def _recovered(self, recovery: Recovery, applied: CanonicalOffset) -> Delivery:
        self.recovery = None
        self.covered = self.whole = max(self.whole, applied)
        told = messages.Recovered(
            sub=self.number,
            ok=True,
            after=recovery.after,
            to=self.covered,
            count=recovery.count,
            source=recovery.source,
        )
        return Delivery(message=told.encode(), covered=self.covered)
