"""Runs a sink: own what the group gave, write batch after batch, and take over again after anything goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

from infra.runtime import metrics
from infra.runtime.backoff import Backoff
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.lifecycle import Health
from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import BrokerUnavailable, Fenced, StoreUnavailable
from schemas.partitions import TopicPartition
from sinks.batch.batch import Batch
from sinks.progress.positions import Log, PartitionRefused, StoredPosition

log = logging.getLogger(__name__)
T = TypeVar("T")

WAIT_S = 1.0  # for a batch, before liveness is shown again
BACKOFF = Backoff(first_s=0.2, longest_s=5.0)
LOOK_AGAIN_S = 30.0  # at topic ids, and at partitions that were refused
SHOW_EVERY_S = 1.0
READER_STALL_S = 30.0
WRITER_STALL_S = 60.0
READER, WRITER, DATABASE = "reader", "writer", "database"


class Written(Protocol):
    """Result of a transaction, as far as the service cares."""

    @property
    def outgoing(self) -> int:
        """Number of records it left to publish."""


class Writer(Protocol):
    """Writes for the partitions it owns."""

    @property
    def refused(self) -> Mapping[TopicPartition, PartitionRefused]:
        """Partitions it must not read."""

    @property
    def positions(self) -> dict[TopicPartition, CanonicalOffset]:
        """The offset at which each owned partition goes on."""

    def write(self, batch: Batch, *, go_on: Callable[[], bool]) -> Coroutine[Any, Any, Written]:
        """Store a batch, in as many transactions as it takes, while `go_on` says so after each."""


class Store(Protocol):
    """The destination of batches."""

    async def stored(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, StoredPosition]:
        """Return how far partitions are stored, whoever owns them."""

    def take_over(
        self, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
    ) -> AbstractAsyncContextManager[Writer]:
        """Own partitions."""


class Era(Protocol):
    """An assignment and its batches."""

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """Partitions the group gave us."""

    @property
    def over(self) -> bool:
        """Whether no further batch may be written."""

    @property
    def reason(self) -> str:
        """The reason why it is over."""

    def begin(
        self, positions: Mapping[TopicPartition, CanonicalOffset], epochs: Mapping[TopicPartition, int]
    ) -> None:
        """Read from here on, which is good in the leaders' epochs."""

    def renew(self) -> None:
        """Offer the same partitions again."""

    async def next_batch(self, *, within_s: float) -> Batch | None:
        """Return the next batch, if any."""

    def done(self) -> None:
        """Say that a batch is stored."""

    def leave(self) -> None:
        """Say that the writer has finished with the era."""


class BatchSource(Protocol):
    """The source of batches."""

    @property
    def log_ends(self) -> Mapping[TopicPartition, CanonicalOffset]:
        """The ends of the logs."""

    @property
    def polled_at_s(self) -> float:
        """Time of the last poll of Kafka, monotonic seconds."""

    def assignment(self) -> Coroutine[Any, Any, Era]:
        """Return the era in force."""

    def show(self, positions: Mapping[TopicPartition, CanonicalOffset]) -> None:
        """Display lag."""


class Logs(Protocol):
    """Logs as the broker has them."""

    async def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> dict[TopicPartition, Log]:
        """Return the log of each partition, compared with what is stored of it."""


class Outbox(Protocol):
    """Publishes what transactions left."""

    def filled(self) -> None:
        """Something was left."""


