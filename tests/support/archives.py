"""Archives of tests: rows, a clock that is late enough for every hour to be over, and a disk that stops at a step."""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from schemas.archive.manifest import MANIFEST, Begun, KeptFile, Lost, Pruned
from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import DEFAULT_PARTITIONS, RAW_TRADES
from sinks.archive.planning import HOUR_US, FileLimits, Row
from sinks.archive.shell.archiver import Archiver, row_of
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.folder import Folder
from sinks.archive.shell.inspection import read_folder
from sinks.archive.shell.parquet import FileRows, read_rows
from sinks.reading.shell.logs import TopicLogs
from tests.support.eventually import eventually

ROUND_WITHIN_S = 60.0
NOON_US = 1_764_331_200_000_000  # 2025-11-28 12:00 UTC
TOPIC_ID, INCARNATION = "IhXS4p1IRV25+Rkfc/JVnw", "IhXS4p1IRV25-Rkfc_JVnw"  # as librdkafka and Kafka write it


def later_us() -> WallTime:
    """Return a moment by which every hour of now is over."""
    return WallTime(wall_us() + 2 * HOUR_US)


def a_row(offset: int, *, size: int = 40, append_us: int | None = None, key: bytes | None = None) -> Row:
    """Return a row whose value follows from its offset."""
    value = b"\0\0\0\0\7" + random.Random(offset).randbytes(size)
    return Row(
        offset, KnowledgeTime(NOON_US + offset * 1_000 if append_us is None else append_us), key, value
    )


def begun(start: int = 0, *, topic_id: str = TOPIC_ID) -> Begun:
    """Return the first line of a manifest of raw trades, partition 3."""
    return Begun(topic=RAW_TRADES, topic_id=topic_id, partition=3, start=start, at_us=WallTime(NOON_US))


def a_file(start: int, end: int, *, epoch: int = 4, append_us: int = NOON_US) -> KeptFile:
    """Return the line of a file."""
    return KeptFile(
        start=start, end=end, rows=end - start, content_bytes=900, file_bytes=400, sha256="ab" * 32,
        first_append_us=KnowledgeTime(append_us), last_append_us=KnowledgeTime(append_us + 5), leader_epoch=epoch,
    )  # fmt: skip


def lost(start: int, end: int) -> Lost:
    """Return a line of what was lost."""
    return Lost(start=start, end=end, at_us=WallTime(NOON_US))


def pruned(start: int, end: int) -> Pruned:
    """Return a line of what was pruned."""
    return Pruned(start=start, end=end, at_us=WallTime(NOON_US), lossy=False)


def rows_of(rows: Iterable[Row]) -> FileRows:
    """Return rows as a file takes them."""
    made = FileRows(3)
    for row in rows:
        made.add(row)
    return made


def opened(root: Path, disk: Disk | None = None, *, start: int = 0) -> Folder:
    """Take an archive over and open the folder of raw trades, partition 3."""
    disk = Disk(keep_free_bytes=0) if disk is None else disk
    return Folder(root, begun(start), disk=disk, ownership=Ownership.take(root, disk))


def stored_rows(path: Path) -> list[Row]:
    """Return what the files of a folder hold, by its manifest."""
    return [
        row
        for line in read_folder(path).files
        for row in read_rows(path / line.path, rows=line.rows, content_bytes=line.content_bytes)
    ]


def manifest_of(folder: Folder) -> Path:
    """Return the manifest of a folder."""
    return folder.path / MANIFEST


@contextmanager
def files_at_most(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow further, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def archiver(
    root: Path,
    bootstrap: str,
    prefix: str,
    *,
    topics: Iterable[str] = (RAW_TRADES,),
    disk: Disk | None = None,
    file_bytes: int = 20_000,
    now_us: Callable[[], WallTime] = later_us,
    partitions: int = DEFAULT_PARTITIONS,
) -> Archiver:
    """Return an archiver of topics with so many partitions, by a clock for which every hour is over."""
    return Archiver(
        root,
        TopicLogs(bootstrap, prefix=prefix),
        [TopicPartition(topic, number) for topic in topics for number in range(partitions)],
        bootstrap=bootstrap,
        prefix=prefix,
        disk=Disk(keep_free_bytes=0) if disk is None else disk,
        limits=FileLimits(file_bytes=file_bytes),
        now_us=now_us,
    )


async def a_round(archive: Archiver) -> None:
    """Archive once; of topics just made the broker may not say yet where they end."""

    async def done() -> bool:
        try:
            await archive.round()
        except BrokerUnavailable:
            return False
        return True

    await eventually(done, within_s=ROUND_WITHIN_S)


def held_rows(bootstrap: str, prefix: str, topic: str, partition: int) -> list[Row]:
    """Return what the broker has of a partition, as it is archived."""
    with LogReader(bootstrap, "test-archive") as reader:
        name = prefix + topic
        low, high = reader.bounds(name, partition)
        return [
            row_of(message, TopicPartition(topic, partition))
            for message in reader.read(name, partition, low, high)
        ]


class Killed(BaseException):
    """The process ends here, as far as the disk can tell."""


def raise_killed() -> None:
    """Die within the process."""
    raise Killed


def kill_minus_nine() -> None:
    """Die as the operating system lets one die."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingDisk(Disk):
    """A disk whose owner dies at one of the moments between, before, behind and within its steps."""

    def __init__(self, at: int | None, die: Callable[[], None]) -> None:
        """Die at the moment of this number, counted from 1; None: never."""
        super().__init__(keep_free_bytes=0)
        self._at, self._die = at, die
        self.moments = 0

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self._at:
            self._die()

    @contextmanager
    def new_file(self, path: Path) -> Iterator[BinaryIO]:
        """Die before it, with a part of it written, or behind it."""
        self._moment()
        if self.moments + 1 == self._at:
            path.write_bytes(b"PAR1 and no more")
        self._moment()
        with super().new_file(path) as file:
            yield file
        self._moment()

    def rename(self, old: Path, new: Path) -> None:
        """Die before or behind it."""
        self._moment()
        super().rename(old, new)
        self._moment()

    def append(self, path: Path, data: bytes) -> None:
        """Die before, within or behind it."""
        self._moment()
        if self.moments + 1 == self._at:
            with path.open("ab") as file:
                file.write(data[: len(data) * 2 // 3])
        self._moment()
        super().append(path, data)
        self._moment()

    def cut(self, path: Path, size_bytes: int) -> None:
        """Die before or behind it."""
        self._moment()
        super().cut(path, size_bytes)
        self._moment()

    def delete(self, path: Path) -> None:
        """Die before or behind it."""
        self._moment()
        super().delete(path)
        self._moment()
