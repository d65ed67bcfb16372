"""Registration of archived files in tables of an Iceberg catalog: which table a log has, and which file is next.

A table's own snapshot says how far it is: for each log the place behind its last file, and the hash of that file's line in
the manifest, so that a log which was replaced is never continued.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.archive import datasets, manifest
from schemas.archive.datasets import Dataset
from schemas.archive.manifest import Begun, KeptFile
from schemas.errors import ConfigurationError

OURS = "mds."
NEXT_OFFSET, NEXT_PUBLICATION, LINE = "mds.next-offset", "mds.next-publication", "mds.manifest-line"
AS_OF, DAY = "mds.as-of-us", "mds.day"
NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


class Outrun(Exception):
    """Somebody committed to the table before, or nobody knows whether we did: what the table says now decides."""


class IcebergColumn(NamedTuple):
    """A column of a table; `type` is one of PostgreSQL's as datasets name them, or `bytea`."""

    name: str
    type: str
    nullable: bool


RAW_COLUMNS = (
    IcebergColumn("partition", "int4", nullable=False),
    IcebergColumn("offset", "int8", nullable=False),
    IcebergColumn("append_time", "timestamptz", nullable=False),
    IcebergColumn("key", "bytea", nullable=True),
    IcebergColumn("value", "bytea", nullable=True),
    IcebergColumn("moved_from", "bytea", nullable=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDeclaration:
    """A table: its name, what it is of, its columns, and by which it is partitioned, the last of them by day."""

    name: str
    of: str  # the folder, from that of the archive
    columns: tuple[IcebergColumn, ...]
    partitioned_by: tuple[str, ...]


def table_of_topic(begun: Begun) -> TableDeclaration:
    """Return the table of one incarnation of a topic: offsets of two would mean two records each."""
    of = f"{begun.topic}/{begun.incarnation}"
    mark = hashlib.sha256(begun.incarnation.encode()).hexdigest()[:8]
    return TableDeclaration(
        name=f"{_name(begun.topic)}_{mark}",
        of=of,
        columns=RAW_COLUMNS,
        partitioned_by=("partition", "append_time"),
    )


def table_of_dataset(dataset: Dataset) -> TableDeclaration:
    """Return the table of a published dataset: of each day the latest publication."""
    name = f"{dataset.stream.name}_{dataset.interval}" if dataset.interval else dataset.stream.name
    return TableDeclaration(
        name=_name(name),
        of=dataset.folder,
        columns=tuple(IcebergColumn(each.name, each.type, each.nullable) for each in dataset.columns),
        partitioned_by=("event_time",),
    )


def _name(text: str) -> str:
    return NOT_IN_A_NAME.sub("_", text.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """A manifest as snapshots name it: a partition's, or a dataset's own."""

    partition: int | None = None

    @property
    def next(self) -> str:
        """The property that says where the log goes on."""
        return NEXT_PUBLICATION if self.partition is None else f"{NEXT_OFFSET}.{self.partition}"

    @property
    def line(self) -> str:
        """The property with the hash of the last line."""
        return LINE if self.partition is None else f"{LINE}.{self.partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """A file by its line: `end` is where the log goes on behind it, an offset or a number of publications.

    `is_kept` unless it was pruned. It stands in place of the files in `replaces`. Paths are from the log's folder.
    """

    path: str
    end: int
    line: str
    rows: int
    file_bytes: int
    is_kept: bool = True
    replaces: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


def raw_entries(data: bytes, *, name: str) -> list[FileLine]:
    """Return all files a partition's manifest tells of, in the order of their offsets; raises ManifestDamaged."""
    lines, pruned_to = [], 0
    for line, tail in manifest.walk(data, name=name):
        pruned_to = tail.pruned_to
        if isinstance(line, KeptFile):
            lines.append((line, tail.hash))
    return [
        FileLine(
            path=line.path,
            end=line.end,
            line=said,
            rows=line.rows,
            file_bytes=line.file_bytes,
            is_kept=line.start >= pruned_to,
        )
        for line, said in lines
    ]


def dataset_entries(data: bytes, *, name: str) -> list[FileLine]:
    """Return the publications of a dataset in the order of their lines; raises ManifestDamaged."""
    entries: list[FileLine] = []
    of_day: dict[str, list[str]] = {}
    for line, tail in datasets.walk(data, name=name):
        earlier = of_day.setdefault(line.day, [])
        entries.append(
            FileLine(
                path=line.path,
                end=tail.number,
                line=tail.hash,
                rows=line.rows,
                file_bytes=line.file_bytes,
                replaces=tuple(earlier),
                told={DAY: line.day, AS_OF: str(line.as_of_us)},
            )
        )
        earlier.append(line.path)
    return entries


def carried(summaries: Iterable[Mapping[str, str]], table: str) -> dict[str, str]:
    """Return what the newest snapshot of ours says, of these, the newest first: how far each log of the table is.

    What others commit in between says nothing, and changes nothing. Raises ConfigurationError where none of ours is left.
    """
    is_empty = True
    for summary in summaries:
        is_empty = False
        ours = {name: value for name, value in summary.items() if name.startswith(OURS)}
        if ours:
            return {name: value for name, value in ours.items() if name not in (DAY, AS_OF)}
    if is_empty:
        return {}
    raise ConfigurationError(
        f"no snapshot of the table {table} says any more how far it is registered",
        remedy="drop the table in the catalog, no file goes with it; `mds archive iceberg` makes it again",
    )


def following(
    entries: Sequence[FileLine], said: Mapping[str, str], place: LogPlace, *, table: str
) -> FileLine | None:
    """Return the file to be registered next, None where all are; `said` is what the table's snapshot carries.

    Files without a row are none, and what was pruned is not registered any more. Raises ConfigurationError where the
    table has files of another log than these.
    """
    at = 0
    if place.next in said:
        end = int(said[place.next])
        at = bisect_left(entries, end, key=lambda each: each.end)
        if at == len(entries) or (entries[at].end, entries[at].line) != (end, said.get(place.line)):
            log = "the dataset" if place.partition is None else f"partition {place.partition}"
            raise ConfigurationError(
                f"the table {table} goes on at {end} in {log} by another manifest than the one that is here",
                remedy="bring that manifest back, or drop the table in the catalog, no file goes with it; "
                "`mds archive iceberg` makes it again",
            )
        at += 1
    return next((each for each in entries[at:] if each.is_kept and each.rows), None)


def snapshot_of(entry: FileLine, said: Mapping[str, str], place: LogPlace) -> dict[str, str]:
    """Return what the snapshot that registers a file carries: its place, and those of all other logs of the table."""
    return {**said, place.next: str(entry.end), place.line: entry.line, **entry.told}
