"""Parquet files, of raw records and of declared columns: the one home of arro3.

arro3 panics, past every `except Exception`, where writing or its input fails, and on bytes that are no Parquet. So what is
given to it never raises: failures are kept and raised when it is done; and what is read was compared with its hash before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import UnsupportedOperation
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema, list_array
from arro3.io import read_parquet, write_parquet

from schemas.archive.datasets import DatasetColumn
from schemas.clocks import KnowledgeTime
from schemas.deriving import SqlType
from sinks.archive.planning import ROW_BYTES, Row

COMPRESSION = "zstd(3)"
GROUP_ROWS, GROUP_BYTES = 5_000, 16_777_216  # of a row group, whichever is less
BATCH_ROWS, BATCH_BYTES = 1_000, 4_194_304  # held as Python objects, about
EXPORTED_GROUP_ROWS, EXPORTED_BATCH_ROWS = 100_000, 5_000
NEVER_US = KnowledgeTime(2**63 - 1)
MICROSECONDS = DataType.timestamp("us", tz="UTC")
COLUMNS = Schema(
    [
        Field("partition", DataType.int32(), nullable=False),
        Field("offset", DataType.int64(), nullable=False),
        Field("append_time", MICROSECONDS, nullable=False),
        Field("key", DataType.binary()),
        Field("value", DataType.binary()),
        Field("moved_from", DataType.binary()),
    ]
)


class FileRows:
    """The rows of a file to be: in Arrow's memory, which takes little more than their bytes."""

    def __init__(self, partition: int) -> None:
        """Begin with none."""
        self._partition = partition
        self._batches: list[RecordBatch] = []
        self._waiting: list[Row] = []
        self._waiting_bytes = 0
        self.count = self.content_bytes = 0
        self.first_append_us, self.last_append_us = NEVER_US, KnowledgeTime(0)
        self.end = 0  # the offset after the last
        self.schema_ids: set[int] = set()

    def add(self, row: Row) -> None:
        """Take a row."""
        self._waiting.append(row)
        self._waiting_bytes += max(ROW_BYTES, row.content_bytes)
        self.count, self.content_bytes, self.end = (
            self.count + 1,
            self.content_bytes + row.content_bytes,
            row.offset + 1,
        )
        self.first_append_us = min(self.first_append_us, row.append_us)
        self.last_append_us = max(self.last_append_us, row.append_us)
        if row.value is not None and row.value[:1] == b"\0":
            self.schema_ids.add(int.from_bytes(row.value[1:5], "big"))
        if len(self._waiting) >= BATCH_ROWS or self._waiting_bytes >= BATCH_BYTES:
            self._pack()

    def write(self, out: BinaryIO, metadata: Mapping[str, str]) -> tuple[int, str]:
        """Write the file and return its length in bytes and its SHA-256; raises what `out` raised."""
        self._pack()
        hashed = _written(
            out,
            RecordBatchReader.from_batches(COLUMNS, self._batches),
            dictionary_enabled=False,
            key_value_metadata={**metadata, "schema_ids": " ".join(map(str, sorted(self.schema_ids)))},
            max_row_group_size=_at_most(GROUP_ROWS, GROUP_BYTES, self.count, self.content_bytes),
        )
        return hashed.size_bytes, hashed.digest.hexdigest()

    def _pack(self) -> None:
        if self._waiting:
            self._batches.append(_batch(self._partition, self._waiting))
            self._waiting, self._waiting_bytes = [], 0


def read_rows(path: Path, *, rows: int, content_bytes: int) -> Iterator[Row]:
    """Yield the rows of a file, a few MB at a time; `rows` and `content_bytes` are what its line says it holds."""
    reader = read_parquet(path, batch_size=_at_most(BATCH_ROWS, BATCH_BYTES, rows, content_bytes))
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        times = batch["append_time"].cast(DataType.int64()).to_pylist()
        columns = [batch[name].to_pylist() for name in ("key", "value", "moved_from")]
        for offset, moment, *content in zip(batch["offset"].to_pylist(), times, *columns, strict=True):
            yield Row(offset, KnowledgeTime(moment), *content)