class Sink:
    """Stores what the feed brings, era by era."""

    def __init__(self, feed: BatchSource, store: Store, logs: Logs, outbox: Outbox, health: Health) -> None:
        """Wire the parts; `run` does the work."""
        self._feed, self._store, self._logs, self._outbox, self._health = feed, store, logs, outbox, health
        self._failures, self._shown_at_s = 0, 0.0
        self._waiting, self._ending = True, False
        health.expect(READER, stall_after_s=READER_STALL_S)
        health.expect(WRITER, stall_after_s=WRITER_STALL_S)
        health.expect(DATABASE)

    async def run(self) -> None:
        """Run until cancelled; a batch in flight is finished first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_reader())
            while True:
                self._waiting = True
                era = await self._feed.assignment()
                self._waiting = False
                log.info("assigned", extra={"partitions": len(era.partitions)})
                try:
                    await self._own(era)
                except Fenced as error:
                    metrics.SINK_FENCED.inc()
                    self._note_failure()
                    log.warning("fenced", extra={"error": str(error)})
                except (StoreUnavailable, BrokerUnavailable) as error:
                    self._note_failure()
                    self._health.report(DATABASE, ready=False, error=str(error))
                    log.warning(
                        "waiting", extra={"error": str(error), "pause_s": BACKOFF.pause_s(self._failures)}
                    )
                finally:
                    era.leave()
                    self._forget_parts()
                if not era.over:
                    await asyncio.sleep(BACKOFF.upper_half_s(self._failures))
                era.renew()

    async def _own(self, era: Era) -> None:
        # In this order, because the epoch of a leader that is asked later is never lower.
        stored = await self._store.stored(era.partitions)
        logs = await self._logs.look(era.partitions, stored)
        async with self._store.take_over(logs, now_us=wall_us()) as writer:
            self._health.report(DATABASE, ready=True)
            self._report_refused(writer.refused)
            era.begin(writer.positions, {place: log.leader_epoch for place, log in logs.items()})
            look_again_at_s = monotonic_s() + LOOK_AGAIN_S
            while not era.over:
                batch = await era.next_batch(within_s=WAIT_S)
                if batch is not None:
                    write = writer.write(batch, go_on=partial(self._goes_on, era, writer))
                    written = await finished(write, cancelled=self._end)
                    era.done()
                    self._failures = 0
                    if written.outgoing:
                        self._outbox.filled()
                self._show(writer)
                if monotonic_s() > look_again_at_s:
                    look_again_at_s = monotonic_s() + LOOK_AGAIN_S
                    if writer.refused or await self._recreated(logs):
                        return
        log.info("era_over", extra={"reason": era.reason})

    def _goes_on(self, era: Era, writer: Writer) -> bool:
        """Whether the next part of a batch may be written; what is stored is shown."""
        self._show(writer)
        return not (era.over or self._ending)

    def _end(self) -> None:
        self._ending = True

    async def _recreated(self, logs: Mapping[TopicPartition, Log]) -> bool:
        """Whether any topic is another one than was taken over; an outage is no answer."""
        try:
            now = await self._logs.look(list(logs))
        except BrokerUnavailable:
            return False
        return any(now[partition].topic_id != log.topic_id for partition, log in logs.items())

    def _show(self, writer: Writer) -> None:
        now_s = monotonic_s()
        self._health.report(WRITER, ready=True)
        if now_s - self._shown_at_s < SHOW_EVERY_S:
            return
        self._shown_at_s = now_s
        self._feed.show(writer.positions)
        for place, offset in writer.positions.items():
            end = self._feed.log_ends.get(place, offset)
            self._health.report(
                f"{place.topic}/{place.partition}",
                ready=True,
                next_offset=offset,
                log_end=end,
                lag=max(0, end - offset),
            )

    def _report_refused(self, refused: Mapping[TopicPartition, PartitionRefused]) -> None:
        for (topic, number), refusal in refused.items():
            self._health.report(
                f"{topic}/{number}", ready=False, problem=refusal.problem, remedy=refusal.remedy
            )
            log.error(
                "partition_refused",
                extra={
                    "topic": topic,
                    "partition": number,
                    "problem": refusal.problem,
                    "remedy": refusal.remedy,
                },
            )

    def _forget_parts(self) -> None:
        for name in [name for name in self._health.parts if name not in (READER, WRITER, DATABASE)]:
            del self._health.parts[name]

    def _note_failure(self) -> None:
        self._failures += 1
        self._health.report(WRITER, ready=True)

    async def _watch_reader(self) -> None:
        """Report the reading thread's polls as its liveness; a writer without partitions is alive, not ready."""
        seen_s = 0.0
        while True:
            if self._feed.polled_at_s != seen_s:
                seen_s = self._feed.polled_at_s
                self._health.report(READER, ready=True)
            if self._waiting:
                self._health.report(WRITER, ready=False, waiting_for="partitions of the group")
            await asyncio.sleep(WAIT_S)


async def finished(work: Coroutine[Any, Any, T], *, cancelled: Callable[[], None] = lambda: None) -> T:
    """Return the result of `work`, which is not cancelled with its caller: a transaction in flight ends by itself.

    `cancelled` is called where the caller is cancelled, so that the work may end sooner.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancelled()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("last_batch_not_stored", extra={"error": str(error)})
        raise
