"""The listing: days added up over partitions, what is sure and what is not, and rows as they are declared."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.archive.contents import DatasetContents, PartitionContents
from gateway.archive.listing import LISTING, dataset_row, file_rows, topic_row
from gateway.http.problems import Problem
from schemas.archive import datasets
from schemas.archive.datasets import BEGINNING, Dataset, Publication
from schemas.archive.manifest import Line, append
from schemas.clocks import KnowledgeTime, WallTime
from schemas.streams import BAR_STREAM
from tests.support.archives import NOON_US, a_file, begun, lost, pruned

DAY_US = 86_400_000_000
SCHEMA: Any = LISTING.answers[200][0].schema["properties"]["data"]
VALID = Draft202012Validator(SCHEMA)


def contents(*lines: Line) -> PartitionContents:
    """Return what a manifest of these lines holds."""
    made, tail = PartitionContents("m"), None
    for line in lines:
        text, tail = append(tail, line)
        made.take(text)
    return made


THREE = {
    0: contents(begun(), a_file(0, 10), a_file(10, 20, append_us=NOON_US + DAY_US), pruned(0, 10)),
    1: contents(begun(), a_file(0, 5), lost(5, 9), a_file(9, 30, append_us=NOON_US + DAY_US + 70)),
    2: contents(begun(), a_file(0, 7), a_file(7, 8, append_us=NOON_US + DAY_US - 60)),
}


def test_days_are_added_up_over_partitions() -> None:
    """Without what was pruned; a topic is as complete as its least partition."""
    row = topic_row("raw.trades.v1", "ID", THREE, expected=3, day=None)

    assert [(day["date"], day["files"], day["rows"]) for day in row["days"]] == [
        ("2025-11-28", 2, 12), ("2025-11-29", 3, 32),
    ]  # fmt: skip
    assert row["complete_before"] == "2025-11-29T11:59:59.999945Z"
    assert [each["kind"] for each in row["missing"]] == ["pruned", "lost"]
    assert VALID.is_valid([row])


def test_nothing_is_sure_while_a_partition_is_not_there_or_not_whole() -> None:
    """None is said rather than a guess."""
    assert topic_row("raw.trades.v1", "ID", THREE, expected=4, day=None)["complete_before"] is None
    damaged = contents(begun(), a_file(0, 5))
    damaged.take(b"{}\n")
    row = topic_row("raw.trades.v1", "ID", {**THREE, 3: damaged}, expected=4, day=None)
    assert row["complete_before"] is None
    assert "line 3" in row["partitions"][3]["damage"]
    assert VALID.is_valid([row])


def test_of_one_day_only_it_is_told() -> None:
    """With what may lie in it of what is missing."""
    row = topic_row("raw.trades.v1", "ID", THREE, expected=3, day="2025-11-29")

    assert [day["date"] for day in row["days"]] == ["2025-11-29"]
    assert [(each["kind"], each["partition"]) for each in row["missing"]] == [("pruned", 0), ("lost", 1)]
    assert topic_row("raw.trades.v1", "ID", THREE, expected=3, day="2025-11-30")["missing"] == []


def test_a_file_is_told_with_what_it_takes_to_check_it() -> None:
    """Offsets are inclusive, as in its name."""
    (row,) = file_rows("raw.trades.v1/ID/partition=3", [a_file(12, 20)])

    assert row["path"] == (
        "raw.trades.v1/ID/partition=3/date=2025-11-28/00000000000000012-00000000000000019.parquet"
    )
    assert (row["first_offset"], row["last_offset"], row["sha256"]) == (12, 19, "ab" * 32)


def test_a_dataset_has_its_newest_knowledge_and_all_files() -> None:
    """Of the day asked for."""
    held, tail = DatasetContents("m"), BEGINNING
    for late in (1, 2):
        line = Publication(
            dataset="bars/interval=1m", day="2025-11-27", as_of_us=KnowledgeTime(NOON_US + late), rows=late,
            file_bytes=100, sha256="cd" * 32, at_us=WallTime(NOON_US),
        )  # fmt: skip
        text, tail = datasets.append(tail, line)
        held.take(text)
    dataset = Dataset(stream=BAR_STREAM, interval="1m")
    row = dataset_row(dataset, held, "2025-11-27")

    assert [(day["rows"], day["bytes"], day["as_of"][-8:]) for day in row["days"]] == [(2, 200, ".000002Z")]
    assert [file["path"].rpartition("/as_of=")[2] for file in row["files"]] == [
        "20251128T120000000001Z/bars.parquet", "20251128T120000000002Z/bars.parquet",
    ]  # fmt: skip
    assert "files" not in dataset_row(dataset, held, None)
    assert dataset_row(dataset, held, "2025-11-26")["days"] == []
    assert VALID.is_valid([row])


@pytest.mark.parametrize("text", ["yesterday", "2025-02-30", "20251128", "2025-11-28T00:00:00Z"])
def test_a_day_that_is_none_is_refused(text: str) -> None:
    """With what would be right."""
    with pytest.raises(Problem, match="day"):
        LISTING.parse([("day", text)])
