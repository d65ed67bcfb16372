"""`python -m sinks archive prune`: the oldest files of each partition, which leave the Iceberg catalog before they go."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from infra.runtime.clock import wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.settings import MdsSettings
from schemas.archive.manifest import KeptFile
from schemas.clocks import WallTime
from sinks.archive.planning import irreplaceable, leading
from sinks.archive.shell.catalog_place import CatalogPlace, place_in_use
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.folder import prune
from sinks.archive.shell.inspection import Archived, archived, log_of, logs_of
from sinks.archive.shell.registering import registering, taken_out

DAY_US = 86_400_000_000


def prune_by_age(root: Path, shared: MdsSettings, age_days: float, *, yes_lose: bool) -> int:
    """Delete files whose records are all older than so many days, and return the exit code.

    What the broker does not have goes only by `yes_lose`. Raises ConfigurationError where files are in a catalog out of
    which they cannot be taken, before anything is deleted.
    """
    now_us = wall_us()
    chosen = [
        (part, leading(part.files, now_us - int(age_days * DAY_US)))
        for part in archived(root)
        if part.damage is None
    ]
    chosen = [(part, files) for part, files in chosen if files]
    logs = logs_of([part for part, _ in chosen], shared) if chosen else {}
    only_here = {
        part.path: irreplaceable(files, part.tail.begun.topic_id if part.tail else "", log_of(part, logs))
        for part, files in chosen
    }
    rows = sum(file.rows for files in only_here.values() for file in files)
    if rows and not yes_lose:
        print(
            f"error: {rows:,} records of {sum(map(len, only_here.values()))} files are nowhere else: the broker does not have them; "
            "to delete them for good, say --yes-lose",
            file=sys.stderr,
        )
        return ExitCode.NO
    lossy = {path for path, files in only_here.items() if files}
    place = place_in_use(root, shared) if chosen else None
    for text in pruned(root, place, chosen, lossy, now_us):
        print(text)
    if not chosen:
        print(f"nothing is older than {age_days:g} days")
    return ExitCode.DONE


def pruned(
    root: Path,
    place: CatalogPlace | None,
    chosen: Sequence[tuple[Archived, Sequence[KeptFile]]],
    lossy: Collection[Path],
    now_us: WallTime,
) -> Iterator[str]:
    """Delete the oldest files of partitions, which leave the catalog before, and yield what was done.

    Raises ConfigurationError where one cannot leave it; those before it are deleted.
    """
    for part, files in chosen:
        with registering(root, place) as catalog:
            gone = 0 if catalog is None else taken_out(root, catalog, part, files)
            prune(root, part.path, files, Disk(), now_us=now_us, lossy=part.path in lossy)
        also = f"; {gone} of them left the Iceberg catalog before" if gone else ""
        name = part.path.relative_to(root)
        yield f"{name}: pruned {len(files)} files, offsets up to {files[-1].end - 1}{also}"
