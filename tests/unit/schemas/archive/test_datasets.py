"""Published datasets: where their files lie, what their columns are, and a manifest that shows every change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive.chain import ManifestDamaged
from schemas.archive.datasets import (
    BEGINNING,
    FILE_PATH,
    Dataset,
    Publication,
    append,
    dataset_of,
    newest,
    path_of,
    walk,
)
from schemas.clocks import KnowledgeTime, WallTime
from schemas.deriving import columns, record_fields
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM

NOON_US = 1_764_331_200_000_000  # 2025-11-28 12:00 UTC


def publication(day: str = "2025-11-27", as_of_us: int = NOON_US, rows: int = 3) -> Publication:
    """Return the line of a file of minutes."""
    return Publication(
        dataset="bars/interval=1m", day=day, as_of_us=KnowledgeTime(as_of_us), rows=rows, file_bytes=900,
        sha256="ab" * 32, at_us=WallTime(as_of_us + 7),
    )  # fmt: skip


STORY = [
    publication(),
    publication("2025-11-26"),
    publication(as_of_us=NOON_US + 1),
    publication("2025-11-26", NOON_US - 5),
]


def written(lines: list[Publication]) -> bytes:
    """Return a manifest."""
    data, tail = b"", BEGINNING
    for line in lines:
        text, tail = append(tail, line)
        data += text
    return data


def test_lines_come_back_with_where_each_ends() -> None:
    """Read on from any of them, too."""
    data = written(STORY)
    read = list(walk(data))

    assert [line for line, _ in read] == STORY
    assert [tail.size_bytes for _, tail in read] == [
        len(written(STORY[:count])) for count in range(1, len(STORY) + 1)
    ]
    for count, (_, tail) in enumerate(read, start=1):
        assert list(walk(data[tail.size_bytes :], tail=tail)) == read[count:]


@given(st.integers(0, 5_000), st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_seen(place: int, bit: int) -> None:
    """But in the last byte, which makes the line one that is torn off."""
    data = bytearray(written(STORY))
    place %= len(data) - 1
    data[place] ^= 1 << bit

    with pytest.raises(ManifestDamaged):
        list(walk(bytes(data)))


@given(st.integers(0, 5_000))
def test_a_line_torn_off_at_any_byte_is_none(cut: int) -> None:
    """What was whole before it stays."""
    data = written(STORY)
    torn = data[: cut % len(data)]

    assert [line for line, _ in walk(torn)] == STORY[: torn.count(b"\n")]


def test_the_newest_of_a_day_is_that_of_the_latest_moment() -> None:
    """Not the one written last."""
    assert newest(STORY) == {"2025-11-27": STORY[2], "2025-11-26": STORY[1]}


def test_a_file_lies_beside_those_of_other_moments() -> None:
    """Names sort as moments do, down to the microsecond, and are read back."""
    paths = [path_of("bars/interval=1m", "2025-11-27", KnowledgeTime(NOON_US + each)) for each in (0, 1, 10)]

    assert paths[1] == "date=2025-11-27/as_of=20251128T120000000001Z/bars.parquet"
    assert paths == sorted(paths)
    assert all(FILE_PATH.fullmatch(path) for path in paths)
    assert publication().path == paths[0]
    assert not FILE_PATH.fullmatch(paths[0].replace("date=", "../date="))


@pytest.mark.parametrize(
    ("folder", "dataset"),
    [
        ("bars/interval=1m", Dataset(stream=BAR_STREAM, interval="1m")),
        ("bars/interval=1d", Dataset(stream=BAR_STREAM, interval="1d")),
        ("trades", Dataset(stream=TRADE_STREAM)),
        ("quotes", Dataset(stream=QUOTE_STREAM)),
        ("bars", None),
        ("trades/interval=1m", None),
        ("bars/1m", None),
        ("raw.bars.v1", None),
        ("", None),
    ],
)
def test_a_folder_names_its_dataset(folder: str, dataset: Dataset | None) -> None:
    """And no other folder names one."""
    assert dataset_of(folder) == dataset
    assert dataset is None or dataset.folder == folder


def test_columns_are_the_fields_of_the_record() -> None:
    """Named as the record names them, read as the public view does; with the revision, which a slot's versions have."""
    bars = Dataset(stream=BAR_STREAM, interval="1m").columns
    trades = Dataset(stream=TRADE_STREAM).columns

    assert [each.name for each in bars] == [*(field.name for field in record_fields(BAR_STREAM)), "revision"]
    assert [each.name for each in trades] == [field.name for field in record_fields(TRADE_STREAM)]
    assert [each.read for each in trades] == [column.name for column in columns(TRADE_STREAM)]
    assert {each.type for each in bars if each.name in ("event_time", "known_from")} == {"timestamptz"}


def test_a_line_of_a_newer_release_is_refused() -> None:
    """Its kind or its members are unknown here: nothing is guessed."""
    text, _ = append(BEGINNING, replace(publication(), rows=0))
    data = text.replace(b'"published"', b'"withdrawn"')
    with pytest.raises(ManifestDamaged):
        list(walk(data))
