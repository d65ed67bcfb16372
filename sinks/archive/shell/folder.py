"""The folder of an archived partition: its manifest and files on the disk, and the steps that change them.

A file is written under another name, brought to the disk, renamed, and then gets its line. Killed between any two of
these, what has no line is deleted by the next who opens the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.runtime.lifecycle import VERSION
from schemas.archive.manifest import (
    MANIFEST,
    Begun,
    KeptFile,
    Line,
    Lost,
    ManifestEnd,
    Pruned,
    append,
    kept,
    last,
    range_of,
)
from schemas.clocks import WallTime
from schemas.errors import ArchiveUnavailable, ConfigurationError, Fenced, MarketDataError
from sinks.archive.shell.disk import Disk, Ownership, locked, writing
from sinks.archive.shell.parquet import FileRows
from sinks.archive.verdicts import FoundFile, is_leftover

TEMPORARY = ".tmp"
READ_BYTES = 1_048_576


class Folder:
    """A partition's folder, as its writer has it. Not for two threads."""

    def __init__(self, root: Path, begun: Begun, *, disk: Disk, ownership: Ownership) -> None:
        """Open it, or make it where nothing was archived yet; what a killed writer left is cleared away.

        Raises ManifestDamaged, ConfigurationError where files are there that no manifest can have left behind,
        ArchiveUnavailable and Fenced.
        """
        self.path = root / begun.folder
        self._manifest = self.path / MANIFEST
        self._disk, self._ownership = disk, ownership
        self._failed = False  # a step may be half done
        with ownership.held():
            disk.make_folder(self.path)
            tail = recover(self.path, disk)
            if tail is None:
                data, tail = append(None, begun)
                disk.append(self._manifest, data)
        if tail.begun.folder != begun.folder:
            raise ConfigurationError(
                f"{self._manifest} is of {tail.begun.folder}", remedy="move the folder back to where it was"
            )
        self.tail = tail

    def keep(self, rows: FileRows, *, leader_epoch: int) -> KeptFile:
        """Write the rows, the next in line, as a file; when this returns they are archived.

        Raises ArchiveUnavailable, and Fenced before anything is changed.
        """
        self._ownership.check()
        start, begun = self.tail.next_offset, self.tail.begun
        self._disk.require_room(self.path, rows.content_bytes)
        temporary = self.path / f".{start:017d}.{self._ownership.epoch}{TEMPORARY}"
        with self._disk.new_file(temporary) as out:
            metadata = {
                "topic": begun.topic, "topic_id": begun.topic_id, "partition": str(begun.partition),
                "first_offset": str(start), "last_offset": str(rows.end - 1), "version": VERSION,
            }  # fmt: skip
            file_bytes, digest = rows.write(out, metadata)
        line = KeptFile(
            start=start,
            end=rows.end,
            rows=rows.count,
            content_bytes=rows.content_bytes,
            file_bytes=file_bytes,
            sha256=digest,
            first_append_us=rows.first_append_us,
            last_append_us=rows.last_append_us,
            leader_epoch=leader_epoch,
        )
        try:
            with self._step():
                self._disk.make_folder((self.path / line.path).parent)
                self._disk.rename(temporary, self.path / line.path)
                self._append(line)
        except MarketDataError:
            self._disk.delete(temporary)
            raise
        return line

    def lose(self, start: int, end: int, *, now_us: WallTime) -> None:
        """Note that the broker deleted the offsets [start, end), the next in line, before they were archived."""
        with self._step():
            self._append(Lost(start=start, end=end, at_us=now_us))

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Change the folder, in which somebody may have pruned, or a step of our own failed half way."""
        with self._ownership.held():
            with writing(f"{self._manifest} cannot be read"):
                size_bytes = self._manifest.stat().st_size
            if self._failed or size_bytes != self.tail.size_bytes:
                tail = recover(self.path, self._disk, writing_on=True)
                if tail is None or tail.next_offset < self.tail.next_offset:
                    raise Fenced(f"{self._manifest} is not as it was left")
                before, self.tail, self._failed = self.tail, tail, False
                if tail.next_offset > before.next_offset:
                    raise ArchiveUnavailable(
                        f"{self._manifest} took a line though the disk refused it; read on from there"
                    )
            self._failed = True
            yield
            self._failed = False

    def _append(self, line: Line) -> None:
        data, tail = append(self.tail, line, name=str(self._manifest))
        self._disk.append(self._manifest, data)
        self.tail = tail


def recover(path: Path, disk: Disk, *, writing_on: bool = False) -> ManifestEnd | None:
    """Bring a folder to what its manifest says, and return the tail; None where nothing was archived. The lock is held.

    A line torn off at the end is cut off, files without a line are deleted: those that a kill can have left, and, unless
    somebody is `writing_on`, unfinished ones. Raises ManifestDamaged, and ConfigurationError where other files have no
    line: then lines are missing, not files too many.
    """
    manifest = path / MANIFEST
    data = manifest.read_bytes() if manifest.exists() else b""
    tail = last(data, name=str(manifest))
    whole_bytes = 0 if tail is None else tail.size_bytes
    if len(data) > whole_bytes:
        disk.cut(manifest, whole_bytes)
    living = {line.path for line in kept(data, name=str(manifest))}
    for name in files_of(path):
        offsets = range_of(name.rpartition("/")[2])
        if offsets is not None and name not in living:
            if tail is None or not is_leftover(offsets, tail):
                raise ConfigurationError(
                    f"no line of {manifest} knows {name}",
                    remedy="restore the manifest that belongs to the files, or move the folder elsewhere",
                )
            disk.delete(path / name)
    if not writing_on:
        for unfinished in path.glob(f".*{TEMPORARY}"):
            disk.delete(unfinished)
    return tail


def files_of(path: Path) -> list[str]:
    """Return the files of a partition's folder by their paths from it."""
    return sorted(str(file.relative_to(path)) for file in path.glob("date=*/*.parquet"))


def prune(
    root: Path, path: Path, files: Sequence[KeptFile], disk: Disk, *, now_us: WallTime, lossy: bool
) -> None:
    """Delete the oldest files of a folder, whoever writes it meanwhile: first they get their line.

    Raises ArchiveUnavailable, ManifestDamaged, and ConfigurationError where they are not the oldest any more.
    """
    with locked(root):
        tail = recover(path, disk, writing_on=True)
        if tail is None or tail.pruned_to > files[0].start:
            raise ConfigurationError(
                f"{path} was pruned meanwhile", remedy="look again: `mds archive status`"
            )
        data, _ = append(
            tail, Pruned(start=tail.pruned_to, end=files[-1].end, at_us=now_us, lossy=lossy), name=str(path)
        )
        disk.append(path / MANIFEST, data)
        for file in files:
            disk.delete(path / file.path)
    for day in {(path / file.path).parent for file in files}:
        with suppress(OSError):  # other files of the day stay
            day.rmdir()


def found(path: Path) -> FoundFile | None:
    """Return a file's length and hash, None where it is not there; raises ArchiveUnavailable where it cannot be read."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
                size_bytes += len(block)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveUnavailable(f"{path} cannot be read: {error.strerror or error}") from error
    return FoundFile(file_bytes=size_bytes, sha256=digest.hexdigest())
