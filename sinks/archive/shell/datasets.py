"""The folder of a published dataset: its manifest and files on the disk, and the steps of a publication.

A file is written under another name and brought to the disk, gets its line, and then its name: whoever looks for files by
their names finds none without a line. Killed between the last two, the next who opens the folder gives it its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schemas.archive.chain import ManifestDamaged
from schemas.archive.datasets import (
    BEGINNING,
    Dataset,
    DatasetEnd,
    Publication,
    append,
    every_dataset,
    newest,
    path_of,
    walk,
)
from schemas.archive.manifest import MANIFEST
from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import ConfigurationError
from sinks.archive.shell.disk import Disk, locked
from sinks.archive.shell.folder import TEMPORARY, found
from sinks.archive.verdicts import FoundFile

Write = Callable[[BinaryIO], tuple[int, int, str]]
"""Writes a file and returns its rows, its length in bytes and its SHA-256."""


class DatasetFolder:
    """A dataset's folder as its writer has it, who is alone with it."""

    def __init__(self, path: Path, dataset: Dataset, disk: Disk) -> None:
        """Use `opened`."""
        self._path, self._dataset, self._disk = path, dataset, disk
        self._manifest = path / MANIFEST
        self._tail, lines = self._recover()
        self._newest = newest(lines)

    def newest(self, day: str) -> Publication | None:
        """Return the latest publication of a day."""
        return self._newest.get(day)

    def publish(self, day: str, as_of: KnowledgeTime, write: Write, *, now_us: WallTime) -> Publication:
        """Put a file beside those there are; when this returns it is published. Raises ArchiveUnavailable, and what `write` raises."""
        final = self._path / path_of(self._dataset.folder, day, as_of)
        temporary = self._temporary(day, final)
        before = self._newest.get(day)
        self._disk.require_room(self._path, 0 if before is None else before.file_bytes)
        with self._disk.new_file(temporary) as out:
            rows, file_bytes, sha256 = write(out)
        line = Publication(
            dataset=self._dataset.folder,
            day=day,
            as_of_us=as_of,
            rows=rows,
            file_bytes=file_bytes,
            sha256=sha256,
            at_us=now_us,
        )
        self._disk.make_folder(final.parent)
        data, self._tail = append(self._tail, line)
        self._disk.append(self._manifest, data)
        self._disk.rename(temporary, final)
        self._newest[day] = line
        return line

    def _temporary(self, day: str, final: Path) -> Path:
        return self._path / f".{day}.{final.parent.name}{TEMPORARY}"

    def _recover(self) -> tuple[DatasetEnd, list[Publication]]:
        """Bring the folder to what its manifest says: a torn line is none, and the last publication gets its name."""
        data = self._manifest.read_bytes() if self._manifest.exists() else b""
        tail, lines = BEGINNING, []
        for line, tail in walk(data, name=str(self._manifest)):  # noqa: B007 - the last of them is kept
            lines.append(line)
        if len(data) > tail.size_bytes:
            self._disk.cut(self._manifest, tail.size_bytes)
        if lines:
            self._end(lines[-1])
        for unfinished in self._path.glob(f".*{TEMPORARY}"):
            self._disk.delete(unfinished)
        return tail, lines

    def _end(self, line: Publication) -> None:
        final = self._path / line.path
        if final.exists():
            return
        temporary = self._temporary(line.day, final)
        if found(temporary) != FoundFile(file_bytes=line.file_bytes, sha256=line.sha256):
            raise ConfigurationError(
                f"{final} is gone, which {self._manifest} says is there", remedy="restore it from a copy"
            )
        self._disk.make_folder(final.parent)
        self._disk.rename(temporary, final)


@contextmanager
def opened(root: Path, dataset: Dataset, disk: Disk) -> Iterator[DatasetFolder]:
    """Open a dataset's folder, or make it; what a killed publication left is ended or cleared away.

    Raises ArchiveUnavailable where somebody else publishes it, ManifestDamaged, and ConfigurationError where a file is gone.
    """
    path = root / dataset.folder
    disk.make_folder(path)
    with locked(path, held_by="another publication of it goes on"):
        yield DatasetFolder(path, dataset, disk)


def verified(root: Path) -> Iterator[str]:
    """Yield all that is not as it was published, by file; what has no line, and a line that was changed, too."""
    for dataset in every_dataset():
        path = root / dataset.folder
        manifest = path / MANIFEST
        lines: list[Publication] = []
        try:
            lines += (line for line, _ in walk(manifest.read_bytes(), name=str(manifest)))
        except FileNotFoundError:
            pass
        except ManifestDamaged as error:
            yield f"{dataset.folder}/{error}"
            continue
        for line in lines:
            there = found(path / line.path)
            if there != FoundFile(file_bytes=line.file_bytes, sha256=line.sha256):
                problem = "it is not there" if there is None else "it is not as it was published"
                yield f"{dataset.folder}/{line.path}: {problem}"
        named = {line.path for line in lines}
        for stray in sorted(str(file.relative_to(path)) for file in path.glob("date=*/as_of=*/*.parquet")):
            if stray not in named:
                yield f"{dataset.folder}/{stray}: no line of the manifest knows it"
