"""Archives from elsewhere: each partition of another archive's folder is taken in whole, or not at all.

It is copied beside, under a name that nobody reads, every file compared with its line, and then gets its name in one step.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from schemas.archive.manifest import MANIFEST, KeptFile
from schemas.errors import ArchiveUnavailable
from schemas.topics import RAW_TOPICS
from sinks.archive.shell.disk import Disk, locked, writing
from sinks.archive.shell.folder import READ_BYTES, found
from sinks.archive.shell.inspection import Archived, archived
from sinks.archive.verdicts import file_fault

IMPORTING = ".importing"


class Taken(NamedTuple):
    """Words on a partition of another archive; `is_here` where it is in this one now."""

    is_here: bool
    text: str


def take_in(root: Path, source: Path, disk: Disk) -> Iterator[Taken]:
    """Take in the partitions of the archive at `source`, and yield what became of each.

    Of one that is here already nothing changes: it may have gone on since. Raises ArchiveUnavailable, and ConfigurationError
    where there is no archive at `source`.
    """
    for part in archived(source):
        name = "/".join(part.path.parts[-3:])
        is_here, text = _taken(root, part, name, disk)
        yield Taken(is_here, f"{name}: {text}")


def _taken(root: Path, part: Archived, name: str, disk: Disk) -> tuple[bool, str]:
    if part.damage is not None or part.tail is None:
        return False, "its manifest is damaged" if part.damage else "it has no manifest"
    # what a manifest of somebody else says is no path before it is compared with where it lies
    if part.tail.begun.folder != name or part.tail.begun.topic not in RAW_TOPICS:
        return False, f"its manifest is of {part.tail.begun.folder}"
    target = root / name
    if target.exists():
        return _compared(part, target)
    files = part.files
    temporary = target.with_name(f"{IMPORTING}.{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of an import that was killed
    disk.make_folder(temporary)
    try:
        disk.require_room(temporary, sum(line.file_bytes for line in files))
        wrong = next(filter(None, (_copied(part, line, temporary, disk) for line in files)), None)
        if wrong is not None:
            return False, wrong
        disk.append(temporary / MANIFEST, _manifest(part))
        with locked(root):
            if target.exists():  # the archiver was quicker
                return _compared(part, target)
            disk.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True, f"took in {len(files)} files, offsets {part.tail.pruned_to} to {part.tail.next_offset - 1}"


def _copied(part: Archived, line: KeptFile, folder: Path, disk: Disk) -> str | None:
    """Copy a file and return what is wrong with it, None where it is what its line says."""
    copy = folder / line.path
    disk.make_folder(copy.parent)
    try:
        original = (part.path / line.path).open("rb")
    except FileNotFoundError:
        return f"{line.path} is missing"
    except OSError as error:
        raise ArchiveUnavailable(
            f"{part.path / line.path} cannot be read: {error.strerror or error}"
        ) from error
    with original, disk.new_file(copy) as out, writing(f"{copy} cannot be written"):
        shutil.copyfileobj(original, out, READ_BYTES)
    wrong = file_fault(line, found(copy))
    return None if wrong is None else str(wrong)


def _compared(part: Archived, target: Path) -> tuple[bool, str]:
    there = target / MANIFEST
    if there.exists() and there.read_bytes().startswith(_manifest(part)):
        return True, "it is here already"
    return False, "another archive of it is here; move one of them elsewhere"


def _manifest(part: Archived) -> bytes:
    """Return the whole lines of a manifest."""
    assert part.tail is not None  # noqa: S101 - checked before
    return (part.path / MANIFEST).read_bytes()[: part.tail.size_bytes]
