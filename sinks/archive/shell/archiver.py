"""Archives raw topics: each partition read on from where its manifest ends, a file a time, the broker's log the only queue.

Nothing is held from one look to the next: records of an hour that is not over are read again when it is. So memory is
that of one file, however many partitions there are, and a kill costs one file's work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.runtime import metrics
from infra.runtime.backoff import Backoff
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, append_time_us, moved_from
from infra.runtime.lifecycle import Health
from schemas.archive.manifest import Begun
from schemas.clocks import CanonicalOffset, KnowledgeTime, WallTime
from schemas.errors import ArchiveUnavailable, BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from sinks.archive.planning import Cut, FileLimits, Row, Work, work
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.folder import Folder
from sinks.archive.shell.parquet import FileRows
from sinks.progress.positions import UNKNOWN_EPOCH, Log, PartitionRefused, StoredPosition

log = logging.getLogger(__name__)

LOOK_EVERY_S, OWNER_EVERY_S = 15.0, 1.0
STALL_AFTER_S = 300.0  # without a file, a look or a failure
BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
ARCHIVE = "archive"
SECOND_US = 1_000_000
TUNING = {"queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8_388_608}


class BrokerLogs(Protocol):
    """Logs as the broker has them."""

    def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> Coroutine[None, None, dict[TopicPartition, Log]]:
        """Return the log of each partition, compared with what is archived of it."""


@dataclass(slots=True)
class _Part:
    """A partition: its folder, and when to look into it again; all before `whole_to_us` is archived."""

    folder: Folder
    whole_to_us: int
    due_us: int = 0


class Archiver:
    """Archives partitions, round by round."""

    def __init__(
        self,
        root: Path,
        logs: BrokerLogs,
        partitions: Collection[TopicPartition],
        *,
        bootstrap: str,
        prefix: str,
        disk: Disk,
        limits: FileLimits,
        now_us: Callable[[], WallTime] = wall_us,
    ) -> None:
        """Take the archive over; `partitions` are of topics named without `prefix`. Raises ArchiveUnavailable."""
        self._root, self._logs, self._turns, self._disk = root, logs, sorted(partitions), disk
        self._bootstrap, self._prefix = bootstrap, prefix
        self._limits, self._now_us = limits, now_us
        self._moved: Callable[[], None] = lambda: None
        self._ownership = Ownership.take(root, disk)
        self._parts: dict[TopicPartition, _Part] = {}
        self.refused: dict[TopicPartition, PartitionRefused] = {}
        self.stopping = threading.Event()

    async def run(self, health: Health) -> None:
        """Archive until cancelled; ends by itself with Fenced where somebody took over."""
        health.expect(ARCHIVE, stall_after_s=STALL_AFTER_S)
        self._moved = lambda: health.moved(ARCHIVE)
        failures = 0
        try:
            while True:
                try:
                    await self.round()
                    failures = 0
                    self._report(health)
                except (ArchiveUnavailable, BrokerUnavailable) as error:
                    failures += 1
                    health.report(ARCHIVE, ready=False, error=str(error))
                    log.warning("waiting", extra={"error": str(error)})
                await self._wait(BACKOFF.pause_s(failures) if failures else LOOK_EVERY_S)
        finally:
            self.stopping.set()
            for place in self._parts:
                metrics.ARCHIVE_AGE_SECONDS.remove(place.topic, str(place.partition))

    async def _wait(self, pause_s: float) -> None:
        """Wait for the next look; raises Fenced soon after somebody took over."""
        end_s = monotonic_s() + pause_s
        while (left_s := end_s - monotonic_s()) > 0:
            await asyncio.sleep(min(left_s, OWNER_EVERY_S))
            with suppress(ArchiveUnavailable):  # the next look says so
                self._ownership.check()

    async def round(self) -> None:
        """Archive what may be archived now. What is wrong with a single partition leaves it `refused`.

        Raises Fenced, ArchiveUnavailable and BrokerUnavailable; what was done until then stays.
        """
        # Asked first: what comes later, into an hour that is not over by it, is not archived now.
        now_us = self._now_us()
        stored = {
            place: StoredPosition(
                topic_id=part.folder.tail.begun.topic_id,
                next_offset=CanonicalOffset(part.folder.tail.next_offset),
                leader_epoch=part.folder.tail.leader_epoch,
            )
            for place, part in self._parts.items()
        }
        logs = await self._logs.look(self._turns, stored)
        opened = await asyncio.to_thread(self._open, logs, now_us)
        if opened:
            logs = await self._logs.look(self._turns, stored | opened)
        await asyncio.to_thread(self._archive, logs, now_us)

    def _open(
        self, logs: Mapping[TopicPartition, Log], now_us: WallTime
    ) -> dict[TopicPartition, StoredPosition]:
        """Open the folders of logs that are new, or others under their old name, and return what is archived of them."""
        opened = {}
        for place, found in logs.items():
            part = self._parts.get(place)
            if part is not None and part.folder.tail.begun.topic_id == found.topic_id:
                continue
            begun = Begun(
                topic=place.topic,
                topic_id=found.topic_id,
                partition=place.partition,
                start=found.start,
                at_us=now_us,
            )
            try:
                folder = Folder(self._root, begun, disk=self._disk, ownership=self._ownership)
            except ConfigurationError as error:
                self._parts.pop(place, None)
                self._refuse(place, PartitionRefused(problem=error.problem, remedy=error.remedy))
                continue
            self._parts[place] = _Part(folder, whole_to_us=folder.tail.last_append_us or now_us)
            opened[place] = StoredPosition(
                topic_id=found.topic_id,
                next_offset=CanonicalOffset(folder.tail.next_offset),
                leader_epoch=folder.tail.leader_epoch,
            )
            self._show(place)
        return opened

    def _archive(self, logs: Mapping[TopicPartition, Log], now_us: WallTime) -> None:
        self._ownership.check()
        with LogReader(self._bootstrap, f"{self._prefix}sinks-archive", tuning=TUNING) as reader:
            for place in list(self._turns):
                # whoever fails is the last the next time, and holds up nobody else
                self._turns.remove(place)
                self._turns.append(place)
                part = self._parts.get(place)
                # made again since the folders were opened: the next round opens another
                if part is None or part.folder.tail.begun.topic_id != logs[place].topic_id:
                    continue
                try:
                    self._work(reader, part, logs[place], now_us)
                except ConfigurationError as error:
                    self._refuse(place, PartitionRefused(problem=error.problem, remedy=error.remedy))
                self._show(place)
                if self.stopping.is_set():
                    return

    def _work(self, reader: LogReader, part: _Part, found: Log, now_us: WallTime) -> None:
        place, planned = part.folder.tail.place, work(part.folder.tail, found)
        if isinstance(planned, PartitionRefused):
            self._refuse(place, planned)
            return
        if planned.lost is not None:
            part.folder.lose(*planned.lost, now_us=now_us)
            log.error("lost_to_retention", extra={"partition": str(place), "offsets": planned.lost})
        if planned.start >= planned.end:
            part.whole_to_us = now_us
        elif now_us >= part.due_us or planned.lost is not None:
            self._read(reader, part, planned, found, now_us)
        self.refused.pop(place, None)

    def _read(self, reader: LogReader, part: _Part, planned: Work, found: Log, now_us: WallTime) -> None:
        """Archive the records of a partition up to those of an hour that is not over."""
        place, epoch = part.folder.tail.place, found.leader_epoch
        cut, rows = Cut(self._limits), FileRows(place.partition)
        for message in reader.read(self._prefix + place.topic, place.partition, planned.start, planned.end):
            row = row_of(message, place)
            if not cut.takes(row):
                self._keep(part, rows, epoch)
                cut, rows = Cut(self._limits), FileRows(place.partition)
                if self.stopping.is_set():
                    return
            cut.add(row)
            rows.add(row)
            epoch = max(epoch, _epoch(message))
        if rows.count and now_us >= cut.over_at_us():
            self._keep(part, rows, epoch)
            cut, rows = Cut(self._limits), FileRows(place.partition)
        part.whole_to_us = rows.first_append_us if rows.count else now_us
        part.due_us = cut.over_at_us()

    def _keep(self, part: _Part, rows: FileRows, epoch: int) -> None:
        place = part.folder.tail.place
        # A topic that was made again since it was looked at is read on without a word where it is long enough.
        if asyncio.run(self._logs.look([place]))[place].topic_id != part.folder.tail.begun.topic_id:
            raise BrokerUnavailable(f"{place.topic} was deleted and made again while it was read")
        kept = part.folder.keep(rows, leader_epoch=epoch)
        metrics.ARCHIVE_BYTES.labels(place.topic).inc(kept.file_bytes)
        self._show(place)
        self._moved()

    def _refuse(self, place: TopicPartition, refusal: PartitionRefused) -> None:
        if place not in self.refused:
            log.error("partition_refused", extra={"problem": refusal.problem, "remedy": refusal.remedy})
        self.refused[place] = refusal

    def _show(self, place: TopicPartition) -> None:
        labels, part = (place.topic, str(place.partition)), self._parts[place]
        metrics.ARCHIVE_NEXT_OFFSET.labels(*labels).set(part.folder.tail.next_offset)
        age = metrics.ARCHIVE_AGE_SECONDS.labels(*labels)
        metrics.compute_at_scrape(age, lambda: max(0, self._now_us() - part.whole_to_us) / SECOND_US)

    def _report(self, health: Health) -> None:
        if not self.refused:
            health.report(ARCHIVE, ready=True, partitions=len(self._parts))
            return
        told = {
            f"{place.topic}/{place.partition}": f"{refusal.problem}; {refusal.remedy}"
            for place, refusal in self.refused.items()
        }
        health.report(ARCHIVE, ready=False, partitions=len(self._parts), refused=told)


def row_of(message: Message, place: TopicPartition) -> Row:
    """Return a record as it is archived; raise ConfigurationError where the broker does not stamp it."""
    appended_us = append_time_us(message)
    if appended_us is None:
        raise ConfigurationError(
            f"{place.topic} is stamped by its producers, not by the broker",
            remedy="set message.timestamp.type=LogAppendTime on it (`mds topics apply`)",
        )
    key, value, moved = message.key(), message.value(), moved_from(message)
    return Row(
        message.offset() or 0,
        KnowledgeTime(appended_us),
        key.encode() if isinstance(key, str) else key,
        value.encode() if isinstance(value, str) else value,
        None if moved is None else "/".join(map(str, moved)).encode(),
    )


def _epoch(message: Message) -> int:
    epoch = message.leader_epoch()
    return UNKNOWN_EPOCH if epoch is None else epoch
