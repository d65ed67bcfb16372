"""Plans of the archive: which records make a file, when an hour is over, what to do about a log, what may be pruned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.archive.manifest import KeptFile, ManifestEnd
from schemas.clocks import KnowledgeTime, WallTime
from sinks.progress.positions import UNKNOWN_EPOCH, Log, PartitionRefused

HOUR_US = 3_600_000_000
ROW_BYTES = 64  # a record weighs at least this, or a file of empty ones had no end


class Row(NamedTuple):
    """A raw record as it is archived; `moved_from` is the header of one that was moved here from another topic."""

    offset: int
    append_us: KnowledgeTime
    key: bytes | None
    value: bytes | None
    moved_from: bytes | None = None

    @property
    def content_bytes(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """The end of a file: once it has `file_bytes` of keys and values, or once its hour is over.

    An hour is over when our clock is past its end by `settle_us`: the broker's may be behind.
    """

    file_bytes: int = 134_217_728
    settle_us: int = 60_000_000


class Cut:
    """The file being filled: its records are of one hour of append time, and it ends once it is full."""

    def __init__(self, limits: FileLimits) -> None:
        """Begin with no record."""
        self._limits, self._bytes = limits, 0
        self.hour_us: int | None = None

    def takes(self, row: Row) -> bool:
        """Whether the next record belongs to this file; where it does not, another file begins with it."""
        return self.hour_us in (None, _hour(row.append_us)) and self._bytes < self._limits.file_bytes

    def add(self, row: Row) -> None:
        """Take a record."""
        self.hour_us = _hour(row.append_us)
        self._bytes += max(ROW_BYTES, row.content_bytes)

    def over_at_us(self) -> WallTime:
        """Return when its hour is over, µs, whether or not a later record ever comes; without a record, always."""
        return WallTime(0 if self.hour_us is None else self.hour_us + HOUR_US + self._limits.settle_us)


def _hour(moment_us: int) -> int:
    return moment_us - moment_us % HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The next thing to do in a partition: note the offsets [start, end) of `lost`, if any, then read [start, end)."""

    lost: tuple[int, int] | None
    start: int
    end: int


def work(tail: ManifestEnd, log: Log) -> Work | PartitionRefused:
    """Return what a log holds that is not archived yet; refused where going on would archive an offset twice."""
    name = f"{tail.place.topic}/{tail.place.partition}"
    remedy = f"move the folder {tail.begun.incarnation} of {tail.begun.topic} elsewhere: the archive begins a new one"
    if log.end < tail.next_offset:
        return PartitionRefused(
            problem=f"{name} ends at {log.end}, but is archived up to {tail.next_offset}: the log lost its end",
            remedy=f"restore the broker's log, or {remedy}",
        )
    newer = log.newer
    if (
        newer is not None
        and newer.offset < tail.next_offset
        and UNKNOWN_EPOCH < tail.leader_epoch < newer.epoch
    ):
        return PartitionRefused(
            problem=f"{name} was cut at {newer.offset} and grew again, but is archived up to {tail.next_offset}: "
            "its offsets name other records now",
            remedy=remedy,
        )
    if log.start > tail.next_offset:
        return Work(lost=(tail.next_offset, log.start), start=log.start, end=log.end)
    return Work(lost=None, start=tail.next_offset, end=log.end)


def leading(files: Iterable[KeptFile], before_us: int) -> list[KeptFile]:
    """Return the files that pruning takes: from the oldest on, all records of which were appended before (µs)."""
    chosen = []
    for file in files:
        if file.last_append_us >= before_us:
            break
        chosen.append(file)
    return chosen


def irreplaceable(files: Sequence[KeptFile], topic_id: str, log: Log | None) -> list[KeptFile]:
    """Return those of `files` that the broker does not hold whole; `log` None: it has no such topic, or cannot be asked."""
    if log is None or log.topic_id != topic_id:
        return list(files)
    return [file for file in files if not log.start <= file.start < file.end <= log.end]
