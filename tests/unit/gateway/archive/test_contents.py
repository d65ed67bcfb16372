"""Contents: day by day what the manifest says, however it grows, and in the same words whoever reads it when."""

from __future__ import annotations

import random

import pytest

from gateway.archive.contents import DatasetContents, PartitionContents, Summed, day_of
from schemas.archive import datasets
from schemas.archive.datasets import BEGINNING, Publication
from schemas.archive.manifest import KeptFile, Line, append, kept
from schemas.clocks import KnowledgeTime, WallTime
from tests.support.archives import NOON_US, a_file, begun, lost, pruned

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def written(lines: list[Line]) -> bytes:
    """Return a manifest."""
    tail, data = None, b""
    for line in lines:
        text, tail = append(tail, line)
        data += text
    return data


def read(data: bytes) -> PartitionContents:
    """Return the contents of a manifest, read at once."""
    contents = PartitionContents("m")
    contents.take(data)
    return contents


def hourly(days: int, *, start: int = 0) -> list[KeptFile]:
    """Return a file for each hour of some days."""
    return [
        a_file(start + hour * 10, start + hour * 10 + 10, append_us=NOON_US + hour * HOUR_US)
        for hour in range(days * 24)
    ]


def files_by_day(contents: PartitionContents, data: bytes) -> dict[str, list[KeptFile]]:
    """Return the lines of each day, read again from the manifest."""
    return {day: list(contents.files_of(day, lambda start, end: data[start:end])) for day in contents.days}


@pytest.mark.parametrize("days", [1, 3, 30])
def test_a_day_has_the_files_that_begin_in_it(days: int) -> None:
    """All of them together are what the manifest keeps."""
    data = written([begun(), *hourly(days)])
    contents = read(data)
    by_day = files_by_day(contents, data)

    assert [line for lines in by_day.values() for line in lines] == kept(data)
    assert all(day_of(line.first_append_us) == day for day, lines in by_day.items() for line in lines)
    assert {day: found.kept(0).files for day, found in contents.days.items()} == {
        day: len(lines) for day, lines in by_day.items()
    }
    first = contents.days["2025-11-28"].kept(0)
    assert first == Summed(12, 120, 12 * 400)


def test_it_is_read_on_wherever_it_was_left() -> None:
    """Cut anywhere, within a line too."""
    lines: list[Line] = [
        begun(),
        *hourly(2),
        lost(480, 500),
        a_file(500, 510, append_us=NOON_US + 2 * DAY_US),
    ]
    data = written([*lines, pruned(0, 100)])
    at_once = read(data)
    rng = random.Random(7)
    for _ in range(50):
        contents, reached = PartitionContents("m"), 0
        while reached < len(data):
            reached = min(len(data), reached + rng.randrange(1, 4_000))
            contents.take(data[contents.size_bytes : reached])
        assert contents.tail == at_once.tail
        assert contents.missing() == at_once.missing()
        assert files_by_day(contents, data) == files_by_day(at_once, data)


def test_pruned_files_are_not_listed_and_are_known_as_pruned() -> None:
    """Others were never there: these are two answers."""
    data = written([begun(), *hourly(1), pruned(0, 100)])
    contents = read(data)

    assert [line.start for line in files_by_day(contents, data)["2025-11-28"]] == [100, 110]
    assert contents.days["2025-11-28"].kept(100).files == 2
    assert [contents.is_pruned(start) for start in (0, 90, 100, 5, 10**6)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_what_is_missing_lies_between_moments() -> None:
    """What was lost lies between the files around it; what was pruned had moments of its own."""
    later = a_file(30, 40, append_us=NOON_US + HOUR_US)
    contents = read(written([begun(), a_file(0, 20), lost(20, 30), later, lost(40, 50), pruned(0, 20)]))

    assert [(each.kind, each.start, each.end, each.from_us, each.to_us) for each in contents.missing()] == [
        ("lost", 20, 30, NOON_US + 5, NOON_US + HOUR_US),
        ("lost", 40, 50, NOON_US + HOUR_US + 5, None),
        ("pruned", 0, 20, NOON_US, None),
    ]


def test_completeness_is_that_of_the_latest_record_and_none_where_the_manifest_is_damaged() -> None:
    """Nothing is claimed of what cannot be read."""
    data = written([begun(), a_file(0, 5), a_file(5, 9, append_us=NOON_US - HOUR_US)])

    assert read(written([begun()])).complete_before is None
    assert read(b"").complete_before is None
    assert read(data).complete_before == NOON_US + 5
    damaged = read(data + b'{"kind":"file"}\n')
    assert damaged.complete_before is None
    assert "line 4 of m: it is not as it was written" in damaged.damage
    assert len(files_by_day(damaged, data)["2025-11-28"]) == 2


def test_a_dataset_has_its_publications_by_day_the_latest_last() -> None:
    """Whatever the order they were written in."""
    lines = [
        Publication(
            dataset="trades", day=day, as_of_us=KnowledgeTime(NOON_US + late), rows=late, file_bytes=9,
            sha256="cd" * 32, at_us=WallTime(NOON_US),
        )
        for day, late in (("2025-11-27", 1), ("2025-11-26", 2), ("2025-11-27", 3))
    ]  # fmt: skip
    data, tail = b"", BEGINNING
    for line in lines:
        text, tail = datasets.append(tail, line)
        data += text
    contents = DatasetContents("m")
    contents.take(data[:300])
    contents.take(data[contents.size_bytes :])

    assert contents.days() == {"2025-11-26": [lines[1]], "2025-11-27": [lines[0], lines[2]]}
    assert contents.files == {line.path: line for line in lines}
    contents.take(b"{}\n")
    assert "line 4 of m" in contents.damage
