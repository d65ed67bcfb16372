"""Contents of an archive as its manifests tell them, day by day, in little memory: lines are read again where they are shown."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.archive import datasets
from schemas.archive.chain import ManifestDamaged
from schemas.archive.datasets import BEGINNING, DatasetEnd, Publication
from schemas.archive.manifest import SECOND_US, KeptFile, Lost, ManifestEnd, Pruned, walk
from schemas.clocks import KnowledgeTime

ReadBytes = Callable[[int, int], bytes]
"""Returns the bytes [start, end) of a manifest."""


@dataclass(frozen=True, slots=True)
class Summed:
    """Files of a day, or of a partition, added up."""

    files: int = 0
    rows: int = 0
    file_bytes: int = 0

    def __add__(self, other: Summed) -> Summed:
        """Return both together."""
        return Summed(self.files + other.files, self.rows + other.rows, self.file_bytes + other.file_bytes)


@dataclass(slots=True)
class DayFiles:
    """Files of one day: where their lines are in the manifest, and of each its first offset, rows and bytes."""

    before: ManifestEnd
    end_bytes: int = 0
    numbers: array[int] = field(default_factory=lambda: array("q"))

    def kept(self, pruned_to: int) -> Summed:
        """Return those that are not pruned, added up."""
        starts, rows, sizes = self.numbers[::3], self.numbers[1::3], self.numbers[2::3]
        first = bisect_left(starts, pruned_to)  # what is pruned is the oldest
        return Summed(len(starts) - first, sum(rows[first:]), sum(sizes[first:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Offsets [start, end) that were lost or pruned, and the moments (append time, µs) they lie between; None: open."""

    kind: str
    start: int
    end: int
    from_us: int | None
    to_us: int | None


class PartitionContents:
    """A manifest of a partition as far as it was read; what was appended since is taken with `take`."""

    def __init__(self, name: str) -> None:
        """`name` is the manifest's, for what is said of damage."""
        self._name = name
        self.tail: ManifestEnd | None = None
        self.days: dict[str, DayFiles] = {}
        self._missing: list[tuple[Lost | Pruned, int | None]] = []
        self._starts, self._appends = array("q"), array("q")  # of every file: first offset, first append time
        self.damage = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of the manifest that were read."""
        return 0 if self.tail is None else self.tail.size_bytes

    @property
    def complete_before(self) -> KnowledgeTime | None:
        """All that was known (running maximum of append times) before it is archived; None: nothing is yet."""
        if self.tail is None or not self.tail.last_append_us or self.damage:
            return None
        return KnowledgeTime(self.tail.last_append_us)

    def take(self, data: bytes) -> None:
        """Take the bytes behind `size_bytes`; a line torn off is left for the next time."""
        try:
            for line, after in walk(data, name=self._name, tail=self.tail):
                if isinstance(line, KeptFile):
                    self._keep(line, after)
                elif isinstance(line, Lost | Pruned):
                    last_us = self.tail.last_append_us if self.tail else 0
                    self._missing.append((line, last_us or None))
                self.tail = after
        except ManifestDamaged as error:
            self.damage = str(error)

    def _keep(self, line: KeptFile, after: ManifestEnd) -> None:
        assert self.tail is not None  # noqa: S101 - a file is never the first line
        day = self.days.setdefault(day_of(line.first_append_us), DayFiles(self.tail))
        day.end_bytes = after.size_bytes
        day.numbers.extend((line.start, line.rows, line.file_bytes))
        self._starts.append(line.start)
        self._appends.append(line.first_append_us)

    def files_of(self, day: str, read: ReadBytes) -> Iterator[KeptFile]:
        """Yield the lines of a day's files that are not pruned; `read` reads the manifest. Raises ManifestDamaged."""
        found = self.days.get(day)
        if found is None or self.tail is None:
            return
        pruned_to = self.tail.pruned_to
        data = read(found.before.size_bytes, found.end_bytes)
        for line, _ in walk(data, name=self._name, tail=found.before):
            if isinstance(line, KeptFile) and line.start >= pruned_to and day_of(line.first_append_us) == day:
                yield line

    def is_pruned(self, start: int) -> bool:
        """Whether there was a file that began with this offset, and it was pruned."""
        return self.tail is not None and start < self.tail.pruned_to and self._append_of(start) is not None

    def missing(self) -> list[Missing]:
        """Return what was lost or pruned, in the order it was told."""
        return [
            Missing(
                kind=line.kind,
                start=line.start,
                end=line.end,
                from_us=self._append_of(line.start) if isinstance(line, Pruned) else before_us,
                to_us=self._append_of(line.end),
            )
            for line, before_us in self._missing
        ]

    def _append_of(self, start: int) -> int | None:
        place = bisect_left(self._starts, start)
        is_there = place < len(self._starts) and self._starts[place] == start
        return self._appends[place] if is_there else None


class DatasetContents:
    """A manifest of a published dataset as far as it was read: a few lines a day."""

    def __init__(self, name: str) -> None:
        """`name` is the manifest's, for what is said of damage."""
        self._name = name
        self.tail: DatasetEnd = BEGINNING
        self.files: dict[str, Publication] = {}
        self.damage = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of the manifest that were read."""
        return self.tail.size_bytes

    def take(self, data: bytes) -> None:
        """Take the bytes behind `size_bytes`; a line torn off is left for the next time."""
        try:
            for line, after in datasets.walk(data, name=self._name, tail=self.tail):
                self.files[line.path] = line
                self.tail = after
        except ManifestDamaged as error:
            self.damage = str(error)

    def days(self) -> dict[str, list[Publication]]:
        """Return the publications of each day, the latest last."""
        found: dict[str, list[Publication]] = {}
        for line in sorted(self.files.values(), key=lambda line: (line.day, line.as_of_us)):
            found.setdefault(line.day, []).append(line)
        return found


def day_of(moment_us: int) -> str:
    """Return the UTC date of a moment."""
    return datetime.fromtimestamp(moment_us // SECOND_US, UTC).date().isoformat()
