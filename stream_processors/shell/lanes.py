"""Runs raw blocks through the rules: one lane per owned raw partition, taken over, worked in order, and let go.

A lane's blocks reach it through Faust; what was processed is known from progress alone. So a lane may take records
from Faust before they are committed: a crash loses nothing, the successor starts after the last progress.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from infra.runtime.lifecycle import Health
from schemas.clocks import RawOffset
from schemas.errors import ConfigurationError
from schemas.intervals import interval_label
from schemas.partitions import TopicPartition
from stream_processors.evidence import MISSING
from stream_processors.memory import PartitionState
from stream_processors.shell.lane import Backlog, Lane, TransactionLimits, TransactionWriter
from stream_processors.shell.writer import ahead_detail
from stream_processors.transaction import RawRecord, Transaction

log = logging.getLogger(__name__)

QUEUED_BYTES = 67_108_864  # in all lanes together, and in each at least one block
STALL_AFTER_S = 15.0  # of work that was fed; ticks guarantee traffic every few seconds
# A partition that is never read though its neighbours are: it waits its turn behind what was fetched of them, which a
# processor works off in seconds, so after this the fetcher has forgotten it.
FORGOTTEN_AFTER_S = 300.0
REBUILD_GRACE_S = 120.0
RELEASE_DEADLINE_S = 8.0  # a transaction in flight may take this long when a partition is given up
TAKE_OVERS_AT_ONCE = 16  # each is a producer and two readers while it lasts: a dozen threads and connections


@dataclass(slots=True, kw_only=True)
class LaneStanding:
    """A lane as the watchdog judges it; see `Lanes.standing`."""

    key: TopicPartition
    moved_at_s: float
    done: RawOffset


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
        self._aside: dict[TopicPartition, Lane] = {}
        self._changing = asyncio.Lock()
        self._taking_over = asyncio.Semaphore(TAKE_OVERS_AT_ONCE)

    @property
    def owned(self) -> list[Lane]:
        """The lanes at work; none while partitions change hands, when standing still is right."""
        return [] if self._changing.locked() else list(self._lanes.values())

    def standing(self) -> list[LaneStanding]:
        """Return the lanes at work, each with the moment (monotonic seconds) from which its standing still counts.

        One that was fed owes progress since it last moved. One that was fed all it was sent waits its turn at the
        fetcher: it counts from when any lane last moved, or from when it could no longer be a matter of turns.
        """
        lanes = self.owned
        newest_s = max((max(lane.moved_at_s, lane.heard_at_s) for lane in lanes), default=0.0)
        turn_s = FORGOTTEN_AFTER_S - STALL_AFTER_S
        return [
            LaneStanding(
                key=lane.key,
                moved_at_s=lane.moved_at_s if lane.owes else min(newest_s, lane.heard_at_s + turn_s),
                done=lane.done,
            )
            for lane in lanes
        ]

    async def own(self, keys: Iterable[TopicPartition]) -> dict[TopicPartition, RawOffset]:
        """Own exactly these partitions and return, for all of them, the offset to read from.

        Those set aside that are among them go on where they stopped, the others set aside are let go.
        """
        async with self._changing:
            started_s, keys = monotonic_s(), list(keys)
            room = max(1, QUEUED_BYTES // max(1, len(keys)))
            kept = [self._aside.pop(key) for key in keys if key in self._aside]
            await self._close(self._aside)
            for lane in kept:
                self._begin(lane.key, lane.state, lane.writer, room)
            missing = [key for key in keys if key not in self._lanes]
            await asyncio.gather(*(self._take_over(key, room) for key in missing))
            for lane in self._lanes.values():  # the slowest rebuild held the others up
                lane.moved_at_s = lane.heard_at_s = monotonic_s()
                self._report(lane)
            self._health.report("group", ready=True, partitions=len(self._lanes))
            for event, these in (
                ("partitions_kept", [lane.key for lane in kept]),
                ("partitions_taken_over", missing),
            ):
                if these:
                    took_s = round(monotonic_s() - started_s, 2)
                    log.info(event, extra={"partitions": _names(these), "took_s": took_s})
            return {key: RawOffset(self._lanes[key].fed + 1) for key in keys}

    async def set_aside(self) -> None:
        """Stop working on every partition once the transactions in flight are through, ready to go on with it.

        What was queued is forgotten and nothing is committed any more: a successor may begin at once.
        """
        async with self._changing:
            lanes, self._lanes = self._lanes, {}
            # before anybody else runs: a state that is kept must not move past what is committed
            for lane in lanes.values():
                lane.backlog.close()
            await asyncio.gather(*(self._halt(lane) for lane in lanes.values()))
            self._aside |= lanes

    async def release(self) -> None:
        """Give up every partition, those set aside included; queued blocks are the successor's."""
        await self.set_aside()
        async with self._changing:
            await self._close(self._aside)

    async def feed(self, record: RawRecord) -> None:
        """Hand a record to its lane, waiting while that is full; one already accepted or of no lane is dropped."""
        lane = self._lanes.get(TopicPartition(record.topic, record.partition))
        if lane is None or record.offset <= lane.fed:
            return
        if record.offset > lane.fed + 1:
            await self._explain_hole(lane, record)
        if not lane.owes:
            self._promise(lane.key, owed=True)
        lane.hear(record.offset)
        await lane.backlog.put(record)

    async def _take_over(self, key: TopicPartition, room: int) -> None:
        self._health.expect(_part(key), stall_after_s=REBUILD_GRACE_S)
        async with self._taking_over:
            writer = self._open_writer(*key)
            try:
                state = await asyncio.get_running_loop().run_in_executor(self._threads, writer.take_over)
            except Exception as error:
                self._end(key, error)
                raise
        self._begin(key, state, writer, room)

    def _begin(
        self, key: TopicPartition, state: PartitionState, writer: TransactionWriter, room: int
    ) -> None:
        """Work from where the state stands; a new lane, because somebody may still wait to feed one set aside."""
        backlog = Backlog(most_bytes=room, most_records=2 * self._limits.blocks)
        lane = self._lanes[key] = Lane(key, state, writer, backlog)
        self._health.expect(_part(key))
        lane.task = self._tasks.create_task(self._work(lane), name=_part(key))

    async def _halt(self, lane: Lane) -> None:
        try:
            async with asyncio.timeout(RELEASE_DEADLINE_S):
                await lane.idle.wait()
        except TimeoutError as error:
            self._end(lane.key, error)  # a transaction that hangs is aborted by the successor's take-over
        if lane.task is not None:
            lane.task.cancel()
        self._health.forget(_part(lane.key))

    async def _close(self, lanes: dict[TopicPartition, Lane]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._threads, lane.writer.close) for lane in lanes.values())
        )
        if lanes:
            log.info("partitions_released", extra={"partitions": _names(lanes)})
        lanes.clear()

    async def _work(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                blocks = await lane.next_blocks(self._limits)
                lane.idle.clear()
                try:
                    await loop.run_in_executor(self._threads, lane.writer.commit, blocks)
                finally:
                    lane.idle.set()
                self._account(lane, blocks)
        except Exception as error:  # noqa: BLE001 - the guard: only data errors are survived, and those raised nothing
            self._end(lane.key, error)

    def _account(self, lane: Lane, blocks: list[Transaction]) -> None:
        topic = lane.key.topic
        lane.committed(blocks[-1].raw_offset)
        self._report(lane)
        metrics.BLOCKS_PROCESSED.labels(topic).inc(len(blocks))
        metrics.EVENTS_PROCESSED.labels(topic).inc(sum(block.events for block in blocks))
        metrics.EVENTS_REPEATED.labels(topic).inc(sum(block.repeated for block in blocks))
        for block in blocks:
            for told in block.evidence:
                if told.kind in MISSING:
                    stream = told.stream.partition(":")[0]
                    metrics.GAPS_FOUND.labels(interval_label(told.interval, stream)).inc()
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
        self._promise(lane.key, owed=lane.owes)
        ahead = ahead_detail(lane.state.known_from)
        self._health.report(_part(lane.key), ready=True, processed=lane.done, accepted=lane.fed, **ahead)

    def _promise(self, key: TopicPartition, *, owed: bool) -> None:
        self._health.promise(_part(key), stall_after_s=STALL_AFTER_S if owed else None)

    def _end(self, key: TopicPartition, error: BaseException) -> None:
        log.critical(
            "processor_failed", extra={"topic": key.topic, "partition": key.partition, "error": repr(error)}
        )
        self._leave(ExitCode.CONFIGURATION if isinstance(error, ConfigurationError) else ExitCode.SOFTWARE)


def _part(key: TopicPartition) -> str:
    return f"{key.topic}/{key.partition}"


def _names(keys: Iterable[TopicPartition]) -> str:
    return " ".join(sorted(_part(key) for key in keys))
