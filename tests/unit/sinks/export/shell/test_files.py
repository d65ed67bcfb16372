"""Files made of parts: the same whatever interrupted them, typed as declared, and never half there."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from arro3.core import DataType
from arro3.io import read_parquet

from schemas.errors import ArchiveUnavailable
from schemas.topics import BARS, RAW_BARS
from schemas.wire.codec import encode
from schemas.wire.framing import END, StreamedRecord
from sinks.archive.shell.disk import Disk
from sinks.export.columns import columns_of
from sinks.export.shell import files
from sinks.export.shell.files import ExportFile, parts_of
from tests.support.archives import DyingDisk, Killed, raise_killed
from tests.support.builders import NINE_THIRTY, a_bar

PARTITIONS, RECORDS = (0, 3), 17


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a part end after seven rows."""
    monkeypatch.setattr(files, "PART_ROWS", 7)


def records(topic: str) -> list[StreamedRecord]:
    """Return records of three partitions, with offsets left out as transactions do."""
    return [
        StreamedRecord(
            topic=topic,
            partition=partition,
            offset=3 * number + partition,
            append_time=NINE_THIRTY + number,
            key=b"SPY",
            value=encode(BARS, a_bar(event_time=NINE_THIRTY + number, vwap=None if number % 2 else 1.5)),
            moved_from=b"1/2/3" if number == 5 else None,
        )
        for partition in PARTITIONS
        for number in range(RECORDS)
    ]


def made(path: Path, topic: str, sent: Sequence[StreamedRecord], disk: Disk | None = None) -> ExportFile:
    """Make or go on with a file from where its parts end, as a replay does."""
    parts_of(path).mkdir(exist_ok=True)
    export = ExportFile(path, topic, disk or Disk(keep_free_bytes=0))
    done = export.positions()
    left: Iterator[StreamedRecord] = (r for r in sent if r.offset >= done.get(r.partition, 0))
    if export.add(iter([*left, END])):
        export.finish()
    return export


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
@pytest.mark.parametrize("topic", [BARS, RAW_BARS])
def test_a_file_is_the_same_wherever_it_was_killed(tmp_path: Path, topic: str, name: str) -> None:
    """At every step of the disk: no row twice, none missing, not a byte else, and no part left behind."""
    sent = records(topic)
    whole = tmp_path / "whole" / name
    whole.parent.mkdir()
    made(whole, topic, sent)
    counting = DyingDisk(None, raise_killed)
    (tmp_path / "counted").mkdir()
    made(tmp_path / "counted" / name, topic, sent, counting)

    assert counting.moments > 20
    for moment in range(1, counting.moments + 1):
        path = tmp_path / f"{moment}" / name
        path.parent.mkdir()
        with pytest.raises(Killed):
            made(path, topic, sent, DyingDisk(moment, raise_killed))
        if not path.exists():
            made(path, topic, sent)
        assert path.read_bytes() == whole.read_bytes(), moment
        assert not whole.with_name(f"{name}.parts").exists()


def test_parquet_has_the_declared_types(tmp_path: Path) -> None:
    """Moments in UTC, prices as doubles, nulls as nulls."""
    path = tmp_path / "a.parquet"
    made(path, BARS, records(BARS))
    table = read_parquet(path).read_all()
    types = {field.name: field.type for field in table.schema}

    assert table.num_rows == len(PARTITIONS) * RECORDS
    assert list(types) == [column.name for column in columns_of(BARS)]
    assert types["event_time"] == DataType.timestamp("us", tz="UTC")
    assert (types["close"], types["raw_offset"], types["final"]) == (
        DataType.float64(),
        DataType.int64(),
        DataType.bool(),
    )
    assert table["event_time"].to_pylist()[1] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=NINE_THIRTY + 1
    )
    assert table["vwap"].to_pylist()[:2] == [1.5, None]


def test_a_stream_that_just_stops_makes_no_file(tmp_path: Path) -> None:
    """Who wrote it died; the parts that are whole wait."""
    path = tmp_path / "a.csv"
    parts_of(path).mkdir()
    export = ExportFile(path, BARS, Disk(keep_free_bytes=0))

    assert not export.add(iter(records(BARS)[:16]))
    assert export.positions() == {0: records(BARS)[13].offset + 1}
    assert not path.exists()


def test_what_is_no_record_is_left_out_and_told(tmp_path: Path) -> None:
    """The others are written."""
    path = tmp_path / "a.csv"
    poison = StreamedRecord(topic=BARS, partition=0, offset=1, append_time=1, key=b"SPY", value=b"poison")
    sent = records(BARS)[:3]
    export = made(path, BARS, [sent[0], poison, *sent[1:]])

    assert [line.partition(":")[0] for line in export.left_out] == ["bars.v1/0, offset 1"]
    assert path.read_bytes().count(b"\r\n") == 1 + len(sent)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1_048_576])
def test_rows_are_counted_wherever_the_copy_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    """Not by the ends of their lines, which a copy may cut in two and a text may hold."""
    monkeypatch.setattr(files, "COPY_BYTES", chunk_bytes)
    path = tmp_path / "a.csv"
    parts_of(path).mkdir()
    export = ExportFile(path, BARS, Disk(keep_free_bytes=0))
    odd = [
        replace(record, value=encode(BARS, a_bar(currency='"U,\r\nS\0D"é', event_time=NINE_THIRTY + number)))
        for number, record in enumerate(records(BARS))
    ]

    assert export.add(iter([*odd, END]))
    assert export.finish() == len(odd)
    rows = list(csv.DictReader(StringIO(path.read_bytes().decode(), newline="")))
    assert [row["currency"] for row in rows] == ['"U,\r\nS\0D"é'] * len(odd)


def test_killed_while_its_parts_are_deleted_it_still_knows_that_it_was_finished(tmp_path: Path) -> None:
    """What says which replay it was goes last."""
    whole, path = tmp_path / "whole.csv", tmp_path / "a.csv"
    counting = DyingDisk(None, raise_killed)
    made(whole, BARS, records(BARS), counting)
    parts_of(path).mkdir()
    (parts_of(path) / "plan.json").write_text("{}")

    with pytest.raises(Killed):
        made(path, BARS, records(BARS), DyingDisk(counting.moments, raise_killed))
    assert path.read_bytes() == whole.read_bytes()
    assert [left.name for left in parts_of(path).iterdir()] == ["plan.json"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """As the disk's fault."""
    with pytest.raises(ArchiveUnavailable, match=r"a\.csv\.parts"):
        ExportFile(tmp_path / "a.csv", BARS, Disk()).positions()
