"""Reads an archive: what it holds, whether that is still what was written, and the records themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from infra.runtime.kafka.logs import LogReader
from infra.runtime.settings import MdsSettings
from schemas.archive.chain import ManifestDamaged
from schemas.archive.manifest import (
    MANIFEST,
    KeptFile,
    Line,
    Lost,
    ManifestEnd,
    Pruned,
    walk,
)
from schemas.errors import ArchiveUnavailable, BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from schemas.wire.framing import StreamedRecord, write_record
from sinks.archive.planning import Row
from sinks.archive.shell.archiver import row_of
from sinks.archive.shell.folder import files_of, found
from sinks.archive.shell.parquet import read_rows
from sinks.archive.verdicts import ArchiveFault, checked, difference, fault, file_fault, strays
from sinks.progress.positions import Log
from sinks.reading.shell.logs import TopicLogs


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A partition of one incarnation of a topic as its manifest tells; `damage` is at its first line that is not whole.

    Its lines are read again by whoever asks, so that no more than those of one partition are ever held.
    """

    path: Path
    tail: ManifestEnd | None
    damage: ManifestDamaged | None

    @property
    def lines(self) -> list[Line]:
        """All whole lines."""
        return [line for line, _ in _walk(self.path)]

    @property
    def files(self) -> list[KeptFile]:
        """The files that are not pruned, oldest first."""
        pruned_to, files = 0, []
        for line, tail in _walk(self.path):
            pruned_to = tail.pruned_to
            if isinstance(line, KeptFile):
                files.append(line)
        return [line for line in files if line.start >= pruned_to]

    @property
    def missing(self) -> list[Lost | Pruned]:
        """Offsets it no longer has or never had."""
        return [line for line in self.lines if isinstance(line, Lost | Pruned)]


class Moments(NamedTuple):
    """Moments [start, end), µs, by which records were appended: each by the newest append time up to it, as processors reckon."""

    start: int
    end: int


def archived(root: Path) -> Iterator[Archived]:
    """Yield each partition of an archive in the order of their names; raise ConfigurationError where there is none."""
    if not root.is_dir():
        raise ConfigurationError(
            f"there is no archive at {root}", remedy="name its folder by --path or SINKS_ARCHIVE"
        )
    numbered = [(path.name.partition("=")[2], path) for path in root.glob("*/*/partition=*")]
    paths = [(path.parent, int(number), path) for number, path in numbered if number.isdecimal()]
    for _, _, path in sorted(paths):
        yield read_folder(path)


def read_folder(path: Path) -> Archived:
    """Read a partition's manifest, as far as it is whole; a line being written is none."""
    damages: list[ManifestDamaged] = []
    tail = None
    for _, after in _walk(path, damages.append):
        tail = after
    return Archived(path=path, tail=tail, damage=damages[0] if damages else None)


def _walk(
    path: Path, damaged: Callable[[ManifestDamaged], None] = lambda _: None
) -> Iterator[tuple[Line, ManifestEnd]]:
    manifest = path / MANIFEST
    try:
        data = manifest.read_bytes() if manifest.exists() else b""
    except OSError as error:
        raise ArchiveUnavailable(f"{manifest} cannot be read: {error.strerror or error}") from error
    try:
        yield from walk(data, name=str(manifest))
    except ManifestDamaged as error:
        damaged(error)


def replayed(partitions: Collection[Archived], asked: Sequence[str]) -> dict[str, str]:
    """Return by topic the incarnation a replay reads: the one `asked` for, otherwise the one that was begun last.

    Raises ConfigurationError where one of `asked` is of no topic here.
    """
    begun = sorted(
        (part.tail.begun for part in partitions if part.tail is not None), key=lambda first: first.at_us
    )
    topics = {first.incarnation: first.topic for first in begun}
    for each in asked:
        if each not in topics:
            there = " ".join(sorted(topics)) or "there is none"
            raise ConfigurationError(
                f"--incarnation {each}: nothing archived is of it",
                remedy=f"take one of those that are (`mds archive status`): {there}",
            )
    return {first.topic: first.incarnation for first in begun} | {topics[each]: each for each in asked}


def logs_of(parts: Iterable[Archived], shared: MdsSettings) -> dict[TopicPartition, Log]:
    """Return the logs that the broker has of these; none, and a warning, where it does not answer."""
    places = {part.tail.place for part in parts if part.tail is not None}
    found: dict[TopicPartition, Log] = {}
    topic_logs = TopicLogs(shared.bootstrap_servers, prefix=shared.topic_prefix)
    try:
        for topic in sorted({place.topic for place in places}):
            found |= asyncio.run(topic_logs.look([place for place in places if place.topic == topic]))
    except BrokerUnavailable as error:
        print(f"warning: {error}", file=sys.stderr)
    return found


