"""One client's place on one stream: what it has been told, what it gets next, and how it comes back.

The log is the queue. A subscription is a cursor on a feed's ring; where the ring no longer reaches back to the
cursor, the records come from Kafka. So a lagging client costs no memory, and nothing is dropped on its account.

A position is (epoch, offset): `offset` is the canonical partition offset up to which the client has every record of
the stream, and `epoch` names the incarnation of the log that offset belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.live.ring import Entry, Ring
from gateway.live.streams import LiveStream
from gateway.websocket import messages
from gateway.websocket.conflation import Chosen, every, newest
from schemas.clocks import CanonicalOffset

RESUME_MAX_RECORDS = 5_000  # of one stream, read from Kafka for one resume
RESUME_WITHIN_S = 5.0
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
class FromMemory:
    """Everything above the position is in the ring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromLog:
    """The records in (after, up_to] have to be read from Kafka; what follows is in the ring."""

    after: CanonicalOffset
    up_to: CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRefused:
    """The position cannot be resumed; the client starts again from a snapshot."""

    reason: RefusedReason


def plan_resume(
    wanted: StreamPosition, *, epoch: str, floor: CanonicalOffset, applied: CanonicalOffset
) -> FromMemory | FromLog | ResumeRefused:
    """Return where the records above `wanted` are.

    `floor` is the offset above which the ring is whole, `applied` the offset up to which this process has the
    partition. A client that is ahead of us (it comes from a faster process) is checked against the log itself.
    """
    if wanted.epoch != epoch:
        return ResumeRefused(reason="epoch_changed")
    if wanted.offset > applied:
        return FromLog(after=wanted.offset, up_to=wanted.offset)
    return FromMemory() if wanted.offset >= floor else FromLog(after=wanted.offset, up_to=applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Records to send before the live ones: all of the stream in (`after`, `to`]; `source` None: not announced."""

    entries: Sequence[Entry]
    after: CanonicalOffset
    to: CanonicalOffset
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for the client; `append_time` (µs) of its oldest live record, None for history."""

    message: bytes
    records: int = 0
    conflated: int = 0
    append_time: int | None = None
    more: bool = False


class Subscription:
    """The cursor of one client on one stream.

    `covered` is the offset up to which the client was told it has everything: it moves only with a message, and every
    link sent presupposes no more. `whole` is the offset up to which that is known here, which may be ahead.
    """

    def __init__(self, number: int, stream: LiveStream, *, conflate: bool, covered: CanonicalOffset) -> None:
        """Begin live at `covered`; `await_history` before the first `take` to begin otherwise."""
        self.number = number
        self.stream = stream
        self.conflate = conflate
        self.covered = self.whole = covered
        self.behind = False  # warned of falling behind, or reading from Kafka
        self.snapshot_due: str | None = None  # why the next message must be a snapshot
        self._waiting = False
        self._replay: Replay | None = None
        self._next = 0

    @property
    def busy(self) -> bool:
        """Whether something other than live records comes next."""
        return self._waiting or self._replay is not None or self.snapshot_due is not None

    def await_history(self) -> None:
        """Hold everything back until `replay` or `restart`."""
        self._waiting = True

    def replay(self, replay: Replay) -> None:
        """Send `replay` before anything else."""
        self._replay, self._next, self._waiting = replay, 0, False

    def restart(self, reason: str) -> None:
        """Forget what was to come: a snapshot is next, then what follows it."""
        self.snapshot_due, self._replay, self._waiting = reason, None, False

    def snapshot_sent(self, covered: CanonicalOffset) -> None:
        """Go on live from `covered`, where the snapshot was valid."""
        self.snapshot_due = None
        self.covered = self.whole = covered

    def fell_behind(self, ring: Ring) -> bool:
        """Whether the ring has given up records this client still needs: only Kafka has them.

        A conflated stream never falls behind: its newest record stands for all before it.
        """
        if self.busy or self.conflate:
            return False
        return ring.floor(self.stream.scope) > self.whole

    def take(self, ring: Ring, limit_bytes: int) -> Delivery | None:
        """Return the next message and move the cursor over it; None where nothing waits."""
        if self._waiting:
            return None
        if self._replay is not None:
            return self._take_replay(self._replay, limit_bytes)
        scope = self.stream.scope
        waiting = ring.after(self.covered, scope)
        if not self.conflate:
            return self._deliver(every(waiting, scope, limit_bytes))
        chosen = newest(waiting, scope)
        if chosen is not None and chosen.previous > self.covered:
            # What lay between was evicted unsent; the newest stands for that too.
            chosen = replace(chosen, previous=self.covered, conflated=chosen.conflated + 1)
        return self._deliver(chosen)

    def settle(self, ring: Ring, applied: CanonicalOffset) -> bool:
        """Move over what is known to hold nothing for this client, up to `applied`; whether that moved the cursor."""
        if self.busy or ring.newest(self.stream.scope) > self.whole:
            return False
        moved = applied > self.covered
        self.covered = self.whole = max(self.covered, applied)
        return moved

    def _deliver(self, chosen: Chosen | None) -> Delivery | None:
        if chosen is None:
            return None
        append_time = chosen.entries[0].append_time
        self.covered = self.whole = chosen.entries[-1].offset
        return Delivery(
            message=messages.data(self.number, chosen),
            records=len(chosen.entries),
            conflated=chosen.conflated,
            append_time=append_time,
            more=chosen.more,
        )

    def _take_replay(self, replay: Replay, limit_bytes: int) -> Delivery | None:
        left = (replay.entries[index] for index in range(self._next, len(replay.entries)))
        chosen = every(left, self.stream.scope, limit_bytes)
        if chosen is not None:
            self._next += len(chosen.entries)
            # The read knows of nothing between what the client was told and its first record.
            chosen = replace(chosen, previous=min(chosen.previous, self.covered))
            self.covered = self.whole = chosen.entries[-1].offset
            text = messages.data(self.number, chosen)
            return Delivery(message=text, records=len(chosen.entries), more=True)
        self._replay = None
        self.whole = max(self.whole, replay.to)
        if replay.source is None:
            return Delivery(message=b"", more=True)
        self.covered = self.whole
        recovered = messages.Recovered(
            sub=self.number,
            ok=True,
            after=replay.after,
            to=self.covered,
            count=len(replay.entries),
            source=replay.source,
        )
        return Delivery(message=recovered.encode(), more=True)
