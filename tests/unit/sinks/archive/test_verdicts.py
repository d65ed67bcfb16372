"""What is wrong with an archived partition, by file and offsets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.archive.manifest import append
from sinks.archive.planning import Row
from sinks.archive.verdicts import (
    ArchiveFault,
    FoundFile,
    checked,
    difference,
    file_fault,
    is_leftover,
    strays,
)
from tests.support.archives import a_file, a_row, begun, pruned

FILE = replace(a_file(10, 14), content_bytes=4 * 45)
GOOD = FoundFile(file_bytes=FILE.file_bytes, sha256=FILE.sha256)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (None, "missing"),
        (replace(GOOD, file_bytes=401), "401 bytes, it was written with 400"),
        (replace(GOOD, sha256="cd" * 32), "SHA-256"),
    ],
)
def test_a_fault_names_its_file_and_offsets(found: FoundFile | None, problem: str) -> None:
    """So that it can be fetched again."""
    wrong = file_fault(FILE, found)

    assert wrong is not None
    assert (wrong.file, wrong.start, wrong.end) == (FILE.path, 10, 14)
    assert problem in str(wrong)
    assert "offsets 10 to 13" in str(wrong)
    assert file_fault(FILE, GOOD) is None


def faults(rows: list[Row]) -> list[str]:
    """Return the faults of a file with these rows."""
    return [each.problem for each in checked(FILE, rows) if isinstance(each, ArchiveFault)]


def test_rows_are_those_of_the_line() -> None:
    """In order, within its offsets, as many, and as many bytes; control records leave gaps that are none."""
    rows = [a_row(at) for at in range(10, 14)]
    gaps = replace(FILE, rows=2, content_bytes=90)

    assert list(checked(FILE, rows)) == rows
    assert list(checked(gaps, rows[1:3])) == rows[1:3]
    assert faults(rows[:3]) == ["3 records of 135 bytes, not 4 of 180"]
    assert faults([*rows[:3], a_row(13, size=41)]) == ["4 records of 181 bytes, not 4 of 180"]
    assert faults([rows[1], rows[0]]) == ["offset 10 follows 11"]
    assert faults([*rows, a_row(14)]) == ["offset 14 follows 13"]
    assert faults([a_row(9)]) == ["offset 9 follows 9"]


def test_archive_and_broker_are_compared_byte_by_byte() -> None:
    """Also moments and what is missing on either side."""
    rows = [a_row(at) for at in (10, 12, 13)]

    def found(ours: list[Row], theirs: list[Row]) -> tuple[int, str] | None:
        differs = difference(ours, theirs, start=10, end=14)
        return None if differs is None else (differs.start, differs.problem)

    assert found(rows, list(rows)) is None
    assert found(rows, [rows[0], a_row(12, size=39), rows[2]]) == (
        12,
        "archive and broker have different bytes",
    )
    later = rows[0]._replace(append_us=rows[0].append_us + 1)
    assert found(rows, [later, *rows[1:]]) == (10, "archive and broker have different bytes")
    moved = rows[2]._replace(moved_from=b"0/1/2")
    assert found(rows, [*rows[:2], moved]) == (13, "archive and broker have different bytes")
    assert found(rows, [rows[0], a_row(11), *rows[1:]]) == (
        11,
        "the broker has a record that is not archived",
    )
    assert found(rows, rows[:2]) == (13, "the archive has a record that the broker has not")
    assert found([], rows[1:]) == (12, "the broker has a record that is not archived")


def test_only_what_a_kill_can_leave_is_no_stray() -> None:
    """A file that begins where the manifest ends, or that was being pruned."""
    tail = None
    for line in (begun(), a_file(0, 10), a_file(10, 20), pruned(0, 10)):
        _, tail = append(tail, line)
    assert tail is not None
    paths = [a_file(*offsets).path for offsets in ((0, 10), (10, 20), (20, 25), (12, 20), (30, 40))]

    assert [each.file for each in strays(paths, [a_file(10, 20)], tail)] == [paths[3], paths[4]]
    assert is_leftover((20, 21), tail)
    assert is_leftover((3, 10), tail)
    assert not is_leftover((9, 11), tail)
    assert list(strays(["date=2025-11-28/notes.txt"], [], tail)) == []