def log_of(part: Archived, logs: dict[TopicPartition, Log]) -> Log | None:
    """Return the log of which a partition is the archive, if the broker has it."""
    log = None if part.tail is None else logs.get(part.tail.place)
    is_same = log is not None and part.tail is not None and log.topic_id == part.tail.begun.topic_id
    return log if is_same else None


def verify(
    part: Archived, log: Log | None, reader: LogReader | None, *, prefix: str
) -> Iterator[ArchiveFault]:
    """Yield all that is not as it was archived, and where the broker's `log` of the same topic says otherwise.

    Raises BrokerUnavailable and ArchiveUnavailable.
    """
    end = 0 if part.tail is None else part.tail.next_offset
    if part.damage is not None:
        yield ArchiveFault(
            file=MANIFEST,
            start=end,
            end=end + 1,
            problem=f"{part.damage.problem}; nothing from here on is checked",
        )
    elif part.tail is None:
        yield ArchiveFault(file=MANIFEST, start=0, end=1, problem="the manifest is missing or empty")
    elif part.tail.begun.folder != "/".join(part.path.parts[-3:]):
        yield ArchiveFault(
            file=MANIFEST, start=part.tail.begun.start, end=end, problem=f"it is of {part.tail.begun.folder}"
        )
    else:
        yield from strays(files_of(part.path), part.files, part.tail)
    for line in part.files:
        wrong = file_fault(line, found(part.path / line.path))
        if wrong is not None:
            if line in read_folder(part.path).files:  # nobody pruned it meanwhile
                yield wrong
            continue
        faults: list[ArchiveFault] = []
        rows = _rows(part, line, faults)
        if part.tail is not None and log is not None and reader is not None and log.start < line.end:
            yield from _compared(part.tail.place, line, rows, log, reader, prefix)
        for _ in rows:
            pass
        yield from faults


def _rows(part: Archived, line: KeptFile, faults: list[ArchiveFault]) -> Iterator[Row]:
    read = read_rows(part.path / line.path, rows=line.rows, content_bytes=line.content_bytes)
    for row in checked(line, read):
        if isinstance(row, ArchiveFault):
            faults.append(row)
        else:
            yield row


def _compared(
    place: TopicPartition, line: KeptFile, rows: Iterator[Row], log: Log, reader: LogReader, prefix: str
) -> Iterator[ArchiveFault]:
    start = max(line.start, log.start)
    held = (
        row_of(message, place)
        for message in reader.read(prefix + place.topic, place.partition, start, line.end)
    )
    differs = difference((row for row in rows if row.offset >= start), held, start=start, end=line.end)
    if differs is not None:
        yield fault(line, f"{differs.problem}, at offset {differs.start}")


def cat(
    partitions: Collection[Archived], incarnations: Mapping[str, str], moments: Moments, out: BinaryIO
) -> Iterator[str]:
    """Write the record stream of these partitions, each in its order, and yield what is not in it, in words.

    Of each topic one incarnation: positions of two logs must not mix. A file is compared with its hash before a record
    of it is written; raises ConfigurationError where it, or a manifest, is not as it was written.
    """
    for part in partitions:
        if part.damage is not None:
            raise part.damage
        if part.tail is None or incarnations.get(part.tail.begun.topic) != part.tail.begun.incarnation:
            continue
        place = part.tail.place
        name = f"{place.topic}/{place.partition}"
        for line in part.missing:
            yield f"{name}: offsets {line.start} to {line.end - 1} were {line.kind}"
        known_us = 0  # the clock of a broker may step back, or the next leader's may be behind
        for file in part.files:
            if known_us < moments.end and max(known_us, file.last_append_us) >= moments.start:
                for row in _whole(part, file):
                    known_us = max(known_us, row.append_us)
                    if moments.start <= known_us < moments.end:
                        write_record(out, _streamed(place, row))
            known_us = max(known_us, file.last_append_us)


def _whole(part: Archived, line: KeptFile) -> Iterator[Row]:
    """Yield the rows of a file that is as it was written."""
    faults: list[ArchiveFault] = []
    wrong = file_fault(line, found(part.path / line.path))
    if wrong is None:
        yield from _rows(part, line, faults)
    for each in [wrong, *faults]:
        if each is not None:
            raise ConfigurationError(
                f"{part.path}: {each}",
                remedy="restore the file from a copy; `mds archive verify` lists all faults",
            )


def _streamed(place: TopicPartition, row: Row) -> StreamedRecord:
    return StreamedRecord(
        topic=place.topic,
        partition=place.partition,
        offset=row.offset,
        append_time=row.append_us,
        key=row.key,
        value=row.value or b"",
        moved_from=row.moved_from,
    )