def _at_most(most: int, most_bytes: int, count: int, content_bytes: int) -> int:
    """Return how many rows of a file make so many at most, of so many bytes at most where all are of a length."""
    return max(1, min(most, most_bytes * count // max(1, content_bytes)))


def _batch(partition: int, rows: Sequence[Row]) -> RecordBatch:
    offsets, times, keys, values, moved = zip(*rows, strict=True)
    arrays = [
        Array([partition] * len(rows), DataType.int32()),
        Array(offsets, DataType.int64()),
        Array(times, DataType.int64()).cast(MICROSECONDS),
        *(Array(column, DataType.binary()) for column in (keys, values, moved)),
    ]
    return RecordBatch.from_arrays(arrays, schema=COLUMNS)


ARROW_TYPES = {
    "text": DataType.utf8(), "long": DataType.int64(), "int": DataType.int32(), "short": DataType.int16(), "double": DataType.float64(),
    "boolean": DataType.bool(), "moment": MICROSECONDS, "day": DataType.date32(), "bytes": DataType.binary(),
}  # fmt: skip
INTEGERS = {"moment": DataType.int64(), "day": DataType.int32()}  # what they are given as
LISTS = {
    "doubles": "double",
    "moments": "moment",
    "days": "day",
    "texts": "text",
}  # of which kind their elements are


def _arrow_type(kind: str) -> DataType:
    if kind in LISTS:
        return DataType.list(Field("element", ARROW_TYPES[LISTS[kind]]))
    return ARROW_TYPES[kind]


def _array(kind: str, values: Sequence[Any]) -> Array:
    """Return a column of values of a kind."""
    if kind in LISTS:
        ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
        elements = _array(LISTS[kind], list(chain.from_iterable(values)))
        return list_array(Array(ends.tolist(), DataType.int32()), elements, type=_arrow_type(kind))
    spelt = INTEGERS.get(kind)
    return Array(values, ARROW_TYPES[kind]) if spelt is None else Array(values, spelt).cast(ARROW_TYPES[kind])


def batch_of(columns: Sequence[tuple[str, str, bool]], rows: Sequence[Sequence[Any]]) -> RecordBatch:
    """Return rows as Arrow has them; `columns` are (name, key of ARROW_TYPES or LISTS, whether it may be null)."""
    given = zip(columns, zip(*rows, strict=True), strict=True)
    return RecordBatch.from_arrays(
        [_array(kind, values) for (_, kind, _), values in given], schema=_schema(columns)
    )


def write_batches(
    out: BinaryIO, columns: Sequence[tuple[str, str, bool]], batches: Iterable[RecordBatch]
) -> None:
    """Write a Parquet file of batches, each taken when its turn has come; raises what `out` raised."""
    # batches are asked for one by one, as they are written
    reader = RecordBatchReader.from_batches(_schema(columns), batches)
    _written(out, reader, max_row_group_size=EXPORTED_GROUP_ROWS)


def batches_of(path: Path) -> Iterator[RecordBatch]:
    """Yield the batches of a file that `write_batches` wrote."""
    yield from read_parquet(path, batch_size=EXPORTED_BATCH_ROWS)


def _schema(columns: Sequence[tuple[str, str, bool]]) -> Schema:
    return Schema([Field(name, _arrow_type(kind), nullable=nullable) for name, kind, nullable in columns])


def _written(out: BinaryIO, reader: RecordBatchReader, **options: Any) -> _Hashed:
    """Write a Parquet file and return what is known of its bytes; raises what `out` raised."""
    hashed = _Hashed(out)
    file = cast("IO[bytes]", hashed)  # the part of one that is used
    write_parquet(reader, file, compression=COMPRESSION, **options)
    if hashed.failure is not None:
        raise hashed.failure
    return hashed


class _Hashed:
    """A file that is hashed as it is written; after a failure it takes everything and writes nothing."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest, self.size_bytes = hashlib.sha256(), 0
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.failure is None:
            try:
                self._out.write(data)
            except OSError as error:
                self.failure = error
        self.digest.update(data)
        self.size_bytes += len(data)
        return len(data)

    def seek(self, *_: int) -> int:
        raise UnsupportedOperation(
            "arro3 asks whether there is one, and writes from the beginning to the end"
        )

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._out.flush()
            except OSError as error:
                self.failure = error


DATASET_GROUP_ROWS = 100_000
DATASET_KINDS: Mapping[SqlType, str] = {
    "text": "text", "int8": "long", "int4": "int", "int2": "short", "float8": "double", "bool": "boolean",
    "timestamptz": "moment", "date": "day", "float8[]": "doubles", "timestamptz[]": "moments", "date[]": "days", "char[]": "texts",
}  # fmt: skip


def write_dataset(
    out: BinaryIO,
    columns: Sequence[DatasetColumn],
    batches: Iterable[Sequence[Sequence[Any]]],
    metadata: Mapping[str, str],
) -> tuple[int, int, str]:
    """Write rows as a file, a batch after the other as they come; return how many, its length in bytes, and its SHA-256.

    Raises what `out` or `batches` raised, after which the file is not to be used.
    """
    schema = _schema([(c.name, DATASET_KINDS[c.type], c.nullable) for c in columns])
    taken = _Taken(columns, schema, batches)
    reader = RecordBatchReader.from_batches(schema, taken)
    hashed = _written(out, reader, key_value_metadata=dict(metadata), max_row_group_size=DATASET_GROUP_ROWS)
    if taken.failure is not None:
        raise taken.failure
    return taken.count, hashed.size_bytes, hashed.digest.hexdigest()


class _Taken:
    """Batches as Arrow has them, one at a time; after a failure there are no more."""

    def __init__(
        self, columns: Sequence[DatasetColumn], schema: Schema, batches: Iterable[Sequence[Sequence[Any]]]
    ) -> None:
        self._columns, self._schema, self._batches = columns, schema, batches
        self.count = 0
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        try:
            for rows in self._batches:
                arrays = [
                    _array(DATASET_KINDS[column.type], values)
                    for column, values in zip(self._columns, zip(*rows, strict=True), strict=True)
                ]
                self.count += len(rows)
                yield RecordBatch.from_arrays(arrays, schema=self._schema)
        except Exception as failure:  # noqa: BLE001 - arro3 panics where its input raises, whatever it is
            self.failure = failure
