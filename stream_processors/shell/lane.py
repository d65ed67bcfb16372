"""One owned raw partition at work: what waits for it, how far it has come, and since when it owes progress."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.runtime.clock import monotonic_s
from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import RawOffset
from schemas.partitions import TopicPartition
from stream_processors.memory import PartitionState
from stream_processors.transaction import RawRecord, Transaction, transact

# A transaction that begins while the broker still writes the markers of the one before it is refused, and librdkafka
# asks again only after 20 ms: wait less, and gather blocks meanwhile.
SETTLING_S = 0.01


class TransactionWriter(Protocol):
    """The writer a lane needs; every method blocks."""

    def take_over(self) -> PartitionState:
        """Fence any predecessor and return the rebuilt state."""

    def skipped_records(self, start: RawOffset, offset: RawOffset) -> bool:
        """Return whether the raw partition holds a record in [start, offset)."""

    def commit(self, blocks: Sequence[Transaction]) -> None:
        """Write consecutive blocks in one transaction."""

    def close(self) -> None:
        """Let go without committing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionLimits:
    """Most that one transaction may hold when a lane is behind; at low load it holds one block.

    `bytes` are those of the raw blocks. Each limit is passed by one block at most.
    """

    blocks: int
    events: int
    bytes: int = 4_194_304


class Backlog:
    """Raw records that wait for a lane, in order: bounded by their bytes and number, but one always has room."""

    def __init__(self, *, most_bytes: int, most_records: int) -> None:
        """Hold nothing yet."""
        self._most_bytes, self._most_records = most_bytes, most_records
        self._records: deque[RawRecord] = deque()
        self._bytes = 0
        self._closed = False
        self._filled, self._room = asyncio.Event(), asyncio.Event()

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._records)

    @property
    def full(self) -> bool:
        """Whether the next record has to wait for room."""
        return self._bytes >= self._most_bytes or len(self._records) >= self._most_records

    async def put(self, record: RawRecord) -> None:
        """Add a record when there is room for it; one for a closed backlog is dropped."""
        while self.full:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            return
        self._records.append(record)
        self._bytes += _size(record)
        self._filled.set()

    async def filled(self) -> None:
        """Return when a record waits."""
        while not self._records:
            self._filled.clear()
            await self._filled.wait()

    def take(self) -> RawRecord:
        """Take the oldest record; there must be one."""
        record = self._records.popleft()
        self._bytes -= _size(record)
        self._room.set()
        return record

    def close(self) -> None:
        """Forget everything and take nothing any more; whoever waits for room waits no more."""
        self._closed = True
        self._records.clear()
        self._bytes = 0
        self._room.set()


class Lane:
    """One owned raw partition: `fed` is the newest offset accepted, `done` the newest in progress.

    `heard_at_s` is when a record was last accepted; `moved_at_s` when progress last moved, or when the lane was last
    given something after it had had nothing to do (monotonic seconds).
    """

    def __init__(
        self, key: TopicPartition, state: PartitionState, writer: TransactionWriter, backlog: Backlog
    ) -> None:
        """Stand where the state stands, with nothing accepted after it."""
        self.key, self.state, self.writer, self.backlog = key, state, writer, backlog
        self.fed = self.done = RawOffset(state.next_offset - 1)
        self.moved_at_s = self.heard_at_s = monotonic_s()
        self.committed_at_s = -SETTLING_S
        self.task: asyncio.Task[None] | None = None
        self.idle = asyncio.Event()  # no transaction in flight
        self.idle.set()

    @property
    def owes(self) -> bool:
        """Whether it was fed records that are not in progress yet."""
        return self.fed > self.done

    def hear(self, offset: RawOffset) -> None:
        """Accept the record at `offset`."""
        self.heard_at_s = monotonic_s()
        if not self.owes:
            self.moved_at_s = self.heard_at_s
        self.fed = offset

    def committed(self, offset: RawOffset) -> None:
        """Note that progress reached `offset`."""
        self.moved_at_s = self.committed_at_s = monotonic_s()
        self.done = offset

    async def next_blocks(self, limits: TransactionLimits) -> list[Transaction]:
        """Return what the next transaction is to hold, once there is a record; the state has moved past all of it."""
        if not self.backlog.full and len(self.backlog) < limits.blocks:  # else there is no time to lose
            await asyncio.sleep(max(0.0, self.committed_at_s + SETTLING_S - monotonic_s()))
        await self.backlog.filled()
        self.state.judge_by(calendars_in_force())  # all that a transaction holds is judged by one book
        blocks: list[Transaction] = []
        events = size = 0
        while (
            len(self.backlog)
            and len(blocks) < limits.blocks
            and events < limits.events
            and size < limits.bytes
        ):
            record = self.backlog.take()
            blocks.append(transact(self.state, record))
            events += blocks[-1].events
            size += _size(record)
        return blocks


def _size(record: RawRecord) -> int:
    return len(record.value or b"")
