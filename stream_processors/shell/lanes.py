"""Runs raw blocks through the rules: one lane per owned raw partition, taken over, worked in order, and let go.

A lane's blocks reach it through Faust; what was processed is known from progress alone. So a lane may take records
from Faust before they are committed: a crash loses nothing, the successor starts after the last progress.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from infra.runtime.lifecycle import Health
from schemas.clocks import RawOffset
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from stream_processors.evidence import MISSING
from stream_processors.memory import PartitionState
from stream_processors.shell.writer import ahead_detail
from stream_processors.transaction import RawRecord, Transaction, transact

log = logging.getLogger(__name__)

LANE_QUEUE_BLOCKS = 32
STALL_AFTER_S = 15.0  # ticks guarantee traffic every second
REBUILD_GRACE_S = 120.0
RELEASE_DEADLINE_S = 8.0  # a transaction in flight may take this long when a partition is given up
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
    """Most that one transaction may hold when a lane is behind; at low load it holds one block."""

    blocks: int
    events: int


class Lane:
    """One owned raw partition: `fed` is the newest offset accepted, `done` the newest in progress.

    `heard_at_s` is when a record was last accepted, `moved_at_s` when progress last moved (monotonic seconds).
    """

    def __init__(self, key: TopicPartition, state: PartitionState, writer: TransactionWriter) -> None:
        self.key = key
        self.state = state
        self.writer = writer
        self.queue: asyncio.Queue[RawRecord] = asyncio.Queue(LANE_QUEUE_BLOCKS)
        self.fed = self.done = RawOffset(state.next_offset - 1)
        self.moved_at_s = self.heard_at_s = monotonic_s()
        self.committed_at_s = -SETTLING_S
        self.task: asyncio.Task[None] | None = None
        self.idle = asyncio.Event()  # no transaction in flight
        self.idle.set()


class Lanes:
    """Every lane of this process. Anything unexpected in one ends the process: a restart re-reads and converges."""

    def __init__(
        self,
        *,
        open_writer: Callable[[str, int], TransactionWriter],
        tasks: asyncio.TaskGroup,
        threads: Executor,
        health: Health,
        limits: TransactionLimits,
        leave: Callable[[int], None],
    ) -> None:
        """Own no partition yet; `leave(code)` ends the process at once."""
        self._open_writer, self._tasks, self._threads = open_writer, tasks, threads
        self._health, self._limits, self._leave = health, limits, leave
        self._lanes: dict[TopicPartition, Lane] = {}
        self._changing = asyncio.Lock()

    @property
    def owned(self) -> list[Lane]:
        """The lanes at work; none while partitions change hands, when standing still is right."""
        return [] if self._changing.locked() else list(self._lanes.values())

    async def own(self, keys: Iterable[TopicPartition]) -> dict[TopicPartition, RawOffset]:
        """Take over the partitions not yet owned and return, for all of them, the offset to read from."""
        async with self._changing:
            started_s, keys = monotonic_s(), list(keys)
            missing = [key for key in keys if key not in self._lanes]
            await asyncio.gather(*(self._take_over(key) for key in missing))
            for lane in self._lanes.values():  # the slowest rebuild held the others up
                lane.moved_at_s = lane.heard_at_s = monotonic_s()
                self._health.expect(_part(lane.key), stall_after_s=STALL_AFTER_S)
                self._report(lane)
            self._health.report("group", ready=True, partitions=len(self._lanes))
            if missing:
                log.info(
                    "partitions_taken_over",
                    extra={"partitions": _names(missing), "took_s": round(monotonic_s() - started_s, 2)},
                )
            return {key: RawOffset(self._lanes[key].fed + 1) for key in keys}

    async def release(self) -> None:
        """Give up every partition once the transactions in flight are through; queued blocks are the successor's."""
        async with self._changing:
            lanes, self._lanes = self._lanes, {}
            await asyncio.gather(*(self._release(lane) for lane in lanes.values()))
            if lanes:
                log.info("partitions_released", extra={"partitions": _names(lanes)})

    async def feed(self, record: RawRecord) -> None:
        """Hand a record to its lane, waiting while that is full; one already accepted or of no lane is dropped."""
        lane = self._lanes.get(TopicPartition(record.topic, record.partition))
        if lane is None or record.offset <= lane.fed:
            return
        if record.offset > lane.fed + 1:
            await self._explain_hole(lane, record)
        lane.fed = record.offset
        lane.heard_at_s = monotonic_s()
        await lane.queue.put(record)

    async def _take_over(self, key: TopicPartition) -> None:
        self._health.expect(_part(key), stall_after_s=REBUILD_GRACE_S)
        writer = self._open_writer(*key)
        try:
            state = await asyncio.get_running_loop().run_in_executor(self._threads, writer.take_over)
        except Exception as error:
            self._end(key, error)
            raise
        lane = self._lanes[key] = Lane(key, state, writer)
        lane.task = self._tasks.create_task(self._work(lane), name=_part(key))

    async def _release(self, lane: Lane) -> None:
        try:
            async with asyncio.timeout(RELEASE_DEADLINE_S):
                await lane.idle.wait()
        except TimeoutError as error:
            self._end(lane.key, error)  # a transaction that hangs is aborted by the successor's take-over
        if lane.task is not None:
            lane.task.cancel()
        while not lane.queue.empty():  # whoever waits for room must not wait for ever
            lane.queue.get_nowait()
        await asyncio.get_running_loop().run_in_executor(self._threads, lane.writer.close)
        self._health.parts.pop(_part(lane.key), None)

    async def _work(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                blocks = await self._next_blocks(lane)
                if self._lanes.get(lane.key) is not lane:
                    return  # given up while this was being worked out
                lane.idle.clear()
                try:
                    await loop.run_in_executor(self._threads, lane.writer.commit, blocks)
                finally:
                    lane.idle.set()
                self._account(lane, blocks)
        except Exception as error:  # noqa: BLE001 - the guard: only data errors are survived, and those raised nothing
            self._end(lane.key, error)

    async def _next_blocks(self, lane: Lane) -> list[Transaction]:
        if lane.queue.qsize() < self._limits.blocks:  # else there is enough to do, and no time to lose
            await asyncio.sleep(max(0.0, lane.committed_at_s + SETTLING_S - monotonic_s()))
        blocks = [transact(lane.state, await lane.queue.get())]
        events = blocks[0].events
        while len(blocks) < self._limits.blocks and events < self._limits.events and not lane.queue.empty():
            blocks.append(transact(lane.state, lane.queue.get_nowait()))
            events += blocks[-1].events
        return blocks

    def _account(self, lane: Lane, blocks: list[Transaction]) -> None:
        topic = lane.key.topic
        lane.moved_at_s = lane.committed_at_s = monotonic_s()
        lane.done = blocks[-1].raw_offset
        self._report(lane)
        metrics.BLOCKS_PROCESSED.labels(topic).inc(len(blocks))
        metrics.EVENTS_PROCESSED.labels(topic).inc(sum(block.events for block in blocks))
        metrics.EVENTS_REPEATED.labels(topic).inc(sum(block.repeated for block in blocks))
        for block in blocks:
            for told in block.evidence:
                if told.kind in MISSING:
                    metrics.GAPS_FOUND.labels(told.interval).inc()
            for letter in block.dead:
                metrics.DEAD_LETTERS.labels(letter.stage, letter.reason).inc()

    async def _explain_hole(self, lane: Lane, record: RawRecord) -> None:
        """Go on over offsets without records (a transactional producer leaves them); never over a record."""
        start = RawOffset(lane.fed + 1)
        skipped = await asyncio.get_running_loop().run_in_executor(
            self._threads, lane.writer.skipped_records, start, record.offset
        )
        if skipped:
            self._end(lane.key, RuntimeError(f"records {start} to {record.offset - 1} were not delivered"))

    def _report(self, lane: Lane) -> None:
        ahead = ahead_detail(lane.state.known_from)
        self._health.report(_part(lane.key), ready=True, processed=lane.done, accepted=lane.fed, **ahead)

    def _end(self, key: TopicPartition, error: BaseException) -> None:
        log.critical(
            "processor_failed", extra={"topic": key.topic, "partition": key.partition, "error": repr(error)}
        )
        self._leave(ExitCode.CONFIGURATION if isinstance(error, ConfigurationError) else ExitCode.SOFTWARE)


def _part(key: TopicPartition) -> str:
    return f"{key.topic}/{key.partition}"


def _names(keys: Iterable[TopicPartition]) -> str:
    return " ".join(sorted(_part(key) for key in keys))
