"""The manifest of an archived partition: a line for all that became of its offsets, chained by hashes.

Lines tile the offsets from where the archive began: a file holds a range, or it was lost. A range that was kept may
later be pruned. What no line says is not archived; what a line says was on the disk before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from schemas.archive.chain import NO_HASH, ManifestDamaged, chained, unchained
from schemas.clocks import KnowledgeTime, WallTime
from schemas.partitions import TopicPartition

MANIFEST = "manifest.jsonl"
FILE_NAME = re.compile(r"(\d{17})-(\d{17})\.parquet")
SECOND_US = 1_000_000
IN_A_PATH = str.maketrans("+/", "-_")  # librdkafka's base64 has characters of paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The first line: which log this is of, and the offset from which on it is archived."""

    kind: ClassVar[str] = "begun"
    topic: str  # without any prefix
    topic_id: str
    partition: int
    start: int
    at_us: WallTime

    @property
    def incarnation(self) -> str:
        """The topic id as Kafka's own tools write it, which a folder may be named."""
        return self.topic_id.translate(IN_A_PATH)

    @property
    def folder(self) -> str:
        """Path of the partition's folder from that of the archive."""
        return f"{self.topic}/{self.incarnation}/partition={self.partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file holds all records of the offsets [start, end); control records among them are none.

    Append times are those of the earliest and of the latest record, `content_bytes` are of keys and values. No record
    is of a later leader epoch than `leader_epoch`, negative where none is known.
    """

    kind: ClassVar[str] = "file"
    start: int
    end: int
    rows: int
    content_bytes: int
    file_bytes: int
    sha256: str
    first_append_us: KnowledgeTime
    last_append_us: KnowledgeTime
    leader_epoch: int = -1

    @property
    def path(self) -> str:
        """Path from the partition's folder: the day of the first append, then the offsets, both inclusive."""
        day = datetime.fromtimestamp(self.first_append_us // SECOND_US, UTC).date().isoformat()
        return f"date={day}/{self.start:017d}-{self.end - 1:017d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The broker had deleted the offsets [start, end) before they were archived."""

    kind: ClassVar[str] = "lost"
    start: int
    end: int
    at_us: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The files of the offsets [start, end) were deleted on request; `lossy` where the broker had not all of them."""

    kind: ClassVar[str] = "pruned"
    start: int
    end: int
    at_us: WallTime
    lossy: bool


Line: TypeAlias = Begun | KeptFile | Lost | Pruned
KINDS: dict[str, type[Line]] = {line.kind: line for line in (Begun, KeptFile, Lost, Pruned)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEnd:
    """The state of a manifest after its lines so far: all a writer must know of them.

    Offsets below `next_offset` are told, those below `pruned_to` are no longer kept; `hash` is that of the last line and
    `size_bytes` where it ends. The latest record that was archived was appended at `last_append_us`, 0 before the first.
    """

    begun: Begun
    next_offset: int
    pruned_to: int
    leader_epoch: int
    last_append_us: int
    hash: str
    size_bytes: int
    number: int = field(compare=False)

    @property
    def place(self) -> TopicPartition:
        """The partition, by its topic's name without prefix."""
        return TopicPartition(self.begun.topic, self.begun.partition)


def append(tail: ManifestEnd | None, line: Line, *, name: str = MANIFEST) -> tuple[bytes, ManifestEnd]:
    """Return a line as it is written after `tail`, and the tail after it; raise ManifestDamaged where it does not belong."""
    data, said = chained({"kind": line.kind, **_fields(line)}, NO_HASH if tail is None else tail.hash)
    return data, _after(tail, line, said, len(data), name)


def walk(
    data: bytes, *, name: str = MANIFEST, tail: ManifestEnd | None = None
) -> Iterator[tuple[Line, ManifestEnd]]:
    """Yield each whole line and the tail after it; a line that is torn off at the end is none.

    `data` goes on behind `tail`, which was read before. Raises ManifestDamaged at the first line that was changed, does not
    follow the one before, or leaves a hole.
    """
    for number, text in enumerate(data.split(b"\n")[:-1], start=1 if tail is None else tail.number + 1):
        line, said = _read(text, NO_HASH if tail is None else tail.hash, name, number)
        tail = _after(tail, line, said, len(text) + 1, name)
        yield line, tail


def last(data: bytes, *, name: str = MANIFEST) -> ManifestEnd | None:
    """Return the tail after all whole lines, None where there is none; raises ManifestDamaged."""
    tail = None
    for _, after in walk(data, name=name):
        tail = after
    return tail


def kept(data: bytes, *, name: str = MANIFEST) -> list[KeptFile]:
    """Return the files that are not pruned, in the order of their offsets; raises ManifestDamaged."""
    files, pruned_to = [], 0
    for line, tail in walk(data, name=name):
        pruned_to = tail.pruned_to
        if isinstance(line, KeptFile):
            files.append(line)
    return [file for file in files if file.start >= pruned_to]


def range_of(file_name: str) -> tuple[int, int] | None:
    """Return the offsets [start, end) that a file's name says, None where it is no name of ours."""
    match = FILE_NAME.fullmatch(file_name)
    return None if match is None else (int(match[1]), int(match[2]) + 1)


def _fields(line: Line) -> dict[str, Any]:
    values = {name: getattr(line, name) for name in line.__dataclass_fields__ if name != "kind"}
    return {**values, "file": line.path} if isinstance(line, KeptFile) else values


def _read(text: bytes, previous: str, name: str, number: int) -> tuple[Line, str]:
    """Return a line and its hash."""
    content, said = unchained(text, previous, name, number)
    content.pop("file", None)
    try:
        return KINDS[content.pop("kind")](**content), said
    except (KeyError, TypeError) as error:
        raise ManifestDamaged(name, number, f"a newer release wrote it ({error})") from error


def _after(tail: ManifestEnd | None, line: Line, said: str, size_bytes: int, name: str) -> ManifestEnd:
    number = 1 if tail is None else tail.number + 1
    if tail is None or isinstance(line, Begun):
        if tail is not None or not isinstance(line, Begun):
            raise ManifestDamaged(name, number, "the first line, and no other, says what is archived")
        begun, next_offset, pruned_to, epoch, appended_us, before_bytes = (
            line,
            line.start,
            line.start,
            -1,
            0,
            0,
        )
    else:
        begun, next_offset, pruned_to = tail.begun, tail.next_offset, tail.pruned_to
        epoch, appended_us, before_bytes = tail.leader_epoch, tail.last_append_us, tail.size_bytes
        if isinstance(line, Pruned):
            if not (line.start == pruned_to < line.end <= next_offset):
                raise ManifestDamaged(name, number, f"pruned {line.start} to {line.end}, after {pruned_to}")
            pruned_to = line.end
        elif line.start != next_offset or line.end <= line.start:
            missing = f"offsets {next_offset} to {line.start - 1} are missing"
            raise ManifestDamaged(
                name, number, missing if line.start > next_offset else "offsets are told twice"
            )
        else:
            next_offset = line.end
            if isinstance(line, KeptFile):
                epoch, appended_us = max(epoch, line.leader_epoch), max(appended_us, line.last_append_us)
    return ManifestEnd(
        begun=begun,
        next_offset=next_offset,
        pruned_to=pruned_to,
        leader_epoch=epoch,
        last_append_us=appended_us,
        hash=said,
        size_bytes=before_bytes + size_bytes,
        number=number,
    )
