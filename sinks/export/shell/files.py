"""`python -m sinks export`: one file of a topic's records, made of parts; a part is whole once it has its name.

A kill costs the part begun. Beside the file lies the folder `<file>.parts` until all parts are in the file. A part ends after so many rows or bytes, or with its
partition, whoever wrote the ones before it: so the file is the same however often its making was interrupted.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from schemas.errors import ArchiveUnavailable, MalformedPayload, MarketDataError
from schemas.topics import CANONICAL_TOPICS, RAW_TOPICS
from schemas.wire.framing import END, StreamedRecord, read_records
from sinks.archive.shell.disk import Disk, writing
from sinks.archive.shell.parquet import batch_of, batches_of, write_batches
from sinks.export.columns import columns_of, csv_text, row_maker

PARTS = ".parts"
PART = re.compile(r"(\d{5})-(\d{20})-(\d{20})-(\d+)\.part")
PART_ROWS, PART_BYTES = 25_000, 33_554_432
COPY_BYTES = 1_048_576
OWNED_WITHIN_S, OWNED_POLL_S = (
    15.0,
    0.05,
)  # one whose feeder was killed ends when it has read what it was sent
SHOWN = 5  # records left out that are named


class FilePart(NamedTuple):
    """A part of a file to be: of a partition up to the offset `end`, so many rows."""

    partition: int
    end: int
    rows: int
    path: Path


class ExportFile:
    """A file in the making, and the parts there are of it; raises ArchiveUnavailable where the disk does not take a step."""

    def __init__(self, path: Path, topic: str, disk: Disk) -> None:
        """Go on with the parts of `path`, a `.parquet` or `.csv`, of raw or canonical `topic`."""
        self._path, self._topic, self._disk = path, topic, disk
        self._folder = parts_of(path)
        self._columns, self._row = columns_of(topic), row_maker(topic)
        self._is_csv = path.suffix == ".csv"
        self.left_out: list[str] = []  # records that are none of the topic

    def positions(self) -> dict[int, int]:
        """Return by partition the offset after the last that a part holds."""
        return {part.partition: part.end for part in self._parts()}

    def add(self, records: Iterator[StreamedRecord]) -> bool:
        """Write the parts of a record stream and return whether it came to its end; what its last part lacks is not written then."""
        rows: list[tuple[Any, ...]] = []
        partition = start = end = size = 0
        for record in records:
            if rows and (
                record.partition != partition
                or record.topic != self._topic
                or len(rows) >= PART_ROWS
                or size >= PART_BYTES
            ):
                self._write(partition, start, end, rows)
                rows, size = [], 0
            if record == END:
                return True
            if not rows:
                partition, start = record.partition, record.offset
            try:
                rows.append(self._row(record))
            except MalformedPayload as error:
                self.left_out.append(f"{record.topic}/{record.partition}, offset {record.offset}: {error}")
            end, size = record.offset + 1, size + len(record.value)
        return False

    def finish(self) -> int:
        """Make the file of its parts, give it its name, delete the parts, and return how many rows it has."""
        partial, parts = self._folder / "whole", self._parts()
        with self._disk.new_file(partial) as out:
            if self._is_csv:
                self._join_csv(out, parts)
            else:
                batches = (batch for part in parts for batch in batches_of(part.path))
                write_batches(out, self._columns, batches)
        self._disk.rename(partial, self._path)
        # Its plan goes last: killed before that, the same command finds that it was finished.
        for part in parts:
            self._disk.delete(part.path)
        shutil.rmtree(self._folder)
        return sum(part.rows for part in parts)

    def _join_csv(self, out: BinaryIO, parts: Sequence[FilePart]) -> None:
        out.write((",".join(column.name for column in self._columns) + "\r\n").encode())
        for part in parts:
            with part.path.open("rb") as file:
                shutil.copyfileobj(file, out, COPY_BYTES)

    def _write(self, partition: int, start: int, end: int, rows: list[tuple[Any, ...]]) -> None:
        name = f"{partition:05d}-{start:020d}-{end:020d}-{len(rows)}.part"
        begun = self._folder / "begun"
        with self._disk.new_file(begun) as out:
            if self._is_csv:
                out.write(csv_text(self._columns, rows).encode())
            else:
                write_batches(out, self._columns, [batch_of(self._columns, rows)])
        self._disk.rename(begun, self._folder / name)

    def _parts(self) -> list[FilePart]:
        """Return the parts, in order."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError as error:
            raise ArchiveUnavailable(f"{self._folder}: {error.strerror or error}") from error
        found = [(PART.fullmatch(name), name) for name in names]
        return [
            FilePart(int(part[1]), int(part[3]), int(part[4]), self._folder / name)
            for part, name in found
            if part is not None
        ]


def parts_of(path: Path) -> Path:
    """Return the folder of a file's parts."""
    return path.with_name(path.name + PARTS)


def add_command(commands: Any) -> None:
    """Add `export` to the command line of the sinks."""
    parser = commands.add_parser("export", help="write a record stream on stdin to a file; `mds replay` does")
    parser.add_argument("--topic", required=True, choices=(*RAW_TOPICS, *CANONICAL_TOPICS))
    parser.add_argument("--path", required=True, type=Path, help="a .parquet or .csv, with its folder .parts")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Keep others from a folder of parts; raises ArchiveUnavailable where one still writes there."""
    deadline_s = monotonic_s() + OWNED_WITHIN_S
    with writing(f"{folder} cannot be written"), (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic_s() > deadline_s:
                    raise ArchiveUnavailable(f"{folder}: another replay writes there; end it first") from None
                time.sleep(OWNED_POLL_S)
        yield


def command(given: argparse.Namespace) -> int:
    """Write the file of the record stream on stdin and return the exit code: 1 where the stream was cut off.

    First it prints, as one line of JSON, from which offset on it wants each partition. The stream must end with an END record:
    one that just stops was cut off, and the parts written so far wait for the next.
    """
    try:
        with owned(parts_of(given.path)):
            made = ExportFile(given.path, given.topic, Disk(keep_free_bytes=0))
            print(json.dumps(made.positions()), flush=True)
            if not made.add(read_records(sys.stdin.buffer)):
                return ExitCode.NO
            rows = made.finish()
    except MarketDataError as error:
        print(f"error: {error}", file=sys.stderr)
        is_disk = isinstance(error, ArchiveUnavailable)
        return ExitCode.UNREACHABLE if is_disk else ExitCode.NO
    for line in made.left_out[:SHOWN]:
        print(f"warning: left out, it is no record: {line}", file=sys.stderr)
    if len(made.left_out) > SHOWN:
        print(f"warning: {len(made.left_out):,} records are left out in all", file=sys.stderr)
    print(json.dumps({"rows": rows}), flush=True)
    return ExitCode.DONE
