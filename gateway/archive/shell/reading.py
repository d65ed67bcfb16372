"""The archive's folder as the gateway reads it: manifests, each read on from where it was left, and files they name.

Nothing is opened through a link, and nothing that no manifest names.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.archive.contents import DatasetContents, PartitionContents
from gateway.http.problems import Problem
from schemas.archive.chain import ManifestDamaged
from schemas.archive.datasets import FILE_PATH, Dataset, Publication, dataset_of, every_dataset
from schemas.archive.manifest import MANIFEST, KeptFile

RAW_FOLDER = re.compile(r"(raw\.\w{1,32}\.v\d{1,3})/([\w-]{1,64})/partition=(\d{1,5})", re.ASCII)
RAW_FILE = re.compile(r"date=(\d{4}-\d{2}-\d{2})/(\d{17})-\d{17}\.parquet", re.ASCII)
LISTED = "GET /archive lists what is there"

Contents = TypeVar("Contents", PartitionContents, DatasetContents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open file, of which the manifest says this length and hash."""

    descriptor: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPartition:
    """One partition of one incarnation of a raw topic."""

    folder: str
    topic: str
    incarnation: str
    partition: int
    contents: PartitionContents


class ArchiveFolder:
    """Reads one archive, for several threads: who looks at what it returns holds `lock` meanwhile."""

    def __init__(self, root: Path, *, setting: str) -> None:
        """Read the archive at `root`; `setting` is what names it, for what is said where it is not there."""
        self._root, self._setting = root, setting
        self.lock = threading.RLock()
        self._known: dict[str, tuple[int, PartitionContents | DatasetContents]] = {}

    def partitions(self) -> list[RawPartition]:
        """Return every partition with a manifest, by topic, incarnation and number. Raises Problem."""
        self._require()
        with self.lock:
            found = [self._partition(folder, match) for folder, match in self._raw_folders()]
        return sorted(
            (each for each in found if each is not None),
            key=lambda each: (each.topic, each.incarnation, each.partition),
        )

    def datasets(self) -> list[tuple[Dataset, DatasetContents]]:
        """Return every published dataset. Raises Problem."""
        self._require()
        with self.lock:
            read = [(each, self._read(each.folder, DatasetContents)) for each in every_dataset()]
        return [(dataset, contents) for dataset, contents in read if contents is not None]

    def lines_of(self, part: RawPartition, day: str) -> list[KeptFile]:
        """Return a day's files of a partition; of a manifest that is damaged those before the damage."""
        read = partial(self._bytes, f"{part.folder}/{MANIFEST}")
        try:
            return list(part.contents.files_of(day, read))
        except ManifestDamaged:
            return []  # it was changed after it was read; the next look says so

    def open(self, path: str) -> Opened:
        """Open a file that a manifest names; raise the Problem (404, 410) of one that is not there any more, or never was."""
        self._require()
        folder, found = self._line_of(path)
        if found is None:
            raise _unknown(path)
        try:
            descriptor = self._open(f"{folder}/{found.path}")
        except OSError as error:
            if self._is_pruned(path):
                raise _pruned(path) from error
            detail = (
                f"{path} is in the manifest and cannot be read; run `mds archive verify` where the archive is"
            )
            raise Problem(code="unknown_file", detail=detail) from error
        if os.fstat(descriptor).st_size != found.file_bytes:
            os.close(descriptor)
            detail = f"{path} is not as it was written; run `mds archive verify` where the archive is"
            raise Problem(code="archive_damaged", detail=detail)
        return Opened(descriptor=descriptor, size_bytes=found.file_bytes, sha256=found.sha256)

    def _line_of(self, path: str) -> tuple[str, KeptFile | Publication | None]:
        folder, file = _split(path)
        if RAW_FILE.fullmatch(file) and (match := RAW_FOLDER.fullmatch(folder)):
            with self.lock:
                part = self._partition(folder, match)
            if part is None:
                return folder, None
            if self._is_pruned(path):
                raise _pruned(path)
            lines = self.lines_of(part, file[len("date=") :].partition("/")[0])
            return folder, next((line for line in lines if line.path == file), None)
        if FILE_PATH.fullmatch(file) and dataset_of(folder) is not None:
            with self.lock:
                contents = self._read(folder, DatasetContents)
            return folder, None if contents is None else contents.files.get(file)
        return folder, None

    def _is_pruned(self, path: str) -> bool:
        folder, file = _split(path)
        match, name = RAW_FOLDER.fullmatch(folder), RAW_FILE.fullmatch(file)
        if match is None or name is None:
            return False
        with self.lock:
            part = self._partition(folder, match)
        return part is not None and part.contents.is_pruned(int(name[2]))

    def _require(self) -> None:
        if not self._root.is_dir():
            detail = f"there is no archive at {self._root}; set {self._setting} to its folder, or start `mds archive run`"
            raise Problem(code="no_archive", detail=detail)

    def _partition(self, folder: str, match: re.Match[str]) -> RawPartition | None:
        contents = self._read(folder, PartitionContents)
        if contents is None:
            return None
        topic, incarnation, number = match.groups()
        return RawPartition(
            folder=folder, topic=topic, incarnation=incarnation, partition=int(number), contents=contents
        )

    def _raw_folders(self) -> Iterator[tuple[str, re.Match[str]]]:
        for topic in _folders(self._root):
            for incarnation in _folders(self._root / topic):
                for partition in _folders(self._root / topic / incarnation):
                    folder = f"{topic}/{incarnation}/{partition}"
                    if match := RAW_FOLDER.fullmatch(folder):
                        yield folder, match

    def _read(self, folder: str, made: Callable[[str], Contents]) -> Contents | None:
        """Return a manifest's contents, read on; None where there is none. The lock is held."""
        name = f"{folder}/{MANIFEST}"
        try:
            descriptor = self._open(name)
        except OSError:
            self._known.pop(folder, None)
            return None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            inode, contents = self._known.get(folder, (-1, None))
            if contents is None or inode != status.st_ino or status.st_size < contents.size_bytes:
                contents = made(name)
            if status.st_size > contents.size_bytes:
                file.seek(contents.size_bytes)
                contents.take(file.read())
        self._known[folder] = (status.st_ino, contents)
        return contents  # type: ignore[return-value] # what a folder is of follows from its name

    def _bytes(self, name: str, start: int, end: int) -> bytes:
        try:
            with os.fdopen(self._open(name), "rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError:
            return b""

    def _open(self, path: str) -> int:
        """Open a regular file below the root, no part of whose path is a link. Raises OSError."""
        *folders, name = path.split("/")
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for each in folders:
                inner = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(path)
        return descriptor


def _split(path: str) -> tuple[str, str]:
    """Return the folder of a manifest and the path of a file from it: a day, and what lies in it."""
    folder, _, file = path.partition("/date=")
    return folder, f"date={file}" if file else ""


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _unknown(path: str) -> Problem:
    return Problem(code="unknown_file", detail=f"nothing archived is called {path[:200]!r}; {LISTED}")


def _pruned(path: str) -> Problem:
    detail = f"{path} was pruned; {LISTED}, and what is stored is in the database still"
    return Problem(code="file_pruned", detail=detail)
