"""Registers archived files in the Iceberg catalog, as they are, one commit a file; and takes out what is to be pruned.

Whoever does either holds a lock of the archive's, so that nothing is registered that is being pruned. Where registrars do
not share the lock, the catalog takes one of two commits, and the other reads anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infra.runtime.exit_codes import ExitCode
from infra.runtime.settings import MdsSettings
from schemas.archive.datasets import every_dataset
from schemas.archive.manifest import MANIFEST, KeptFile
from schemas.errors import ArchiveUnavailable, CatalogUnavailable, ConfigurationError
from sinks.archive.registration import (
    FileLine,
    LogPlace,
    Outrun,
    TableDeclaration,
    dataset_entries,
    following,
    raw_entries,
    snapshot_of,
    table_of_dataset,
    table_of_topic,
)
from sinks.archive.shell.catalog_place import (
    CatalogPlace,
    location_of,
    lock_folder,
    mark,
    place_in_use,
    place_of,
    require_extra,
)
from sinks.archive.shell.disk import Disk, locked
from sinks.archive.shell.inspection import Archived, archived

if TYPE_CHECKING:  # pyiceberg may not be installed
    from sinks.archive.shell.iceberg import ArchiveTable, Catalog

TRIES = 20  # at one file, each behind a commit of somebody else


class Caught(NamedTuple):
    """The outcome of a log: what was registered of it, or why it was refused."""

    text: str
    is_refused: bool = False


def register(root: Path, catalog: Catalog) -> Iterator[Caught]:
    """Register what the manifests of an archive have and the catalog has not, log by log; one that is refused stops no other.

    It is marked before. Raises CatalogUnavailable and ArchiveUnavailable.
    """
    archive = location_of(root)
    for part in archived(root):
        if part.tail is None:
            yield Caught(
                f"{part.path.relative_to(root)}: {part.damage or 'nothing is archived'}", is_refused=True
            )
            continue
        begun = part.tail.begun
        yield _caught_up(root, catalog, archive, table_of_topic(begun), LogPlace(partition=begun.partition))
    for dataset in every_dataset():
        if (root / dataset.folder / MANIFEST).exists():
            yield _caught_up(root, catalog, archive, table_of_dataset(dataset), LogPlace())


def _caught_up(
    root: Path, catalog: Catalog, archive: str, declared: TableDeclaration, place: LogPlace
) -> Caught:
    folder = declared.of if place.partition is None else f"{declared.of}/partition={place.partition}"
    manifest = root / folder / MANIFEST
    read = dataset_entries if place.partition is None else raw_entries
    try:
        with _held(root):
            try:
                data = manifest.read_bytes()
            except OSError as error:
                raise ArchiveUnavailable(f"{manifest} cannot be read: {error.strerror or error}") from error
            entries = read(data, name=str(manifest))
            table = catalog.table(declared, archive)
            done = (
                []
                if table is None
                else _registered(table, root / folder, f"{archive}/{folder}", entries, place)
            )
    except ConfigurationError as error:
        return Caught(f"{folder}: {error}", is_refused=True)
    name = f"{catalog.place.namespace}.{declared.name}"
    rows = sum(entry.rows for entry in done)
    return Caught(
        f"{name}: {len(done)} files of {folder}, {rows:,} rows"
        if done
        else f"{name}: nothing new of {folder}"
    )


def _registered(
    table: ArchiveTable, folder: Path, location: str, entries: Sequence[FileLine], place: LogPlace
) -> list[FileLine]:
    done: list[FileLine] = []
    tries = 0
    while (entry := following(entries, said := table.said(), place, table=table.name)) is not None:
        if not _is_there(folder, entry, is_last=entry is entries[-1] and place.partition is None):
            break
        try:
            table.register(
                f"{location}/{entry.path}",
                snapshot_of(entry, said, place),
                [f"{location}/{each}" for each in entry.replaces],
            )
        except Outrun:
            tries += 1
            if tries > TRIES:
                raise CatalogUnavailable(f"others commit to {table.name} all the time; come again") from None
            table.reload()
            continue
        tries = 0
        done.append(entry)
        if place.partition is not None:  # of a dataset every snapshot is a publication
            table.bound()
    return done


def _is_there(folder: Path, entry: FileLine, *, is_last: bool) -> bool:
    """Whether a file has its name; the last publication of a dataset may still wait for it."""
    path = folder / entry.path
    size_bytes = path.stat().st_size if path.exists() else None
    if size_bytes is None and is_last:
        return False
    if size_bytes != entry.file_bytes:
        problem = "is not there" if size_bytes is None else "is not as it was written"
        raise ConfigurationError(
            f"{path} {problem}", remedy="restore it from a copy; `mds archive verify` lists all faults"
        )
    return True


def taken_out(root: Path, catalog: Catalog, part: Archived, files: Sequence[KeptFile]) -> int:
    """Take files that are to be pruned out of the table they are in; return how many. The lock is held.

    Raises CatalogUnavailable, and ConfigurationError where something in the catalog keeps them.
    """
    begun = part.tail.begun if part.tail else None
    archive = location_of(root)
    table = None if begun is None else catalog.table(table_of_topic(begun), archive, make=False)
    if begun is None or table is None:
        return 0
    paths = [f"{archive}/{begun.folder}/{file.path}" for file in files]
    for _ in range(TRIES):
        try:
            return table.forget(paths)
        except Outrun:
            table.reload()
    raise CatalogUnavailable(f"others commit to {table.name} all the time; come again")


@contextmanager
def registering(root: Path, place: CatalogPlace | None) -> Iterator[Catalog | None]:
    """Hold the archive's lock of who registers, and give the catalog; without one, None, and nothing is held."""
    if place is None:
        yield None
        return
    with _held(root):
        yield _opened(place)


def _opened(place: CatalogPlace) -> Catalog:
    # only here, since it needs the extra
    from sinks.archive.shell.iceberg import Catalog

    return Catalog(place)


@contextmanager
def _held(root: Path) -> Iterator[None]:
    with locked(lock_folder(root), held_by="files of it are registered or pruned"):
        yield


def command(root: Path, shared: MdsSettings, disk: Disk) -> int:
    """Register once, say what came of it, and return the exit code: 1 where something was refused."""
    if next(archived(root), None) is None:  # it raises where there is no archive, and nothing is to be made
        print(f"nothing is archived in {root} yet")
        return ExitCode.DONE
    place = place_in_use(root, shared) or place_of(shared)
    require_extra()
    for folder in (lock_folder(root), *(() if place.home is None else (place.home,))):
        disk.make_folder(folder)
    with _held(root):  # two who make a catalog's own tables at once get in each other's way
        catalog = _opened(place)
        mark(root, place, disk)  # once it answers, and before the first file is in it
    refused = 0
    for caught in register(root, catalog):
        refused += caught.is_refused
        print(f"refused: {caught.text}" if caught.is_refused else caught.text, flush=True)
    return ExitCode.NO if refused else ExitCode.DONE
