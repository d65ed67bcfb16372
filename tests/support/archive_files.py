"""Archives with files of real rows, and of published days, for who reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from arro3.core import DataType
from arro3.io import read_parquet

from schemas.archive import datasets
from schemas.archive.datasets import Publication
from schemas.archive.manifest import MANIFEST, KeptFile
from schemas.clocks import KnowledgeTime, WallTime
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.folder import Folder, prune
from tests.support.archives import NOON_US, a_row, opened, rows_of

HOUR_US = 3_600_000_000


def keep_hours(folder: Folder, hours: int, *, rows: int = 5, size: int = 40) -> list[KeptFile]:
    """Archive so many hours, one file each, behind what the folder has."""
    kept = []
    for _ in range(hours):
        start = folder.tail.next_offset
        hour_us = NOON_US + start // rows * HOUR_US
        made = rows_of(a_row(start + n, size=size, append_us=hour_us + n) for n in range(rows))
        kept.append(folder.keep(made, leader_epoch=1))
    return kept


def filled(root: Path, hours: int, *, rows: int = 5, size: int = 40) -> tuple[Folder, list[KeptFile]]:
    """Return an archive of one partition of raw trades with so many files."""
    folder = opened(root)
    return folder, keep_hours(folder, hours, rows=rows, size=size)


def pruned_to(root: Path, folder: Folder, files: list[KeptFile]) -> None:
    """Delete the oldest files, as `mds archive prune` does."""
    prune(root, folder.path, files, Disk(keep_free_bytes=0), now_us=WallTime(NOON_US), lossy=False)


def publish(root: Path, dataset: str, day: str, content: bytes, *, as_of_us: int = NOON_US) -> Publication:
    """Put a file of a published day beside those there are, with its line."""
    line = Publication(
        dataset=dataset, day=day, as_of_us=KnowledgeTime(as_of_us), rows=1, file_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), at_us=WallTime(as_of_us),
    )  # fmt: skip
    manifest = root / dataset / MANIFEST
    manifest.parent.mkdir(parents=True, exist_ok=True)
    tail = datasets.BEGINNING
    for _, after in datasets.walk(manifest.read_bytes() if manifest.exists() else b""):
        tail = after
    with manifest.open("ab") as file:
        file.write(datasets.append(tail, line)[0])
    path = root / dataset / line.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return line


def published_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a published file, moments in µs."""
    table = read_parquet(path).read_all()
    columns = {
        field.name: table[field.name].cast(DataType.int64()).to_pylist()
        if "Timestamp" in str(field.type)
        else table[field.name].to_pylist()
        for field in (table.schema.field(name) for name in table.column_names)
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
