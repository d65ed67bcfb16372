"""Verdicts on an archived partition: what is wrong with it, in which file, at which offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.archive.manifest import KeptFile, ManifestEnd, range_of
from sinks.archive.planning import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file as it lies on the disk."""

    file_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFault:
    """Something is not as it was archived: at the offsets [start, end) of a file, or of the manifest."""

    file: str
    start: int
    end: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, offsets {self.start} to {self.end - 1}: {self.problem}"


def fault(line: KeptFile, problem: str) -> ArchiveFault:
    """Return a fault of a whole file."""
    return ArchiveFault(file=line.path, start=line.start, end=line.end, problem=problem)


def file_fault(line: KeptFile, found: FoundFile | None) -> ArchiveFault | None:
    """Return what is wrong with a file by its line, without looking into it."""
    if found is None:
        return fault(line, "the file is missing")
    if found.file_bytes != line.file_bytes:
        return fault(line, f"the file has {found.file_bytes} bytes, it was written with {line.file_bytes}")
    if found.sha256 != line.sha256:
        return fault(line, "the file was changed: its SHA-256 is another one")
    return None


def strays(paths: Iterable[str], living: Iterable[KeptFile], tail: ManifestEnd) -> Iterator[ArchiveFault]:
    """Yield a fault for each file that no line knows; what a writer may have left behind is none: the next start deletes it."""
    known = {line.path for line in living}
    for path in sorted(set(paths) - known):
        offsets = range_of(path.rpartition("/")[2])
        if offsets is not None and not is_leftover(offsets, tail):
            yield ArchiveFault(
                file=path,
                start=offsets[0],
                end=offsets[1],
                problem="no line of the manifest knows the file: the manifest is an older copy",
            )


def is_leftover(offsets: tuple[int, int], tail: ManifestEnd) -> bool:
    """Whether a file without a line, of the offsets [start, end), is what a kill left behind.

    One that was renamed and got no line begins where the manifest ends; of one that was being pruned the line is there.
    """
    start, end = offsets
    return start == tail.next_offset or end <= tail.pruned_to


def checked(line: KeptFile, rows: Iterable[Row]) -> Iterator[Row | ArchiveFault]:
    """Yield the rows of a file, and a fault where they are not what its line says."""
    count = content_bytes = 0
    last = line.start - 1
    for row in rows:
        if not last < row.offset < line.end:
            yield fault(line, f"offset {row.offset} follows {last}")
            return
        last, count, content_bytes = row.offset, count + 1, content_bytes + row.content_bytes
        yield row
    if (count, content_bytes) != (line.rows, line.content_bytes):
        yield fault(
            line, f"{count} records of {content_bytes} bytes, not {line.rows} of {line.content_bytes}"
        )


def difference(archived: Iterable[Row], held: Iterable[Row], *, start: int, end: int) -> ArchiveFault | None:
    """Return the first record of the offsets [start, end) that archive and broker do not have alike."""
    ours, theirs = iter(archived), iter(held)
    while True:
        one, other = next(ours, None), next(theirs, None)
        if one == other:
            if one is None:
                return None
            continue
        at = min(row.offset for row in (one, other) if row is not None)
        if one is None or (other is not None and other.offset < one.offset):
            problem = "the broker has a record that is not archived"
        elif other is None or one.offset < other.offset:
            problem = "the archive has a record that the broker has not"
        else:
            problem = "archive and broker have different bytes"
        return ArchiveFault(file=f"offset {at}", start=max(at, start), end=min(at + 1, end), problem=problem)
