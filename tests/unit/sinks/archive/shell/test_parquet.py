"""Files of raw records: the exact bytes come back, whatever they are, and memory is a few MB of them."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arro3.core import DataType
from arro3.io import read_parquet
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive.datasets import Dataset
from schemas.clocks import KnowledgeTime
from schemas.streams import BAR_STREAM
from sinks.archive.planning import Row
from sinks.archive.shell.folder import found
from sinks.archive.shell.parquet import GROUP_ROWS, FileRows, read_rows, write_dataset
from tests.support.archives import a_row, rows_of
from tests.support.growth import assert_linear

BYTES = st.none() | st.binary(max_size=300)
ROWS = st.lists(
    st.builds(
        Row,
        st.integers(0, 2**62),
        st.integers(0, 2**52).map(KnowledgeTime),
        BYTES,
        BYTES,
        st.none() | st.just(b"1/2/3"),
    ),
    min_size=1,
    max_size=30,
)


def written(path: Path, rows: FileRows) -> tuple[int, str]:
    """Write a file and return its length and hash."""
    with path.open("wb") as out:
        return rows.write(out, {"topic": "raw.trades.v1"})


@given(rows=ROWS)
def test_rows_come_back_byte_by_byte(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    """Absent and empty keys and values, moments, and where a record was moved from; the hash is that of the file."""
    path = tmp_path_factory.mktemp("files") / "file.parquet"
    made = rows_of(rows)
    size_bytes, digest = written(path, made)

    assert list(read_rows(path, rows=made.count, content_bytes=made.content_bytes)) == rows
    on_disk = found(path)
    assert on_disk is not None
    assert (on_disk.file_bytes, on_disk.sha256) == (size_bytes, digest)
    moments = [row.append_us for row in rows]
    assert (made.first_append_us, made.last_append_us) == (min(moments), max(moments))
    assert (made.count, made.end) == (len(rows), rows[-1].offset + 1)


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    """To readers without a manifest: columns, and metadata with the schemas its records are of."""
    rows = rows_of(
        [a_row(3), Row(4, KnowledgeTime(5), b"k", b"\0\0\0\1\0abc"), Row(9, KnowledgeTime(5), None, b"")]
    )
    written(tmp_path / "file.parquet", rows)

    schema = read_parquet(tmp_path / "file.parquet").schema

    assert schema.names == ["partition", "offset", "append_time", "key", "value", "moved_from"]
    assert str(schema.field("append_time").type) == 'arro3.core.DataType<Timestamp(µs, "UTC")>\n'
    assert schema.metadata[b"schema_ids"] == b"7 256"
    assert schema.metadata[b"topic"] == b"raw.trades.v1"


def test_many_small_rows_and_a_few_large_ones(tmp_path: Path) -> None:
    """More than a row group of the one, and of the other one that is larger than a batch."""
    small = [a_row(at, size=3) for at in range(GROUP_ROWS * 2 + 7)]
    large = [a_row(at, size=size) for at, size in enumerate((10, 6_000_000, 0, 3_000_000))]
    for rows in (small, large):
        made = rows_of(rows)
        written(tmp_path / "file.parquet", made)
        assert (
            list(read_rows(tmp_path / "file.parquet", rows=made.count, content_bytes=made.content_bytes))
            == rows
        )


class Full(io.BytesIO):
    """Takes so many bytes."""

    def __init__(self, room_bytes: int) -> None:
        super().__init__()
        self._room_bytes = room_bytes

    def write(self, data: Any) -> int:
        """Take it or fail."""
        if self.tell() + memoryview(data).nbytes > self._room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room_bytes", [0, 4, 100, 1_000])
def test_a_failure_of_the_disk_is_the_error_it_was(room_bytes: int) -> None:
    """And no panic of the writer's."""
    with pytest.raises(OSError, match="No space left"):
        rows_of(a_row(at) for at in range(50)).write(Full(room_bytes), {})


BARS = Dataset(stream=BAR_STREAM, interval="1m").columns


def bar_rows(count: int, start: int = 0) -> list[tuple[object, ...]]:
    """Return rows of bars, each column of its type, with nulls where they may be."""
    values = {
        "text": lambda n: f"S{n % 7}", "int8": lambda n: n, "int4": lambda n: n % 9, "float8": lambda n: n / 8,
        "bool": lambda n: n % 2 == 0, "timestamptz": lambda n: 1_764_331_200_000_001 + n,
        "date": lambda n: 16_000 + n % 9,
    }  # fmt: skip
    return [
        tuple(None if c.nullable and n % 3 == 0 else values[c.type](n) for c in BARS)
        for n in range(start, start + count)
    ]


@pytest.mark.parametrize("sizes", [[], [1], [3, 5_000, 2], [40_000] * 3])
def test_a_dataset_is_read_as_it_was_written(tmp_path: Path, sizes: list[int]) -> None:
    """Column by column and in their order, with what the file says of itself; no row at all is a file, too."""
    path = tmp_path / "f.parquet"
    batches = [bar_rows(size, sum(sizes[:number])) for number, size in enumerate(sizes)]
    with path.open("wb") as out:
        count, size_bytes, digest = write_dataset(out, BARS, batches, {"mds.day": "2025-11-27"})

    content = path.read_bytes()
    assert (count, size_bytes, digest) == (sum(sizes), len(content), hashlib.sha256(content).hexdigest())
    table = read_parquet(path).read_all()
    assert table.column_names == [c.name for c in BARS]
    assert table.schema.metadata_str["mds.day"] == "2025-11-27"
    numbers = {"timestamptz": DataType.int64(), "date": DataType.int32()}
    read = [
        (table[c.name].cast(numbers[c.type]) if c.type in numbers else table[c.name]).to_pylist()
        for c in BARS
    ]
    assert list(zip(*read, strict=True)) == [row for batch in batches for row in batch]


@pytest.mark.parametrize("at", [0, 1, 3])
def test_rows_that_end_in_an_error_make_no_dataset(tmp_path: Path, at: int) -> None:
    """The error comes out as it is, whichever batch it stands in place of, and arro3 does not panic."""

    def failing() -> Iterator[list[tuple[object, ...]]]:
        for number in range(4):
            if number == at:
                raise LookupError("the database is gone")
            yield bar_rows(10)

    with (tmp_path / "f").open("wb") as out, pytest.raises(LookupError, match="is gone"):
        write_dataset(out, BARS, failing(), {})


def test_a_dataset_takes_time_in_proportion_and_memory_of_a_row_group(tmp_path: Path) -> None:
    """Whatever its length: batches are taken as they are written."""

    def prepare(count: int) -> Callable[[], object]:
        def work() -> None:
            with (tmp_path / "f").open("wb") as out:
                write_dataset(out, BARS, (bar_rows(1_000, n * 1_000) for n in range(count)), {})

        return work

    assert_linear(prepare, 5)
    alive: list[int] = []

    def watched() -> Iterator[list[tuple[object, ...]]]:
        for number in range(8):
            alive.append(number)
            yield bar_rows(1_000)

    with (tmp_path / "f").open("wb") as out:
        batches = watched()
        assert alive == []  # nothing is taken before it is wanted
        assert write_dataset(out, BARS, batches, {})[0] == 8_000


def test_a_value_of_another_type_is_an_error(tmp_path: Path) -> None:
    """Not a panic, and not another value."""
    row = list(bar_rows(1)[0])
    row[0] = 7.5
    with (tmp_path / "f").open("wb") as out, pytest.raises(Exception, match=r"."):
        write_dataset(out, BARS, [[tuple(row)]], {})
