"""Published datasets: the canonical values of one day as they were known at one moment, a file each; their manifest.

A folder has one dataset. Its manifest has a line for each publication; a later one of the same day, after corrections,
stands beside the earlier, never in its place. A line is written before its file gets its name: a file under its name has
one, and a line whose file is not there yet belongs to a publication that was cut off, and is ended by the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, NamedTuple

from schemas.archive.chain import NO_HASH, ManifestDamaged, chained, unchained
from schemas.archive.manifest import MANIFEST
from schemas.clocks import KnowledgeTime, WallTime
from schemas.deriving import SqlType, TableColumn, columns
from schemas.intervals import EPOCH, INTERVALS
from schemas.streams import STREAMS, Stream

KIND = "published"
FILE_PATH = re.compile(r"date=(\d{4}-\d{2}-\d{2})/as_of=(\d{8}T\d{12}Z)/(\w+)\.parquet", re.ASCII)


class DatasetColumn(NamedTuple):
    """A column of a file, named as the field of the record; `read` is its name in the public view."""

    name: str
    read: str
    type: SqlType
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset: a stream, and of bars one interval ("" where the stream has none)."""

    stream: Stream
    interval: str = ""

    @property
    def folder(self) -> str:
        """Path of its folder from that of the archive."""
        return f"{self.stream.name}/interval={self.interval}" if self.interval else self.stream.name

    @property
    def columns(self) -> tuple[DatasetColumn, ...]:
        """The columns of its files: the fields of the record, in its order, and of slots the revision."""
        fields = [DatasetColumn(_name(c), _read(c), c.type, c.nullable) for c in columns(self.stream)]
        revision = [DatasetColumn("revision", "revision", "int4", nullable=False)]
        return (*fields, *(revision if self.stream.versions == "slots" else ()))


def _read(column: TableColumn) -> str:
    """Return the SQL that reads a column; days as integers, as everywhere here."""
    if column.type == "date":
        return f"{column.name} - DATE '1970-01-01'"
    if column.type == "date[]":
        each = (
            "SELECT e.day - DATE '1970-01-01' FROM unnest({}) WITH ORDINALITY e (day, place) ORDER BY e.place"
        )
        return f"ARRAY({each.format(column.name)})"
    return f"{column.name}::text[]" if column.type == "char[]" else column.name


def _name(column: TableColumn) -> str:
    """Return the name of a column: that of the record's field, or of what its lists become."""
    return column.name if "." in column.source else column.source


def every_dataset() -> tuple[Dataset, ...]:
    """Return all that may be published."""
    of_bars = (Dataset(stream=each, interval=i) for each in STREAMS if each.by_interval for i in INTERVALS)
    return (*of_bars, *(Dataset(stream=each) for each in STREAMS if not each.by_interval))


def dataset_of(folder: str) -> Dataset | None:
    """Return the dataset that a folder of the archive is of, None where it is of none."""
    return next((each for each in every_dataset() if each.folder == folder), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A file with the values of the UTC day `day` (event time) as they were known at `as_of_us`, inclusive."""

    dataset: str  # the folder
    day: str
    as_of_us: KnowledgeTime
    rows: int
    file_bytes: int
    sha256: str
    at_us: WallTime

    @property
    def path(self) -> str:
        """Path from the dataset's folder."""
        return path_of(self.dataset, self.day, self.as_of_us)


def path_of(dataset: str, day: str, as_of_us: KnowledgeTime) -> str:
    """Return where the file of a day as of a moment lies in its dataset's folder; names sort as moments do."""
    moment = EPOCH + timedelta(microseconds=as_of_us)
    stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return f"date={day}/as_of={stamp}/{dataset.partition('/')[0]}.parquet"


class DatasetEnd(NamedTuple):
    """The state of a manifest after its lines so far: the hash of the last, where it ends, and how many there are."""

    hash: str = NO_HASH
    size_bytes: int = 0
    number: int = 0


BEGINNING = DatasetEnd()


def append(tail: DatasetEnd, line: Publication) -> tuple[bytes, DatasetEnd]:
    """Return a line as it is written after `tail`, and the tail after it."""
    content = {"kind": KIND, **{each: getattr(line, each) for each in line.__dataclass_fields__}}
    data, said = chained({**content, "file": line.path}, tail.hash)
    return data, DatasetEnd(said, tail.size_bytes + len(data), tail.number + 1)


def walk(
    data: bytes, *, name: str = MANIFEST, tail: DatasetEnd = BEGINNING
) -> Iterator[tuple[Publication, DatasetEnd]]:
    """Yield each whole line behind `tail` and the tail after it; a line that is torn off at the end is none.

    Raises ManifestDamaged at the first that was changed or does not follow the one before it.
    """
    for text in data.split(b"\n")[:-1]:
        content, said = unchained(text, tail.hash, name, tail.number + 1)
        tail = DatasetEnd(said, tail.size_bytes + len(text) + 1, tail.number + 1)
        yield _publication(content, name, tail.number), tail


def newest(lines: Iterable[Publication]) -> dict[str, Publication]:
    """Return the latest publication of each day."""
    latest: dict[str, Publication] = {}
    for line in lines:
        before = latest.get(line.day)
        if before is None or before.as_of_us < line.as_of_us:
            latest[line.day] = line
    return latest


def _publication(content: dict[str, Any], name: str, number: int) -> Publication:
    content.pop("file", None)
    kind = content.pop("kind", None)
    try:
        if kind != KIND:
            raise TypeError(f"kind {kind!r}")
        return Publication(**content)
    except TypeError as error:
        raise ManifestDamaged(name, number, f"a newer release wrote it ({error})") from error
